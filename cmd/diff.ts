/**
 * `sbx diff UPPER|NAME`: what a kept upper, or a sandbox, adds, changes and deletes, as a tree or as JSON.
 * A word with a slash is an upper.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { isSystemError } from "../launch/facts/system-error.js";
import { launcher } from "../launch/launcher.js";
import { callersPlaces, findView } from "../launch/life/sandboxes.js";
import { runMapped } from "../launch/process/mapped.js";
import type { Change, DiffEntry } from "../launch/store/diff.js";
import { readUpperRecord } from "../launch/store/kept-upper.js";
import { fail, visible } from "../spec/error.js";
import { print } from "./print.js";

export interface DiffOptions {
  /** Instead of those that the upper was made with, topmost first. */
  readonly lower?: readonly string[] | undefined;
  readonly json: boolean;
}

/** Gives the exit status. */
export async function diff(path: string, { lower, json }: DiffOptions): Promise<number> {
  const upper = path.includes("/") ? resolve(path) : await upperOf(path);
  try {
    const { diff } = await import("../launch/store/diff.js");
    const record = readUpperRecord(upper);
    const lowers = lower?.map((each) => resolve(each)) ?? record?.lowers;
    if (lowers === undefined) {
      if (!existsSync(upper)) {
        fail(`compare ${path}`, "there is no such directory (ENOENT)", "Correct the path");
      }
      fail(`compare ${path}`, "it is not known what lies below it", "Name that with --lower DIR");
    }
    const entries = diff({ upper, lowers, marks: record?.overlay !== "kernel" });
    const text = json
      ? `${JSON.stringify({ upper, lowers, ...totals(entries), entries }, null, 2)}\n`
      : renderTree(entries);
    print(text);
    return 0;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // Files of other ids may be read as the root of the id map.
    if (error.code === "EACCES" && process.getuid?.() !== 0) {
      const options = (lower ?? []).flatMap((each) => ["--lower", each]);
      return runMapped([launcher(), "diff", ...options, ...(json ? ["--json"] : []), upper]);
    }
    return fail(`compare ${path}`, error.message, "Give directories, and no links to them");
  }
}

/** Where the sandbox of that name keeps what it has written. */
async function upperOf(word: string): Promise<string> {
  const { name, spec, status } = await findView(callersPlaces(process.env), word);
  const what = `compare ${name}`;
  const { upper } = spec.sbx;
  if (upper === undefined) {
    fail(what, "what it writes is not kept", "It is with sbx run -d or sbx create, without --rm");
  }
  if (!existsSync(upper)) fail(what, `nothing is written yet: it is ${status}`);
  return upper;
}

/** How many entries there are of each change, and the bytes of the files that are there. */
function totals(entries: readonly DiffEntry[]) {
  const count = (change: Change) => entries.filter((entry) => entry.change === change).length;
  return {
    added: count("added"),
    changed: count("changed"),
    deleted: count("deleted"),
    sizeBytes: entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** As `podman diff` names them. */
const letters = { added: "A", changed: "C", deleted: "D" } as const satisfies Record<
  Change,
  string
>;

/** A line for each entry, and for the directories on the way to it; the last has the totals. */
function renderTree(entries: readonly DiffEntry[]): string {
  const lines: string[] = [];
  let open: string[] = [];
  for (const { path, change, type, sizeBytes } of entries) {
    const names = path.slice(1).split("/");
    const common = names.findIndex((name, index) => name !== open[index]);
    for (let depth = common; depth < names.length; depth++) {
      const isLast = depth === names.length - 1;
      const letter = isLast ? letters[change] : " ";
      const size = isLast && type === "file" && change !== "deleted" ? readable(sizeBytes) : "";
      const end = !isLast || type === "directory" ? "/" : "";
      const name = visible(`${names[depth]}${end}`);
      lines.push(`${letter} ${size.padStart(8)}  ${"  ".repeat(depth)}${name}`);
    }
    open = names;
  }
  const { added, changed, deleted, sizeBytes } = totals(entries);
  lines.push(`${added} added, ${changed} changed, ${deleted} deleted; ${readable(sizeBytes)}`);
  return `${lines.join("\n")}\n`;
}

/** `17 B`, `1.5 KiB`. */
function readable(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  const number = bytes / 1024 ** power;
  return `${power === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[power]}`;
}
