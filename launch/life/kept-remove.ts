/** Removing kept sandboxes, and what was interrupted in being made or removed. */
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { SbxError } from "../../spec/error.js";
import { isSystemError } from "../facts/system-error.js";
import { removeTrees } from "../process/mapped.js";
import { type Damaged, type Kept, lockKept } from "./kept.js";
import { forgetNames } from "./kept-names.js";

/** Removes directories of kept sandboxes, which the caller has locked, with all in them, whoever owns it. */
export function removeLocked(directories: readonly string[]): void {
  removeAll(
    directories.map((directory) => {
      // From here on it is gone to all others, however long the rest takes.
      const away = join(dirname(directory), `.${basename(directory)}`);
      fs.renameSync(directory, away);
      return away;
    }),
  );
}

/** Removes those that nobody has locked, with their names; gives the others. */
export async function removeKept<T extends Pick<Kept, "directory" | "name">>(
  data: string,
  all: readonly T[],
): Promise<T[]> {
  const busy: T[] = [];
  const locked: T[] = [];
  const fds: number[] = [];
  try {
    for (const each of all) {
      const fd = await lockKept(each.directory);
      if (fd === "busy") busy.push(each);
      if (typeof fd !== "number") continue;
      fds.push(fd);
      locked.push(each);
    }
    removeLocked(locked.map(({ directory }) => directory));
  } finally {
    for (const fd of fds) fs.closeSync(fd);
  }
  await forgetNames(
    data,
    locked.map(({ name }) => name),
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
      if (typeof fd !== "number") continue;
      try {
        removeAll([directory]);
      } finally {
        fs.closeSync(fd);
      }
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
