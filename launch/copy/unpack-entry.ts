/**
 * One entry of a tar archive as a file. Nothing is written through a link of the host's, nor above the place that was
 * asked for, whatever the archive says: launch/copy/tree.ts has how.
 */

import * as fs from "node:fs";
import type * as tar from "tar-stream";
import { fail, visible } from "../../spec/error.js";
import { isSystemError } from "../facts/system-error.js";
import type { Unpack } from "./job.js";
import {
  type Entry,
  fromText,
  makePipe,
  O_PATH,
  openDirectory,
  openIn,
  remove,
  statOf,
  type Tree,
  within,
} from "./tree.js";

/** Where the archive goes, and how. */
export interface Target {
  readonly job: Unpack;
  readonly tree: Tree;
  /** Of its first entry, or of the directory that all is put into. */
  readonly path: string;
  /** Directories that were made, by their paths: they get their rights when all that is in them is there. */
  readonly made: Map<string, tar.Header>;
  /** How many files could not be made. */
  failures: number;
  readonly say: (line: string) => void;
}

export async function take(
  target: Target,
  header: tar.Header,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const { type = null, pax } = header as { type?: string | null; pax?: Record<string, string> };
  const leaveOut = (why: string) => {
    target.failures++;
    target.say(`sbx: ${copying(target, header)}: ${why}, and is left out`);
  };
  if (header.name.includes("\uFFFD")) return leaveOut("its name is no UTF-8");
  if (type === null || Object.keys(pax ?? {}).some((key) => key.startsWith("GNU.sparse"))) {
    fail(
      "read the archive",
      visible(`${header.name} is of a kind that is not understood, as of a sparse file`),
      "Make it anew, with tar --format=pax and without --sparse",
    );
  }
  const path = pathOf(target, header.name);
  if (path === target.path && type !== "directory" && target.job.as === null) {
    fail("read the archive", "it has a file in the place of the directory", "Make it anew");
  }
  if (type.endsWith("-device")) return leaveOut("devices cannot be made");
  const entry = openAbove(target, path);
  try {
    if (type === "directory") return takeDirectory(target, path, entry, header);
    clear(target, entry, header);
    if (type === "symlink") fs.symlinkSync(bytes(header.linkname), within(entry));
    else if (type === "link") return takeLink(target, entry, header);
    else if (type === "fifo") makePipe(entry, header.mode & 0o777);
    else return await takeFile(target, entry, header, content);
    if (ownersOf(target, header)) fs.lchownSync(within(entry), ...idsOf(header));
    fs.lutimesSync(within(entry), ...timesOf(header));
  } finally {
    fs.closeSync(entry.directory);
  }
}

/** What is done, in the words of an error: what is copied alone is `.` in the archive. */
const copying = ({ job }: Target, { name }: tar.Header): string =>
  visible(name === "." ? `copy to ${job.path}` : `copy ${name}`);

const bytes = (text: string | null | undefined) => Buffer.from(text ?? "");

/** The path of an entry of the archive in the tree. */
function pathOf({ path }: Target, name: string): string {
  const names = fromText(name)
    .split("/")
    .filter((each) => each !== "" && each !== ".");
  if (names.includes("..")) {
    fail(
      "read the archive",
      visible(`${name} leads out of it`),
      "Make it anew, without such names",
    );
  }
  return [path, ...names].join("/");
}

/** The directory that an entry belongs in is made where the archive has left it out. */
function openAbove(target: Target, path: string): Entry {
  const [, above = "", name = ""] = /^(?:(.*)\/)?([^/]*)$/s.exec(path) ?? [];
  if (name === "" || name === ".") {
    return { directory: openDirectory(target.tree, path || "/"), name: "." };
  }
  const parent = above || (path.startsWith("/") ? "/" : ".");
  try {
    return { directory: openDirectory(target.tree, parent), name };
  } catch (error) {
    if (!isSystemError(error) || error.code !== "ENOENT" || parent === target.path) throw error;
  }
  const entry = openAbove(target, parent);
  try {
    fs.mkdirSync(within(entry), 0o755);
  } finally {
    fs.closeSync(entry.directory);
  }
  return { directory: openDirectory(target.tree, parent), name };
}

