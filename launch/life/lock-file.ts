/** Locks of flock(2), which end with who holds them, so that nothing is left locked. */
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** What `work` gives, which has the file at `path` locked meanwhile. The file is made where it is missing. */
export async function withLock<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  const { tryLock } = await import("../native/file-calls.js");
  const { O_RDONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    while (!tryLock(fd)) await sleep(5);
    return await work();
  } finally {
    fs.closeSync(fd);
  }
}
