/**
 * What the upper of an overlay changes of what lies below it. Both are walked by open directories,
 * so that whoever moves things about in them meanwhile cannot lead the walk elsewhere.
 *
 * How a layer says that something is deleted: Documentation/filesystems/overlayfs.rst of Linux 6.18
 * ("whiteouts and opaque directories"), and the README and main.c of fuse-overlayfs 1.14.
 */
import * as fs from "node:fs";
import { readXattr } from "../native/file-calls.js";

export type Change = "added" | "changed" | "deleted";
export type EntryType = "directory" | "file" | "symlink" | "other";

export interface DiffEntry {
  /** Absolute, as it is inside; what is no UTF-8 in it is replaced by U+FFFD. */
  readonly path: string;
  readonly change: Change;
  /** Of what is there now; of what was there where it is deleted. */
  readonly type: EntryType;
  /** Of a file that is there; else 0. */
  readonly sizeBytes: number;
}

export interface Layers {
  /** Paths without links at their end; of the lower ones the topmost first. */
  readonly upper: string;
  readonly lowers: readonly string[];
  /** Whether empty files named `.wh.NAME` are marks of fuse-overlayfs. */
  readonly marks: boolean;
}

/**
 * In the order of the tree, names by their bytes; of a directory that is deleted only itself. Gives
 * up with the system's error on what cannot be read.
 */
export function diff({ upper, lowers, marks }: Layers): DiffEntry[] {
  const entries: DiffEntry[] = [];
  withLayers(upper, lowers, marks, (top, below) => compare("", top, below, false));
  return entries;

  function compare(path: string, top: Layer, below: readonly Layer[], covered: boolean): void {
    const opaque = covered || top.opaque;
    const hidden = opaque ? below.flatMap(({ names }) => [...names]) : [];
    for (const name of [...new Set([...top.names, ...top.deleted, ...hidden])].sort()) {
      const here = `${path}/${Buffer.from(name, "latin1")}`;
      const before = lookUp(below, name);
      const stats = top.names.has(name) ? statsOf(top, name) : null;
      if (stats === null) {
        if (before === null) continue;
        entries.push({ path: here, change: "deleted", type: typeOf(before.stats), sizeBytes: 0 });
        continue;
      }
      if (before === null || !isSameDirectory(before.stats, stats)) {
        const change = before === null ? "added" : "changed";
        const sizeBytes = stats.isFile() ? stats.size : 0;
        entries.push({ path: here, change, type: typeOf(stats), sizeBytes });
      }
      if (!stats.isDirectory()) continue;
      const rest = before?.directories ?? [];
      withLayers(within(top.fd, name), rest, marks, (inner, lower) => {
        compare(here, inner, lower, opaque);
      });
    }
  }
}

/** A directory is copied up with all of these, so that a difference in them is a change of its own. */
function isSameDirectory(before: fs.Stats, now: fs.Stats): boolean {
  const same = before.mode === now.mode && before.uid === now.uid && before.gid === now.gid;
  return now.isDirectory() && same;
}

function typeOf(stats: fs.Stats): EntryType {
  if (stats.isDirectory()) return "directory";
  if (stats.isFile()) return "file";
  return stats.isSymbolicLink() ? "symlink" : "other";
}

/** One directory of one layer. Names are kept as latin1, which has a character for each byte. */
interface Layer {
  readonly fd: number;
  readonly names: ReadonlySet<string>;
  /** What it says to be deleted of the layers below. */
  readonly deleted: ReadonlySet<string>;
  /** It covers the directories below it. */
  readonly opaque: boolean;
}

const mark = ".wh.";
/** AUFS, whose marks these are, keeps such names for itself. */
const ownMark = ".wh..wh.";
const opaqueMark = ".wh..wh..opq";
const opaqueNames = ["user.overlay.opaque", "trusted.overlay.opaque", "user.fuseoverlayfs.opaque"];
const whiteoutNames = ["user.overlay.whiteout", "trusted.overlay.whiteout"];

function readLayer(fd: number, marks: boolean): Layer {
  const names = new Set<string>();
  const deleted = new Set<string>();
  const own = within(fd, ".");
  const values = opaqueNames.map((name) => readXattr(own, name));
  let opaque = values.includes("y");
  // "x" says that there may be files that are whiteouts by an attribute of theirs.
  const byAttribute = values.includes("x");
  for (const name of fs.readdirSync(own, { encoding: "latin1" })) {
    const stats = fs.lstatSync(within(fd, name));
    const isEmpty = stats.isFile() && stats.size === 0;
    if (marks && isEmpty && name.startsWith(mark)) {
      if (name === opaqueMark) opaque = true;
      else if (!name.startsWith(ownMark)) deleted.add(name.slice(mark.length));
    } else if (
      (stats.isCharacterDevice() && stats.rdev === 0) ||
      (byAttribute && isEmpty && isMarkedWhiteout(within(fd, name)))
    ) {
      deleted.add(name);
    } else {
      names.add(name);
    }
  }
  return { fd, names, deleted, opaque };
}

function isMarkedWhiteout(path: Buffer): boolean {
  return whiteoutNames.some((name) => readXattr(path, name) !== null);
}

/** What the layers below show of a name together, and the directories that they merge there. */
function lookUp(
  below: readonly Layer[],
  name: string,
): { stats: fs.Stats; directories: Buffer[] } | null {
  let stats: fs.Stats | null = null;
  const directories: Buffer[] = [];
  for (const layer of below) {
    if (layer.deleted.has(name)) break;
    if (!layer.names.has(name)) continue;
    const found = statsOf(layer, name);
    stats ??= found;
    if (!found.isDirectory()) break;
    directories.push(within(layer.fd, name));
  }
  return stats === null ? null : { stats, directories };
}

function statsOf({ fd }: Layer, name: string): fs.Stats {
  return fs.lstatSync(within(fd, name));
}

/** The path of an entry of an open directory. */
function within(fd: number, name: string): Buffer {
  return Buffer.from(`/proc/self/fd/${fd}/${name}`, "latin1");
}

/** Opens directories for as long as `act` takes; those below an opaque one do not count. */
function withLayers(
  upper: string | Buffer,
  lowers: readonly (string | Buffer)[],
  marks: boolean,
  act: (top: Layer, below: readonly Layer[]) => void,
): void {
  const opened: Layer[] = [];
  const open = (path: string | Buffer) => {
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
    const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const layer = readLayer(fd, marks);
      opened.push(layer);
      return layer;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  };
  try {
    const top = open(upper);
    const below: Layer[] = [];
    for (const path of lowers) {
      const layer = open(path);
      below.push(layer);
      if (layer.opaque) break;
    }
    act(top, below);
  } finally {
    for (const { fd } of opened) fs.closeSync(fd);
  }
}
