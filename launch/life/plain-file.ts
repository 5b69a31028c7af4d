/** Files of sbx's own, in whose place anything may be by now. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { isSystemError } from "../facts/system-error.js";

export interface PlainFile {
  readonly text: string;
  readonly inode: number;
  readonly modifiedMs: number;
}

/** More than any spec takes; what a file has beyond it is not read. */
const limitBytes = 16 * 1024 * 1024;

/** Null for what is absent or no file: a link, a socket, a fifo, which nobody waits for; and for one of others. */
export function openPlain(path: string): number | null {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    return fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (isSystemError(error) && /^(ENOENT|ENOTDIR|ELOOP|ENXIO|EACCES)$/.test(error.code)) {
      return null;
    }
    throw error;
  }
}

/** A file of lines that is read as it grows, open, so that no other gets its inode. */
export interface LineFile {
  readonly fd: number;
  readonly inode: number;
  /** Bytes: of the first line that is not read yet. */
  position: number;
}

/** From its beginning; null as with `openPlain`. */
export function openLines(path: string): LineFile | null {
  const fd = openPlain(path);
  if (fd === null) return null;
  const stats = fs.fstatSync(fd);
  if (stats.isFile()) return { fd, inode: stats.ino, position: 0 };
  fs.closeSync(fd);
  return null;
}

/** Such a file, read whole. The text is empty where it is too long for what sbx writes. */
export function readPlain(path: string): PlainFile | null {
  const fd = openPlain(path);
  if (fd === null) return null;
  try {
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) return null;
    const text = stats.size > limitBytes ? "" : fs.readFileSync(fd, "utf8");
    return { text, inode: stats.ino, modifiedMs: stats.mtimeMs };
  } finally {
    fs.closeSync(fd);
  }
}

/** The object in a JSON text; null where it is no JSON, or another value. */
export function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

/** Whole or not at all; `isDurable`: also after a crash of the machine. Fails with the system's error. */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  { mode = 0o600, isDurable = true } = {},
): void {
  const fresh = join(dirname(path), `.${randomBytes(8).toString("hex")}`);
  const fd = fs.openSync(fresh, "wx", mode);
  try {
    try {
      fs.writeFileSync(fd, content);
      if (isDurable) fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(fresh, path);
  } catch (error) {
    fs.rmSync(fresh, { force: true });
    throw error;
  }
}
