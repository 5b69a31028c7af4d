/**
 * Keeps compiled programs as files that can be executed, named by their content, so that the
 * launcher has something to exec. Where no place will do, the program is executed from memory.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fail, SbxError } from "../../spec/error.js";
import { dangerOf, makeDirectories, nearest } from "../facts/directories.js";
import { isSystemError } from "../facts/system-error.js";
import type { EntryFile } from "./entry.js";

/** What the store depends on besides the file system. */
export interface StoreHost {
  /** Only HOME's and XDG's variables are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The home directory, absolute; null where there is none. */
  readonly home: string | null;
  readonly uid: number;
  /** Now, in milliseconds since 1970. */
  readonly nowMs: number;
}

/** Where the program is; `refusals` says of each place why it would not do, in one phrase. */
export type Kept =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "memfd"; readonly refusals: readonly string[] };

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const programName = /^[0-9a-f]{32}$/;
const entryFile = /^[0-9a-f]{16}\.run$/;
const temporaryName = /^\.([0-9a-f]{32}|[0-9a-f]{16}\.run)\.[0-9a-f]{16}$/;

/**
 * The directories that may hold programs, best first. The cache outlives the session, and is on
 * disk; the runtime directory (XDG Base Directory Specification 0.8) serves where home is
 * read-only or mounted noexec. Relative values are to be ignored, as the specification says.
 */
export function programPlaces({ env, home }: Pick<StoreHost, "env" | "home">): string[] {
  const absolute = (path: string | undefined) => path !== undefined && isAbsolute(path);
  const cache = absolute(env.XDG_CACHE_HOME)
    ? env.XDG_CACHE_HOME
    : home === null
      ? undefined
      : join(home, ".cache");
  const places: string[] = [];
  if (cache !== undefined && absolute(cache)) places.push(join(cache, "sbx/programs"));
  const runtime = env.XDG_RUNTIME_DIR;
  if (runtime !== undefined && absolute(runtime)) places.push(join(runtime, "sbx"));
  return places;
}

/**
 * Keeps the program in the first place that is safe and can execute. Never fails for what a place
 * is or lacks (full disk, noexec, read-only, foreign): the next one is tried then.
 */
export function keep(program: Uint8Array, host: StoreHost): Kept {
  const refusals: string[] = [];
  for (const place of programPlaces(host)) {
    try {
      return { kind: "file", path: keepIn(place, program, host) };
    } catch (error) {
      refusals.push(refusal(error));
    }
  }
  if (refusals.length === 0) refusals.push("neither HOME nor XDG_RUNTIME_DIR names a directory");
  return { kind: "memfd", refusals };
}

/**
 * Puts entries of the cache beside the program at the path `program`. A disk that is full or read-only by now
 * keeps the next run from being fast, and nothing else.
 */
export function keepEntries(program: string, entries: readonly EntryFile[]): void {
  try {
    for (const { name, bytes } of entries) write(dirname(program), name, bytes, 0o600);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

/** What the kernel or `refuseUnsafe` has against a place; anything else is a bug and goes on. */
function refusal(error: unknown): string {
  if (error instanceof SbxError) return error.message.replace(/^sbx: /, "");
  if (error instanceof Error && "syscall" in error) return error.message;
  throw error;
}

function keepIn(place: string, program: Uint8Array, { uid, nowMs }: StoreHost): string {
  // Before anything is made: root with the HOME of a user must leave nothing of root's in it.
  refuseUnsafe(nearest(place), uid);
  makeDirectories(place);
  const directory = fs.realpathSync(place);
  refuseUnsafe(directory, uid);
  const { mode, uid: owner } = fs.lstatSync(directory);
  if (owner !== uid) unsafe(directory, `it belongs to uid ${owner}`);
  if ((mode & 0o022) !== 0) unsafe(directory, "others may write to it");
  // The launcher reads the path from a line of its own.
  if (directory.includes("\n")) unsafe(directory, "the path has a line break in it");

  const name = createHash("sha256").update(program).digest("hex").slice(0, 32);
  const path = join(directory, name);
  if (holds(path, program, uid)) {
    refreshTime(path, nowMs);
  } else {
    write(directory, name, program, 0o700);
    evict(directory, nowMs);
  }
  // EACCES for a file of mode 0700 of our own says that the mount is noexec, see access(2).
  fs.accessSync(path, fs.constants.X_OK);
  return path;
}

function unsafe(path: string, why: string): never {
  fail(`keep programs in ${path}`, why);
}

function refuseUnsafe(directory: string, uid: number): void {
  const danger = dangerOf(directory, uid);
  if (danger !== null) unsafe(danger.directory, danger.why);
}

/** Whether the file is one that `write` has left behind, whole and unchanged. */
function holds(path: string, program: Uint8Array, uid: number): boolean {
  let fd: number;
  try {
    // O_NONBLOCK: a FIFO of that name must not keep us waiting.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    // Absent, a link, or not to be read: `write` puts a good one in its place, or says why not.
    return false;
  }
  try {
    const stat = fs.fstatSync(fd);
    return (
      stat.isFile() &&
      stat.uid === uid &&
      (stat.mode & 0o7777) === 0o700 &&
      stat.size === program.length &&
      fs.readFileSync(fd).equals(program)
    );
  } finally {
    fs.closeSync(fd);
  }
}

/** Puts a file in place by rename, so that no one ever executes or reads half of it. */
function write(directory: string, name: string, content: Uint8Array, mode: number): void {
  const temporary = join(directory, `.${name}.${randomBytes(8).toString("hex")}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    try {
      // The umask of the caller may have taken bits away.
      fs.fchmodSync(fd, mode);
      fs.writeFileSync(fd, content);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, join(directory, name));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** Once a day is enough to tell what is in use. */
function refreshTime(path: string, nowMs: number): void {
  if (nowMs - fs.statSync(path).mtimeMs < dayMs) return;
  fs.utimesSync(path, nowMs / 1000, nowMs / 1000);
}

/** Whether a file of that name is one that is kept in a place of programs. */
export const isKept = (name: string): boolean =>
  [programName, entryFile, temporaryName].some((pattern) => pattern.test(name));

/** More programs and entries than these are not kept, those that were used last. */
const mostFiles = 1000;

/**
 * Removes what was not used for 30 days, where there is too much what was not used for longest, and what writers
 * that were killed have left behind.
 */
function evict(directory: string, nowMs: number): void {
  const left: { path: string; usedMs: number }[] = [];
  for (const name of fs.readdirSync(directory)) {
    const limitMs =
      programName.test(name) || entryFile.test(name)
        ? 30 * dayMs
        : temporaryName.test(name)
          ? hourMs
          : null;
    if (limitMs === null) continue;
    const path = join(directory, name);
    // Absent when another sbx evicts at the same time.
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    // A program that is found by its words is executed, and not written to.
    const usedMs = Math.max(stat.atimeMs, stat.mtimeMs);
    if (nowMs - usedMs > limitMs) fs.rmSync(path, { force: true });
    else left.push({ path, usedMs });
  }
  left.sort((a, b) => b.usedMs - a.usedMs);
  for (const { path } of left.slice(mostFiles)) fs.rmSync(path, { force: true });
}
