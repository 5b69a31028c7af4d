/** What a monitor that was killed has left behind. */
import * as fs from "node:fs";
import { isSystemError } from "../facts/system-error.js";
import { openPlain } from "./plain-file.js";
import type { Sandbox } from "./sandbox.js";

/** A file among the records. */
export interface Found {
  readonly path: string;
  readonly inode: number;
  readonly modifiedMs: number;
  /** Null where what is in the file is no record. */
  readonly said: Said | null;
}

/** A record, of whatever version. */
export type Said = Pick<Sandbox, "name" | "firstName" | "monitor"> & { readonly version: number };

/** Removes what nobody has locked, and gives the paths of what somebody has. */
export async function sweep(found: readonly Found[]): Promise<Set<string>> {
  const locked = new Set<string>();
  if (found.length === 0) return locked;
  const { tryLock } = await import("../native/file-calls.js");
  for (const { path, said } of found) {
    const fd = openPlain(path);
    if (fd === null) continue;
    try {
      if (!tryLock(fd)) locked.add(path);
      // Another may have taken the name since: only who has the lock removes a record.
      else if (fs.lstatSync(path, { throwIfNoEntry: false })?.ino === fs.fstatSync(fd).ino) {
        if (said?.version === 1) removeGroup((said as Sandbox).cgroup);
        fs.unlinkSync(path);
      }
    } finally {
      fs.closeSync(fd);
    }
  }
  return locked;
}

/** What a killed monitor could not. systemd may have been faster; else who next makes a group there is. */
function removeGroup(path: string | undefined): void {
  if (path === undefined) return;
  try {
    if (isGroup(path)) fs.rmdirSync(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

/** Whether it is a directory of a cgroup2 file system, by linux/magic.h: a record may lie. */
export function isGroup(path: string): boolean {
  return fs.statfsSync(path).type === 0x63677270;
}
