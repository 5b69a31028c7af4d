/** A terminal for tests: a tmux server of its own, which types and reads the screen. */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
let opened = 0;

export interface Terminal {
  /** Types the text, as it is. */
  type(text: string): Promise<void>;
  /** Types the text and Enter. */
  enter(text: string): Promise<void>;
  /** Presses keys by tmux's names for them: `C-c`, `Enter`, `Escape`. */
  press(...keys: string[]): Promise<void>;
  /** Gives the window another size, in characters; what runs in it gets a SIGWINCH. */
  resize(columns: number, rows: number): Promise<void>;
  /** What is on the screen, without blanks at the ends of lines and empty lines at the end. */
  screen(): Promise<string>;
  /** Waits for a text on the screen, and gives the screen; fails with the screen after the time. */
  waitFor(text: string | RegExp, timeoutMs?: number): Promise<string>;
  /** Ends the server and all that runs in it. */
  close(): Promise<void>;
}

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly cwd?: string;
  /** Settings beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a shell command in a new terminal, 100 by 30 where nothing else is asked for. */
export async function openTerminal(
  command: string,
  { columns = 100, rows = 30, cwd = process.cwd(), env = {} }: TerminalOptions = {},
): Promise<Terminal> {
  opened += 1;
  const socket = `sbx-test-${process.pid}-${opened}`;
  const { TMUX: _outer, ...ownEnv } = process.env;
  const tmux = async (...args: string[]) =>
    (await run("tmux", ["-L", socket, ...args], { env: { ...ownEnv, ...env }, cwd })).stdout;
  await run(
    "tmux",
    // The pane stays when the command has ended, so that its last words can be read.
    `-L ${socket} -f /dev/null start-server ; set-option -g remain-on-exit on ; set-option -g status off ; new-session -d -x ${columns} -y ${rows}`
      .split(" ")
      .concat(["-c", cwd, command]),
    { env: { ...ownEnv, ...env }, cwd },
  );

  const server = Number(await tmux("display-message", "-p", "#{pid}"));

  const screen = async () => {
    // tmux with libutempter misses the end of a command that ends just when its terminal does: the library
    // sets SIGCHLD back to its default while it runs its helper.
    process.kill(server, "SIGCHLD");
    return (await tmux("capture-pane", "-p")).replace(/\s+$/, "");
  };
  const until = async <T>(what: string, timeoutMs: number, look: () => Promise<T | null>) => {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await look();
      if (found !== null) return found;
      if (performance.now() > deadline) {
        throw new Error(`${what} not seen in ${timeoutMs} ms on this screen:\n${await screen()}`);
      }
      await sleep(50);
    }
  };
  const type = async (text: string) => {
    await tmux("send-keys", "-l", "--", text);
  };
  const press = async (...keys: string[]) => {
    await tmux("send-keys", ...keys);
  };

  return {
    type,
    press,
    enter: async (text) => {
      await type(text);
      await press("Enter");
    },
    resize: async (toColumns, toRows) => {
      await tmux("resize-window", "-x", `${toColumns}`, "-y", `${toRows}`);
    },
    screen,
    waitFor: (text, timeoutMs = 20_000) =>
      until(`${text}`, timeoutMs, async () => {
        const now = await screen();
        return (typeof text === "string" ? now.includes(text) : text.test(now)) ? now : null;
      }),
    close: async () => {
      await tmux("kill-server");
    },
  };
}
