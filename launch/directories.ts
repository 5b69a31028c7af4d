/** Directories of sbx's own below the caller's home. */
import * as fs from "node:fs";
import { dirname } from "node:path";

/**
 * mkdir -p, each of mode 0700. Not Node's own `recursive`, which never returns where mkdir(2) gives
 * ENOENT in a directory that is there, as /proc does.
 */
export function makeDirectories(path: string): void {
  if (fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectories(dirname(path));
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another sbx was faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