/** One that is there stays as it is. */
function takeDirectory(target: Target, path: string, entry: Entry, header: tar.Header): void {
  try {
    // In a sandbox a link may lead to it.
    fs.closeSync(openIn(target.tree, path, O_PATH | fs.constants.O_DIRECTORY));
    return;
  } catch (error) {
    if (!isSystemError(error) || !["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code)) throw error;
  }
  const there = statOf(entry);
  if (there !== null && !target.job.overwrite) {
    fail(
      copying(target, header),
      "a directory cannot take the place of a file",
      "--overwrite removes the file",
    );
  }
  if (there !== null) remove(entry);
  fs.mkdirSync(within(entry), 0o700);
  target.made.set(path, header);
}

/** Removes what an entry takes the place of. */
function clear(target: Target, entry: Entry, header: tar.Header): void {
  const there = statOf(entry);
  if (there === null) return;
  if (there.isDirectory() && !target.job.overwrite) {
    fail(
      copying(target, header),
      "a file cannot take the place of a directory",
      "--overwrite removes the directory",
    );
  }
  try {
    remove(entry);
  } catch (error) {
    // Something is mounted on it: a file is written in its place then.
    if (!isSystemError(error) || error.code !== "EBUSY" || header.type !== "file") throw error;
  }
}

function takeLink(target: Target, entry: Entry, header: tar.Header): void {
  const other = openAbove(target, pathOf(target, header.linkname ?? ""));
  try {
    fs.linkSync(within(other), within(entry));
  } finally {
    fs.closeSync(other.directory);
  }
}

async function takeFile(
  target: Target,
  entry: Entry,
  header: tar.Header,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK;
  const fd = fs.openSync(within(entry), flags, 0o600);
  try {
    if (!fs.fstatSync(fd).isFile()) {
      throw Object.assign(new Error(), { syscall: "open", code: "EEXIST" });
    }
    for await (const chunk of content) writeAll(fd, chunk);
    give(target, fd, header);
  } finally {
    fs.closeSync(fd);
  }
}

function writeAll(fd: number, chunk: Buffer): void {
  for (let at = 0; at < chunk.length; ) at += fs.writeSync(fd, chunk, at);
}

export function finish(target: Target, path: string, header: tar.Header): void {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  try {
    const fd = openIn(target.tree, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      give(target, fd, header);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    // Another entry, or the sandbox, has put something else there.
    if (!isSystemError(error) || !["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code)) throw error;
  }
}

/** Owners come first, as the kernel takes set-user-ID away with them. */
function give(target: Target, fd: number, header: tar.Header): void {
  const isGiven = ownersOf(target, header);
  if (isGiven) fs.fchownSync(fd, ...idsOf(header));
  fs.fchmodSync(fd, (header.mode ?? 0o644) & (isGiven ? 0o7777 : 0o1777));
  fs.futimesSync(fd, ...timesOf(header));
}

const ownersOf = ({ job }: Target, { uid, gid }: tar.Header): boolean =>
  job.keepsOwners && uid !== undefined && gid !== undefined;

function idsOf(header: tar.Header): [number, number] {
  const { uid, gid, pax } = header as tar.Header & { pax?: Record<string, string> | null };
  return [Number(pax?.uid ?? uid), Number(pax?.gid ?? gid)];
}

function timesOf(header: tar.Header): [number, number] {
  const { mtime = new Date(0), pax } = header as tar.Header & {
    pax?: Record<string, string> | null;
  };
  const precise = Number(pax?.mtime);
  // As many as the header itself may tell of.
  const seconds = precise >= 0 && precise < 8 ** 11 ? precise : mtime.getTime() / 1000;
  return [seconds, seconds];
}
