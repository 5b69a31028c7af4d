/** `sbx rm UPPER…`: removes kept uppers, whoever owns the files in them. */
import { closeSync, lstatSync } from "node:fs";
import { resolve } from "node:path";
import { openUpperRecord, recordOf, workOf } from "../launch/kept-upper.js";
import { fail } from "../spec/error.js";
import { removeTrees } from "./mapped.js";

/** Gives up, before anything is removed, where one of them is no upper of sbx's or is in use. */
export async function rm(uppers: readonly string[]): Promise<void> {
  const { tryLock } = await import("../launch/file-calls.js");
  const locked = uppers.map((path) => {
    const upper = resolve(path);
    const what = `remove the upper ${path}`;
    if (lstatSync(upper, { throwIfNoEntry: false })?.isDirectory() === false) {
      fail(what, "it is not a directory (ENOTDIR)", "Give the directory itself, and no link to it");
    }
    const fd = openUpperRecord(upper);
    if (fd === null) {
      fail(
        what,
        `sbx has not made it: there is no ${recordOf(upper)}`,
        `Remove it yourself, with the id map of a sandbox: sbx unshare rm -r ${path}`,
      );
    }
    if (!tryLock(fd)) fail(what, "a sandbox is using it", "End that first");
    return { upper, fd };
  });
  for (const { upper, fd } of locked) {
    // The record last: what is interrupted can be done again.
    removeTrees([upper]);
    removeTrees([workOf(upper)]);
    closeSync(fd);
  }
}
