/**
 * Work on files of other ids: what a sandbox wrote as its uid 1000 belongs to a subordinate id
 * outside, which is the user's to handle inside the id map alone.
 */
import { spawnSync } from "node:child_process";
import { fail } from "../../spec/error.js";
import { launcher } from "../launcher.js";

/**
 * Runs a command with the whole id map of the caller, as `sbx unshare` does; root's needs none. Gives
 * its exit status, and has its input and output.
 */
export function runMapped(words: readonly string[]): number {
  const isRoot = process.getuid?.() === 0;
  const all = isRoot ? words : [launcher(), "unshare", "--userns=auto", "--", ...words];
  const [file = "", ...rest] = all;
  const { status, signal, error } = spawnSync(file, rest, { stdio: "inherit" });
  if (error !== undefined) fail(`run ${file}`, error.message);
  return status ?? fail(`run ${file}`, `it was killed by ${signal}`);
}

/**
 * Removes directories with all that is in them, whoever of the caller's ids owns it. rm(1) goes by
 * open directories, so that nobody who moves them about meanwhile can lead it elsewhere.
 */
export function removeTrees(paths: readonly string[]): void {
  const status = runMapped(["rm", "-rf", "--", ...paths]);
  if (status !== 0) {
    fail(`remove ${paths.join(" and ")}`, `rm ended with status ${status}, see its message above`);
  }
}
