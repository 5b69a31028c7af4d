/** Where a sandbox of the library's keeps changes of the rootfs, from its creation to `dispose`. */
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { cacheHome } from "../launch/facts/probe.js";
import { isSystemError } from "../launch/facts/system-error.js";
import { removeTrees } from "../launch/process/mapped.js";

const prefix = "changes-";
/** In the directory: whoever keeps changes there has it locked. */
const lockName = "lock";

export interface Changes {
  readonly upper: string;
  readonly remove: () => void;
}

/** Removes what processes that were killed have left behind, too. */
export async function openChanges(): Promise<Changes> {
  const { tryLock } = await import("../launch/native/file-calls.js");
  // Not in /tmp, which is another one inside where the rootfs is `/`.
  const cache = join(cacheHome(process.env, homedir()), "sbx");
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(cache)) {
    if (name.startsWith(prefix)) removeStale(join(cache, name), tryLock);
  }
  for (;;) {
    const directory = mkdtempSync(join(cache, prefix));
    const lock = openSync(join(directory, lockName), "wx");
    // Another process may have taken it for one that was left behind.
    if (tryLock(lock) && existsSync(directory)) return changesIn(directory, lock);
    closeSync(lock);
  }
}

function changesIn(directory: string, lock: number): Changes {
  let isRemoved = false;
  const remove = () => {
    if (isRemoved) return;
    isRemoved = true;
    removeTrees([directory]);
    closeSync(lock);
  };
  return { upper: join(directory, "upper"), remove };
}

function removeStale(directory: string, tryLock: (fd: number) => boolean): void {
  let lock: number;
  try {
    lock = openSync(join(directory, lockName), "r+");
  } catch (error) {
    // Just begun, or removed meanwhile.
    if (isSystemError(error)) return;
    throw error;
  }
  try {
    if (tryLock(lock)) removeTrees([directory]);
  } finally {
    closeSync(lock);
  }
}
