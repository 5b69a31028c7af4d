/** The programs that a sandbox of the library's has at hand, each compiled once. */
import { existsSync } from "node:fs";

/** What is found at `path` until `close` is called. */
export interface Program {
  readonly path: string;
  readonly close: () => void;
}

/** Each may be an fd. */
const most = 64;

export function programsAtHand<P extends Program>() {
  // Those that were asked for last are the last ones.
  const programs = new Map<string, Promise<P>>();
  const forget = (key: string, made: Promise<P>) => {
    if (programs.get(key) === made) programs.delete(key);
    // Who is waiting for it has started it by then.
    made.then(
      ({ close }) => setImmediate(close),
      () => {},
    );
  };
  const find = async (key: string, make: () => Promise<P>): Promise<P> => {
    const known = programs.get(key);
    const made = known ?? make();
    programs.delete(key);
    programs.set(key, made);
    for (const [oldest, program] of programs) if (programs.size > most) forget(oldest, program);
    try {
      const program = await made;
      // `sbx cache prune` removes files.
      if (known === undefined || existsSync(program.path)) return program;
    } catch (error) {
      // What was missing may be there the next time.
      forget(key, made);
      throw error;
    }
    forget(key, made);
    return find(key, make);
  };
  return {
    /** What `make` has made of that key's; it is to be started before anything else is waited for. */
    find,
    clear: () => {
      for (const [key, made] of programs) forget(key, made);
    },
  };
}
