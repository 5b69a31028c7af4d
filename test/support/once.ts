/** What takes long to make, made once and kept in the cache. */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { testCache } from "./home.js";

/**
 * The directory of that name in the cache. Where there is none, `make` makes it, in an empty directory
 * that it is given, and gives its path. Test files that ask at the same time wait for each other.
 */
export async function madeOnce(
  name: string,
  make: (work: string) => Promise<string>,
): Promise<string> {
  const path = join(testCache(), name);
  if (fs.existsSync(path)) return path;
  const unlock = await lock(`${path}.lock`);
  try {
    if (fs.existsSync(path)) return path;
    const work = fs.mkdtempSync(`${path}.`);
    try {
      fs.renameSync(await make(work), path);
      return path;
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  } finally {
    unlock();
  }
}

/** Runs a command to its end; fails where it fails. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "inherit", "inherit"] });
  return exit(child, command);
}

/** Waits for the end of a child, and fails where that is no success. */
export function exit(child: ChildProcess, what: string): Promise<void> {
  return new Promise((done, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) done();
      else reject(new Error(`${what} ended with ${signal ?? code}`));
    });
  });
}

/** Waits for the lock of flock(1), and gives the function that lets go of it. */
async function lock(path: string): Promise<() => void> {
  const holder = spawn("flock", [path, "sh", "-c", "echo; cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = exit(holder, `lock ${path}`);
  const locked = new Promise((done) => holder.stdout.once("data", done));
  await Promise.race([locked, ended]);
  return () => holder.stdin.end();
}
