/**
 * The one way to what the machine says, for all that a compile depends on: functions of node:fs by the
 * same names that note down what they were asked. A compiled program is used again only while every
 * one of these answers is the same: launch/cache/entry.ts.
 */
import * as fs from "node:fs";
import { resolve } from "node:path";

/** What was asked of the machine. Paths are absolute. */
export type Reading =
  /**
   * The file that a path leads to, with `link` the thing itself, or with `list` the names in a directory; whether it
   * could be read.
   */
  | { readonly kind: "file" | "link" | "list"; readonly path: string; readonly isRead: boolean }
  /** What a file of /proc or /sys says: such files have no times. */
  | { readonly kind: "text"; readonly path: string; readonly text: string }
  /** Where a path leads, without links; null where nothing is there. */
  | { readonly kind: "real"; readonly path: string; readonly real: string | null }
  /** access(2) and open(2); `errno` is 0, or the number of what they failed with. */
  | {
      readonly kind: "access" | "open";
      readonly path: string;
      readonly flags: number;
      readonly errno: number;
    }
  | { readonly kind: "variable"; readonly name: string; readonly value: string | undefined };

export interface Recording {
  /** In milliseconds since 1970. */
  readonly sinceMs: number;
  readonly readings: Map<string, Reading>;
  usesWorkingDirectory: boolean;
  /** What was asked that cannot be asked again: such a program is not used twice. */
  unrepeatable: string | null;
}

let recording: Recording | null = null;

/** What `work` gives, and what it asked of the machine until then. */
export async function whileRecording<T>(
  nowMs: number,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly recording: Recording }> {
  const own: Recording = {
    sinceMs: nowMs,
    readings: new Map(),
    usesWorkingDirectory: false,
    unrepeatable: null,
  };
  recording = own;
  try {
    return { value: await work(), recording: own };
  } finally {
    recording = null;
  }
}

/**
 * What `ask` gives, without a note: for what only the texts of failures depend on. A set-up that fails is compiled
 * anew, and tells what is true by then.
 */
export function withoutNote<T>(ask: () => T): T {
  const own = recording;
  recording = null;
  try {
    return ask();
  } finally {
    recording = own;
  }
}

/**
 * An object whose members are read when they are first asked for: nothing depends on what nobody asks for. What was
 * known without a note is read once more for who takes notes.
 */
export function readLazily<T extends object>(readers: { readonly [K in keyof T]: () => T[K] }): T {
  const made = {} as T;
  for (const name of Object.keys(readers) as (keyof T)[]) {
    let known: { readonly value: T[keyof T]; readonly by: Recording | null } | null = null;
    Object.defineProperty(made, name, {
      enumerable: true,
      get: () => {
        if (known === null || (recording !== null && known.by !== recording)) {
          known = { value: readers[name](), by: recording };
        }
        return known.value;
      },
    });
  }
  return made;
}

/** Says that the program depends on what only this run has seen. */
export function noteUnrepeatable(why: string): void {
  if (recording !== null) recording.unrepeatable ??= why;
}

function note(reading: Reading): void {
  const { kind } = reading;
  recording?.readings.set(`${kind} ${kind === "variable" ? reading.name : reading.path}`, reading);
}

/** path.resolve(), which may ask for the working directory. */
export function absolutePath(path: string): string {
  if (!path.startsWith("/") && recording !== null) recording.usesWorkingDirectory = true;
  return resolve(path);
}

/** The variables of `environment`, each noted down when it is looked at. */
export function recordedVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return new Proxy(environment, {
    get(target, name) {
      const value = Reflect.get(target, name) as string | undefined;
      if (typeof name === "string") note({ kind: "variable", name, value });
      return value;
    },
    ownKeys(target) {
      noteUnrepeatable("all variables");
      return Reflect.ownKeys(target);
    },
  });
}

/** What `read` gives; `done` is told that too, or the errno that it failed with, 0 where it did not. */
function noting<T>(read: () => T, done: (errno: number, value?: T) => void): T {
  try {
    const value = read();
    done(0, value);
    return value;
  } catch (error) {
    // Node counts errnos downwards from 0.
    if (error instanceof Error && "errno" in error) done(-Number(error.errno));
    throw error;
  }
}

const noteThat =
  (kind: "file" | "link" | "list") => (path: string) => (_errno: number, value?: unknown) =>
    note({ kind, path: absolutePath(path), isRead: value !== undefined });
const noteFile = noteThat("file");
const noteLink = noteThat("link");
const noteList = noteThat("list");

export const statSync = ((path: string, options?: fs.StatSyncOptions) =>
  noting(() => fs.statSync(path, options), noteFile(path))) as typeof fs.statSync;

export const lstatSync = ((path: string, options?: fs.StatSyncOptions) =>
  noting(() => fs.lstatSync(path, options), noteLink(path))) as typeof fs.lstatSync;

export const existsSync = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false }) !== undefined;

export const readlinkSync = (path: string): string =>
  noting(() => fs.readlinkSync(path), noteLink(path));

export const readdirSync = (path: string): string[] =>
  noting(() => fs.readdirSync(path), noteList(path));

/** That of realpath(3). */
export function realpathSync(path: string): string {
  let real: string | null = null;
  return noting(
    () => (real = fs.realpathSync.native(path)),
    () => note({ kind: "real", path: absolutePath(path), real }),
  );
}

export function accessSync(path: string, mode: number): void {
  noting(
    () => fs.accessSync(path, mode),
    (errno) => note({ kind: "access", path: absolutePath(path), flags: mode, errno }),
  );
}

/** The text of a file, in UTF-8. */
export function readText(path: string): string {
  const isTimeless = /^\/(proc|sys)\//.test(path);
  if (!isTimeless) return noting(() => fs.readFileSync(path, "utf8"), noteFile(path));
  let text = "";
  return noting(
    () => (text = fs.readFileSync(path, "utf8")),
    (errno) =>
      note(
        errno === 0
          ? { kind: "text", path, text }
          : { kind: "open", path, flags: fs.constants.O_RDONLY, errno },
      ),
  );
}

/** A file's bytes. */
export const readBytes = (path: string): Buffer =>
  noting(() => fs.readFileSync(path), noteFile(path));

/** Opens a file to read it, its content counting as read; or to write, where only that it can be opened counts. */
export function openSync(path: string, flags: number): number {
  const {
    O_ACCMODE = 3,
    O_NOFOLLOW,
    O_RDONLY,
  } = fs.constants as typeof fs.constants & {
    O_ACCMODE?: number;
  };
  const open = () => fs.openSync(path, flags);
  if ((flags & O_ACCMODE) === O_RDONLY) {
    return noting(open, (flags & O_NOFOLLOW) === 0 ? noteFile(path) : noteLink(path));
  }
  return noting(open, (errno) => note({ kind: "open", path: absolutePath(path), flags, errno }));
}
