/**
 * Files of which only some can be reached: those of a sandbox by its open root, or those below a directory. Every path
 * is resolved by the kernel, openat2(2), whatever somebody makes of the way meanwhile (CVE-2018-15664); an
 * open directory's own entries are reached through /proc/self/fd. Loads koffi: import it on demand.
 *
 * Paths and names are strings of latin1, a character for each byte: names need not be UTF-8.
 */
import * as fs from "node:fs";
import { getSystemErrorMap } from "node:util";
import koffi from "koffi";
import { fail } from "../../spec/error.js";
import { isSystemError } from "../facts/system-error.js";
import { errnoName } from "../native/native.js";

/** Where paths begin, as an fd, and how they are resolved. */
export interface Tree {
  readonly fd: number;
  readonly resolve: number;
}

// linux/fcntl.h, linux/openat2.h; the flags of open(2) are those of node:fs.
const AT_FDCWD = -100;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const RESOLVE_IN_ROOT = 0x10;
export const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;
/** The number of openat2(2), on x86-64 as on arm64. */
const openat2 = 437;

/** All that the caller may reach. */
export const hostTree: Tree = { fd: AT_FDCWD, resolve: 0 };
/** What is inside of the root; links lead where they would lead inside. */
export const rootTree = (fd: number): Tree => ({
  fd,
  resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
});
/** What is below a directory; no link leads anywhere. */
const treeBelow = (fd: number): Tree => ({ fd, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS });

const self = koffi.load(null);
const calls = {
  syscall: self.func(
    "long syscall(long number, int fd, const void *path, const void *how, size_t size)",
  ),
  mkfifo: self.func("int mkfifo(const void *path, unsigned int mode)"),
};

/** Opens a path; throws as node:fs does. */
export function openIn({ fd, resolve }: Tree, path: string, flags: number): number {
  // struct open_how: flags, mode, resolve.
  const how = BigUint64Array.of(BigInt(flags | O_CLOEXEC), 0n, BigInt(resolve));
  // EAGAIN: something on the way was moved meanwhile.
  for (let tries = 0; ; tries++) {
    const opened = Number(calls.syscall(openat2, fd, bytesOf(`${path}\0`), how, 24));
    if (opened >= 0) return opened;
    const code = errnoName();
    if (code === "ENOSYS") {
      fail("copy", "the kernel has no openat2(2)", "Linux 5.6 and later have it");
    }
    if (code !== "EAGAIN" || tries === 1000) {
      throw Object.assign(new Error(`openat2: ${code}`), { syscall: "openat2", code });
    }
  }
}

export const openDirectory = (tree: Tree, path: string): number =>
  openIn(tree, path, O_PATH | fs.constants.O_DIRECTORY);

export const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");
/** Text as a string of latin1, and the other way. */
export const fromText = (text: string): string => Buffer.from(text).toString("latin1");
export const toText = (path: string): string => bytesOf(path).toString();

/** An entry of an open directory; `.` is the directory itself. */
export interface Entry {
  readonly directory: number;
  readonly name: string;
}

/** The path of an entry. Never one to go on from, but to what is not followed. */
export const within = ({ directory, name }: Entry): Buffer =>
  bytesOf(`/proc/self/fd/${directory}/${name}`);

/** Null where nothing is there. */
export const statOf = (entry: Entry): fs.Stats | null =>
  fs.lstatSync(within(entry), { throwIfNoEntry: false }) ?? null;

/** Names in an open directory, sorted. */
export const namesIn = (directory: number): string[] =>
  fs.readdirSync(`/proc/self/fd/${directory}`, "latin1").sort();

/** Where a path leads: an entry, and its path in the tree. The directory is to be closed. */
export type Place = Entry & { readonly path: string };

/**
 * Where a path leads, whether something is there or not. The last name may be a link, which is followed where asked
 * for, or with a slash at the end. The directory above must be there.
 */
export function locate(tree: Tree, given: string, follow: boolean): Place {
  let path = given;
  for (let links = 0; ; links++) {
    const isDirectory = /\/$/.test(path);
    const [, above = "", name = ""] = /^(.*?)([^/]*)\/*$/s.exec(path) ?? [];
    if (["", ".", ".."].includes(name)) {
      return { directory: openDirectory(tree, path), name: ".", path };
    }
    const directory = openDirectory(tree, above || ".");
    const place = { directory, name, path: `${above}${name}` };
    const leadsOn = follow || isDirectory;
    if (!leadsOn || statOf(place)?.isSymbolicLink() !== true) return place;
    const target = fs.readlinkSync(within(place), "latin1");
    fs.closeSync(directory);
    // As path_resolution(7) has it.
    if (links === 40) throw Object.assign(new Error("ELOOP"), { syscall: "open", code: "ELOOP" });
    path = `${target.startsWith("/") ? "" : above}${target}${isDirectory ? "/" : ""}`;
  }
}

/** The same place, out of which no later path leads: by links of its tree, or by none at all below the host's. */
export function confine(
  tree: Tree,
  { directory, name, path }: Place,
): { tree: Tree; path: string } {
  return tree === hostTree ? { tree: treeBelow(directory), path: name } : { tree, path };
}

/** A named pipe. */
export function makePipe(entry: Entry, mode: number): void {
  if (calls.mkfifo(Buffer.concat([within(entry), Buffer.of(0)]), mode) === 0) return;
  throw Object.assign(new Error(), { syscall: "mkfifo", code: errnoName() });
}

/** Removes an entry with all that is in it. */
export function remove(entry: Entry): void {
  if (statOf(entry)?.isDirectory() !== true) {
    fs.unlinkSync(within(entry));
    return;
  }
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const directory = fs.openSync(within(entry), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const name of namesIn(directory)) remove({ directory, name });
  } finally {
    fs.closeSync(directory);
  }
  fs.rmdirSync(within(entry));
}

/** Throws an `SbxError` where it is the kernel that has refused. */
export function explain(error: unknown, what: string): never {
  if (!isSystemError(error)) throw error;
  fail(what, whyOf(error), hints[error.code]);
}

/** As `permission denied (EACCES)`. */
export function whyOf({ code }: { readonly code: string }): string {
  const [, text = ""] =
    [...getSystemErrorMap().values()].find(([name]) => name === code) ??
    ([code, "it was refused"] as const);
  return `${text} (${code})`;
}

const hints: Readonly<Record<string, string>> = {
  EROFS: "What was mounted read-only, or started with --read-only, takes no files",
  ENOSPC: "Make room there",
  EINVAL: "An owner may have no id there: without --archive files get owners that there are",
};
