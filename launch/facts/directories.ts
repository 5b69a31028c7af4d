/** Directories of sbx's own below the caller's home. */
import * as fs from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fail } from "../../spec/error.js";
import { lstatSync, realpathSync } from "./readings.js";

/**
 * What stays when the machine is switched off: `${XDG_DATA_HOME:-~/.local/share}/sbx`. A relative
 * XDG_DATA_HOME is ignored (XDG Base Directory Specification 0.8).
 */
export function dataDirectory({ XDG_DATA_HOME: data }: NodeJS.ProcessEnv, home: string): string {
  return join(data !== undefined && isAbsolute(data) ? data : join(home, ".local/share"), "sbx");
}

/**
 * mkdir -p, each of mode 0700. Not Node's own `recursive`, which never returns where mkdir(2) gives
 * ENOENT in a directory that is there, as /proc does.
 */
export function makeDirectories(path: string): void {
  if (fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectories(dirname(path));
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another sbx was faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** The path itself, or of the directories above it the first that is there; without links. */
export function nearest(path: string): string {
  let at = path;
  while (lstatSync(at, { throwIfNoEntry: false }) === undefined) at = dirname(at);
  return realpathSync(at);
}

/** The sticky bit, inode(7). */
const S_ISVTX = 0o1000;

/** Whether others than the user may make files in a directory. */
export function othersWrite({ mode, uid: owner, gid }: fs.Stats, uid: number): boolean {
  return (mode & (owner === uid && gid === uid ? 0o002 : 0o022)) !== 0;
}

/**
 * What is found by its path can be replaced by whoever may write to any directory on it: the first such
 * directory, which may be `directory` itself, null where there is none. Sticky directories are safe, as
 * the entry below is ours or root's; so is the group of a user who is alone in it, known by having the
 * number of its user.
 */
export function dangerOf(
  directory: string,
  uid: number,
): { readonly directory: string; readonly why: string } | null {
  const stats = lstatSync(directory);
  const { mode, uid: owner } = stats;
  if (owner !== 0 && owner !== uid) return { directory, why: `it belongs to uid ${owner}` };
  if (othersWrite(stats, uid) && (mode & S_ISVTX) === 0) {
    return { directory, why: "others may write to it" };
  }
  return directory === "/" ? null : dangerOf(dirname(directory), uid);
}

/** Fails where somebody else may put sandboxes of their making into the directory. */
export function requireSafe(directory: string, uid: number): void {
  const danger = dangerOf(nearest(directory), uid);
  if (danger === null) return;
  fail(`keep sandboxes in ${directory}`, `${danger.directory}: ${danger.why}`, elsewhere);
}

/** Makes the directory where it is missing. Fails where anybody else may change or read what is in it. */
export function requirePrivate(directory: string, uid: number): void {
  const what = `keep sandboxes in ${directory}`;
  requireSafe(directory, uid);
  makeDirectories(directory);
  const stats = fs.lstatSync(directory);
  if (!stats.isDirectory()) fail(what, "it is no directory", elsewhere);
  if (stats.uid !== uid) fail(what, `it belongs to uid ${stats.uid}`, elsewhere);
  if ((stats.mode & 0o077) !== 0) fail(what, "others may enter it", `chmod 700 ${directory}`);
}

const elsewhere = "XDG_DATA_HOME can name a directory of yours";
