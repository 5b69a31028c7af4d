/**
 * The names of kept sandboxes: a file NAME each below `names` of the data directory, which holds the
 * ID. It counts where the sandbox of that ID has the name by its own word; else what wrote it was
 * interrupted, and the name is free.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { makeDirectories } from "../facts/directories.js";
import { isId, readKept } from "./kept.js";
import { withLock } from "./lock-file.js";
import { readPlain } from "./plain-file.js";

export const nameFile = (data: string, name: string) => join(data, "names", name);

/** Alone with all names. */
export async function withNames<T>(data: string, work: () => T): Promise<T> {
  makeDirectories(join(data, "names"));
  return withLock(nameFile(data, ".lock"), work);
}

/** The ID of the kept sandbox of that name; null where there is none. */
export function holderOf(data: string, name: string): string | null {
  const id = readPlain(nameFile(data, name))?.text.trim() ?? "";
  if (!isId(id)) return null;
  const kept = readKept(data, id);
  return kept !== null && ("problem" in kept || kept.name === name) ? id : null;
}

/** Removes those of the names that count no more. */
export async function forgetNames(data: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await withNames(data, () => {
    for (const name of names) {
      if (holderOf(data, name) === null) {
        fs.rmSync(nameFile(data, name), { recursive: true, force: true });
      }
    }
  });
}

/** Does so with all but those of `known` sandboxes. */
export async function sweepNames(data: string, known: ReadonlySet<string>): Promise<void> {
  const directory = join(data, "names");
  const names = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  await forgetNames(
    data,
    names.filter((name) => name !== ".lock" && !known.has(name)),
  );
}
