/** What is in the cache of programs, for those who look into it. */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { unlessRefused } from "../facts/system-error.js";
import { decodeEntry } from "./entry.js";
import { isKept } from "./store.js";

/** A command line whose program is kept. */
export interface Cached {
  /** From `run` to ROOTFS. */
  readonly words: readonly string[];
  /** That the words are relative to; null where they are not. */
  readonly directory: string | null;
  /** Absolute. */
  readonly program: string;
  /** Of the program. */
  readonly bytes: number;
  /** In milliseconds since 1970; of a file system without times of access, when it was compiled. */
  readonly usedMs: number;
}

/** Newest first; what is removed meanwhile is passed over, and so is what is no entry. */
export function listCache(places: readonly string[]): Cached[] {
  return filesIn(places)
    .flatMap((path) => {
      if (!path.endsWith(".run")) return [];
      const entry = unlessRefused(() => decodeEntry(fs.readFileSync(path)));
      if (entry?.program == null) return [];
      const { words, directory } = entry;
      const program = join(dirname(path), entry.program);
      const stat = unlessRefused(() => fs.statSync(program));
      const usedMs = unlessRefused(() => usedAt(path)) ?? 0;
      return stat === null ? [] : [{ words, directory, program, bytes: stat.size, usedMs }];
    })
    .sort((a, b) => b.usedMs - a.usedMs);
}

/** Programs that run go on: their files are only without a name. */
export function pruneCache(places: readonly string[]): { files: number; bytes: number } {
  let [files, bytes] = [0, 0];
  for (const path of filesIn(places)) {
    // Absent when another one prunes at the same time.
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    fs.rmSync(path, { force: true });
    files += 1;
    bytes += stat.size;
  }
  return { files, bytes };
}

/** Programs, entries, and what writers that were killed left behind; nothing else that may be there. */
function filesIn(places: readonly string[]): string[] {
  return places.flatMap((place) =>
    (unlessRefused(() => fs.readdirSync(place)) ?? [])
      .filter(isKept)
      .map((name) => join(place, name)),
  );
}

const usedAt = (path: string) => {
  const { atimeMs, mtimeMs } = fs.statSync(path);
  return Math.floor(Math.max(atimeMs, mtimeMs));
};
