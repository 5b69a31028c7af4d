/** The sandbox's side of `sbx cp` and `sbx export`: its root is open (launch/programs/doorway.ts). */
import { createReadStream, createWriteStream, write, writeSync } from "node:fs";
import type { Job } from "../launch/copy/job.js";
import { pack } from "../launch/copy/pack.js";
import { rootTree } from "../launch/copy/tree.js";
import { unpack } from "../launch/copy/unpack.js";
import { isSystemError } from "../launch/facts/system-error.js";
import { rootFd } from "../launch/lower/rootfs/open-root.js";

/** The exit status where nobody reads what is written, as of who is killed by SIGPIPE. */
export const brokenPipe = 141;

/** koffi flushes standard output at the end, and tells where it is closed. */
const unclosed = { write, close: (_: number, done: (error: null) => void) => done(null) };

/** `argv` is the job as JSON. Gives 1 where something was left out. */
export async function copySide([words = ""]: readonly string[]): Promise<number> {
  const job: Job = JSON.parse(words);
  const tree = rootTree(rootFd);
  try {
    // Not process.stdin and process.stdout, which would leave O_NONBLOCK on pipes that are the caller's.
    const failures =
      job.kind === "pack"
        ? await pack(tree, job, createWriteStream("", { fd: 1, fs: unclosed }), say)
        : await unpack(tree, job, createReadStream("", { fd: 0, autoClose: false }), say);
    return Math.min(failures, 1);
  } catch (error) {
    if (isSystemError(error) && error.code === "EPIPE") return brokenPipe;
    throw error;
  }
}

/** What is left out is told at once. */
export const say = (line: string): void => void writeSync(2, `${line}\n`);
