/** Removing kept sandboxes, and what was interrupted in being made or removed. */
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { SbxError } from "../spec/error.js";
import { isSystemError } from "./in-root.js";
import { type Damaged, type Kept, lockKept } from "./kept.js";
import { forgetNames } from "./kept-names.js";
import { removeTrees } from "./mapped.js";

/**
 * Removes the directories of kept sandboxes with all that is in them, whoever inside owns it. `fds` are
 * the locks on them, which are given back.
 */
export function removeLocked(directories: ReadonlyMap<string, number>): void {
  try {
    removeAll(
      [...directories.keys()].map((directory) => {
        // From here on it is gone to all others, however long the rest takes.
        const away = join(dirname(directory), `.${basename(directory)}`);
        fs.renameSync(directory, away);
        return away;
      }),
    );
  } finally {
    for (const fd of directories.values()) fs.closeSync(fd);
  }
}

/** Removes those that nobody has locked, with their names; gives the others. */
export async function removeKept<T extends Pick<Kept, "directory" | "name">>(
  data: string,
  all: readonly T[],
): Promise<T[]> {
  const busy: T[] = [];
  const locked = new Map<string, number>();
  for (const each of all) {
    const fd = await lockKept(each.directory);
    if (fd === "busy") busy.push(each);
    else if (fd !== "gone") locked.set(each.directory, fd);
  }
  removeLocked(locked);
  await forgetNames(
    data,
    all.flatMap((each) => (locked.has(each.directory) ? each.name : [])),
  );
  return busy;
}

/** Files of other ids are only where something was written inside. */
function removeAll(directories: readonly string[]): void {
  const hasUpper = (directory: string) => fs.existsSync(join(directory, "upper.work"));
  const foreign = directories.filter(hasUpper);
  if (foreign.length > 0) removeTrees(foreign);
  for (const directory of directories) {
    if (!foreign.includes(directory)) fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** Removes what nobody is at any more; gives what cannot be removed. */
export async function removeLeftovers(directories: readonly string[]): Promise<Damaged[]> {
  const damaged: Damaged[] = [];
  for (const directory of directories) {
    try {
      const fd = await lockKept(directory);
      if (typeof fd === "number") withLocked(fd, () => removeAll([directory]));
    } catch (error) {
      if (!(error instanceof SbxError) && !isSystemError(error)) throw error;
      const problem = {
        what: `remove ${directory}, which an interrupted command has left`,
        why: error.message,
        hint: "Remove it yourself",
      };
      damaged.push({ id: basename(directory).slice(1), directory, problem });
    }
  }
  return damaged;
}

function withLocked(fd: number, act: () => void): void {
  try {
    act();
  } finally {
    fs.closeSync(fd);
  }
}
