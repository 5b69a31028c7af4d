/** Waiting for what other processes change in a directory. */
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** How often is looked where the kernel tells nothing: an end leaves no trace in the directory. */
const lookAgainMs = 200;

/** Changes of a directory; where they cannot be watched, it is as if there were one all the time. */
export function watchDirectory(directory: string): { next(): Promise<void>; close(): void } {
  let wake = () => {};
  let changed = false;
  const onChange = () => {
    changed = true;
    wake();
  };
  let watcher: fs.FSWatcher | null = null;
  try {
    watcher = fs.watch(directory, onChange).on("error", () => {});
  } catch {
    // No more inotify watches, or no such directory any more: looking again is enough.
  }
  return {
    async next() {
      if (!changed) {
        const abort = new AbortController();
        wake = () => abort.abort();
        await sleep(lookAgainMs, null, { signal: abort.signal }).catch(() => {});
      }
      changed = false;
    },
    close: () => watcher?.close(),
  };
}
