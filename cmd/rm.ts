/** `sbx rm UPPER…`: removes kept uppers, whoever owns the files in them. */
import { closeSync, constants, openSync } from "node:fs";
import { resolve } from "node:path";
import { isSystemError } from "../launch/in-root.js";
import { readUpperRecord, recordOf, workOf } from "../launch/kept-upper.js";
import { removeTrees } from "../launch/mapped.js";
import { fail } from "../spec/error.js";

/** Gives up, before anything is removed, where one of them is no upper of sbx's or is in use. */
export async function rm(uppers: readonly string[]): Promise<void> {
  const { tryLock } = await import("../launch/file-calls.js");
  const locked = uppers.map((path) => {
    const upper = resolve(path);
    const what = `remove the upper ${path}`;
    const fd = openDirectory(upper, what);
    if (readUpperRecord(upper) === null) {
      if (fd === null) fail(what, "there is no such directory (ENOENT)", "Correct the path");
      fail(
        what,
        `it is no upper of a sandbox: there is no ${recordOf(upper)}`,
        "Give a directory that --upper named. `sbx unshare` has a shell that may remove other files of a sandbox's ids",
      );
    }
    if (fd !== null && !tryLock(fd)) fail(what, "a sandbox is using it", "End that first");
    return { upper, fd };
  });
  for (const { upper, fd } of locked) {
    // The record last: what is interrupted can be done again.
    removeTrees([upper]);
    removeTrees([workOf(upper)]);
    if (fd !== null) closeSync(fd);
  }
}

/** Null where it is gone already. */
function openDirectory(path: string, what: string): number | null {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === "ENOENT") return null;
    return fail(what, error.message, "Give the directory of the upper itself, and no link to it");
  }
}
