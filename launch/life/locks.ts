/** Who holds which lock: by that it is told what runs. */
import * as fs from "node:fs";
import { lockInode } from "./kept.js";
import type { Sandbox } from "./sandbox.js";

export const lockOf = (pid: number, inode: number) => `${pid} ${inode}`;

/**
 * Who holds which lock of flock(2): proc_locks(5). The device is left out, as btrfs and overlayfs tell
 * another one to stat(2).
 */
export function readLocks(): { pid: number; inode: number }[] {
  const lines = fs.readFileSync("/proc/locks", "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, pid, inode] = /FLOCK +ADVISORY +WRITE (\d+) [^ ]+:(\d+) /.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), inode: Number(inode) }];
  });
}

/** The inodes that somebody has locked. */
export const lockedInodes = (): Set<number> => new Set(readLocks().map(({ inode }) => inode));

/**
 * Whether its monitor is still there: who has opened that process before knows then that it is the monitor. One that is
 * started again gets a new record, and keeps the lock of its directory.
 */
export function isRunning({ monitor, inode, spec }: Sandbox): boolean {
  const own = [inode, spec.sbx.life && lockInode(spec.sbx.life.directory)];
  return readLocks().some((lock) => lock.pid === monitor && own.includes(lock.inode));
}

/** The monitor of the sandbox that is kept in the directory; null where it does not run. */
export const monitorOf = (directory: string): number | null =>
  readLocks().find(({ inode }) => inode === lockInode(directory))?.pid ?? null;
