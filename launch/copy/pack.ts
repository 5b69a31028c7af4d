/** Files as a tar archive. Directories are walked by open directories, so that nobody leads the walk elsewhere. */
import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import * as fs from "node:fs";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as tar from "tar-stream";
import { visible } from "../../spec/error.js";
import { isSystemError } from "../facts/system-error.js";
import type { Pack as PackJob } from "./job.js";
import {
  bytesOf,
  type Entry,
  explain,
  fromText,
  locate,
  namesIn,
  statOf,
  type Tree,
  toText,
  whyOf,
  within,
} from "./tree.js";

type Header = Partial<tar.Header> & Pick<tar.Header, "name">;

/** What the walk knows. */
interface Walk {
  readonly archive: tar.Pack;
  /** What is `.` in the archive. */
  readonly path: string;
  readonly precise: boolean;
  /** The names of files that have several, by device and inode. */
  readonly links: Map<string, string>;
  /** How many files could not be put in. */
  failures: number;
  readonly say: (line: string) => void;
}

/**
 * Gives how many files were left out, of which `say` was told; sockets do not count. Throws an `SbxError` where there is
 * nothing at the path.
 */
export async function pack(
  tree: Tree,
  { path, name, follow, precise }: PackJob,
  output: Writable,
  say: (line: string) => void,
): Promise<number> {
  const walk: Walk = { archive: tar.pack(), path, precise, links: new Map(), failures: 0, say };
  const entry = find(tree, path, follow);
  const written = pipeline(walk.archive as unknown as Readable, output);
  // Whoever reads may end first; then `written` tells, and the walk waits for nobody.
  const walked = add(walk, entry, fromText(name)).then(() => walk.archive.finalize());
  try {
    await Promise.race([written, walked]);
    await written;
  } finally {
    walk.archive.destroy();
    await walked.catch(() => {});
    fs.closeSync(entry.directory);
  }
  return walk.failures;
}

function find(tree: Tree, path: string, follow: boolean): Entry {
  const what = `copy ${path}`;
  try {
    const place = locate(tree, fromText(path), follow);
    if (statOf(place) !== null) return place;
    fs.closeSync(place.directory);
  } catch (error) {
    explain(error, what);
  }
  return explain(Object.assign(new Error(), { syscall: "lstat", code: "ENOENT" }), what);
}

/** An entry that is called so in the archive, with all that is in it. */
async function add(walk: Walk, entry: Entry, name: string): Promise<void> {
  const leaveOut = (why: string) => {
    const shown = toText(name).replace(/^\.(?=\/|$)/, () => walk.path);
    walk.say(visible(`sbx: copy ${shown}: ${why}, and is left out`));
  };
  if (!isUtf8(bytesOf(name))) {
    walk.failures++;
    return leaveOut("its name is no UTF-8");
  }
  try {
    const stats = statOf(entry);
    if (stats?.isSocket()) leaveOut("it is a socket");
    else if (stats?.isDirectory()) await addDirectory(walk, entry, name);
    else if (stats?.isFile()) await addFile(walk, entry, name);
    else if (stats !== null) await addOther(walk, entry, name, stats);
  } catch (error) {
    if (!isSystemError(error) || walk.archive.destroyed) throw error;
    walk.failures++;
    leaveOut(whyOf(error));
  }
}

async function addDirectory(walk: Walk, entry: Entry, name: string): Promise<void> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const directory = fs.openSync(within(entry), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const stats = fs.fstatSync(directory);
    await put(walk, { ...headerOf(walk, name, stats), type: "directory" });
    for (const each of namesIn(directory)) {
      await add(walk, { directory, name: each }, `${name}/${each}`);
    }
  } finally {
    fs.closeSync(directory);
  }
}

async function addFile(walk: Walk, entry: Entry, name: string): Promise<void> {
  // Not to wait for anybody, where it is something else by now.
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(within(entry), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) throw Object.assign(new Error(), { syscall: "open", code: "ESTALE" });
    const first = linkOf(walk, name, stats);
    const header = headerOf(walk, name, stats);
    if (first !== null) await put(walk, { ...header, type: "link", linkname: toText(first) });
    else await put(walk, { ...header, type: "file", size: stats.size }, fd);
  } finally {
    fs.closeSync(fd);
  }
}

async function addOther(walk: Walk, entry: Entry, name: string, stats: fs.Stats): Promise<void> {
  const header = headerOf(walk, name, stats);
  if (stats.isSymbolicLink()) {
    const linkname = fs.readlinkSync(within(entry), "latin1");
    if (!isUtf8(bytesOf(linkname))) {
      throw Object.assign(new Error(), { syscall: "readlink", code: "EILSEQ" });
    }
    return put(walk, { ...header, type: "symlink", linkname: toText(linkname) });
  }
  if (stats.isFIFO()) return put(walk, { ...header, type: "fifo" });
  const type = stats.isBlockDevice() ? "block-device" : "character-device";
  // linux/kdev_t.h, new_encode_dev
  const devmajor = (stats.rdev >> 8) & 0xfff;
  const devminor = (stats.rdev & 0xff) | ((stats.rdev >> 12) & 0xfff00);
  return put(walk, { ...header, type, devmajor, devminor });
}

/** The name that the same file has in the archive already. */
function linkOf({ links }: Walk, name: string, { dev, ino, nlink }: fs.Stats): string | null {
  if (nlink === 1) return null;
  const key = `${dev}:${ino}`;
  const first = links.get(key);
  if (first === undefined) links.set(key, name);
  return first ?? null;
}

/** The largest id that tar-stream writes into six octal digits; it cuts larger ones silently. */
const largestId = 0o777777;

function headerOf({ precise }: Walk, name: string, { mode, uid, gid, mtimeMs }: fs.Stats) {
  const pax = {
    ...(uid > largestId ? { uid: `${uid}` } : {}),
    ...(gid > largestId ? { gid: `${gid}` } : {}),
    ...(precise && mtimeMs > 0 && mtimeMs % 1000 > 0 ? { mtime: (mtimeMs / 1000).toFixed(6) } : {}),
  };
  return {
    name: toText(name),
    mode: mode & 0o7777,
    uid: Math.min(uid, largestId),
    gid: Math.min(gid, largestId),
    // Whole seconds, none before 1970, are what a header holds.
    mtime: new Date(Math.max(0, Math.floor(mtimeMs / 1000)) * 1000),
    ...(Object.keys(pax).length > 0 ? { pax } : {}),
  };
}

/** A file is read from `fd`, whatever its size has become: what is missing of it is zeros. */
async function put({ archive }: Walk, header: Header, fd?: number): Promise<void> {
  let settle: (error?: Error | null) => void = () => {};
  const done = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error) : resolve());
  });
  // Nobody may be waiting for it when it comes.
  done.catch(() => {});
  const sink = archive.entry(header, settle);
  if (fd === undefined) return done;
  sink.on("error", () => {});
  let left = header.size ?? 0;
  while (left > 0) {
    const chunk = Buffer.alloc(Math.min(left, 1 << 18));
    const count = fs.readSync(fd, chunk, 0, chunk.length, null);
    const piece = count === 0 ? chunk : chunk.subarray(0, count);
    left -= piece.length;
    if (!sink.write(piece)) await Promise.race([once(sink, "drain"), done]);
  }
  sink.end(null);
  return done;
}
