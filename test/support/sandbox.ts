/** Runs the installed command as a user would, and looks for what it may have left behind. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { guestName } from "./skip.js";

/** What is emulated, perhaps on a busy machine, gets more time. */
export const patienceMs = guestName === "" ? 30_000 : 300_000;

/** The launcher, absolute. */
export const command = resolve(import.meta.dirname, "../../cmd/sbx");

export interface SbxOptions {
  /** Standard input; nothing where absent. */
  readonly input?: string | Uint8Array;
  /** Settings beside those of this process; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** After this the launcher, or what it has become, is killed, and the promise rejected. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/** How the command ended: `code` is null where a signal ended it. */
export interface SbxResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came, for what is not text. */
  readonly bytes: Buffer;
}

/** Runs `sbx` with the arguments to its end. */
export function sbx(args: readonly string[], options: SbxOptions = {}): Promise<SbxResult> {
  return start([command, ...args], options);
}

/** Runs any command to its end, as `sbx` does. */
export function start(
  [file = "", ...args]: readonly string[],
  { input = "", env = {}, timeoutMs = patienceMs, cwd = process.cwd() }: SbxOptions = {},
): Promise<SbxResult> {
  return new Promise((done, reject) => {
    const child = spawn(file, args, { cwd, env: { ...process.env, ...env } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk) => out.push(chunk));
    child.stderr.on("data", (chunk) => err.push(chunk));
    // EPIPE: whether a command reads all of its input is its own business.
    child.stdin.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") reject(error);
    });
    child.stdin.end(input);
    const stdout = () => Buffer.concat(out);
    const stderr = () => Buffer.concat(err).toString();
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(
        new Error(`${file} ${args.join(" ")}: not done in ${timeoutMs} ms\n${stdout()}${stderr()}`),
      );
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const bytes = stdout();
      done({ code, signal, stdout: bytes.toString(), stderr: stderr(), bytes });
    });
  });
}

export interface LeftProcess {
  readonly pid: number;
  /** The arguments, separated by spaces. */
  readonly commandLine: string;
}

/** All processes that this user can see, with their arguments; kernel threads have none. */
function processes(): LeftProcess[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const commandLine = readOrNull(`/proc/${name}/cmdline`)?.replaceAll("\0", " ").trim();
      return commandLine ? [{ pid: Number(name), commandLine }] : [];
    });
}

function readOrNull(path: string): string | null {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    // The process has ended meanwhile, or hides from other users.
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(`${(error as NodeJS.ErrnoException).code}`))
      return null;
    throw error;
  }
}

/** The processes that have the text in their arguments, this one aside. */
export function processesNaming(text: string): LeftProcess[] {
  return processes().filter(({ pid, commandLine }) => {
    return pid !== process.pid && commandLine.includes(text);
  });
}

/** The mount points of this mount namespace, sorted, see proc_pid_mountinfo(5). */
export function mountPoints(): string[] {
  return fs
    .readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .sort();
}

/** The entries of directories where sandboxes keep what they throw away, sorted. */
export function entriesOf(...directories: readonly string[]): string[] {
  return directories
    .filter((directory) => fs.existsSync(directory))
    .flatMap((directory) => fs.readdirSync(directory).map((name) => join(directory, name)))
    .sort();
}
