/** The files that a command line names, with one clear line about what cannot be read or written. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { getSystemErrorMap } from "node:util";
import * as readings from "../launch/facts/readings.js";
import { fail } from "../spec/error.js";

/** The most that is read: what ends by itself, and fits into memory many times over. */
const maxBytes = 16 * 1024 * 1024;

/** How to read: a pipe gives its text only once, so that a second reader has to refuse it. */
export interface Reading {
  readonly pipes: boolean;
}

/**
 * The text of a file, or of a pipe such as the shell's <(…); null where there is none (ENOENT).
 * `at` names it in the error, as `--config ./x` does, or `read ./x` where it was not asked for. Gives up on a directory, a device, a file
 * that may not be read, and one larger than 16 MiB.
 */
export function readText(path: string, at: string, { pipes }: Reading): string | null {
  try {
    const stats = readings.statSync(path);
    if (stats.isDirectory()) fail(at, "is a directory (EISDIR)", wayOut(at));
    // A terminal or /dev/zero never ends; and /dev/stdin is not the caller's here.
    if (stats.isCharacterDevice() || stats.isBlockDevice()) fail(at, "is a device", wayOut(at));
    if (!stats.isFile() && !pipes) {
      fail(
        at,
        "is a pipe, which was read already: no place here is executable, so sbx compiles twice",
        "Give a file, or set XDG_CACHE_HOME to a directory of yours where files can be executed",
      );
    }
    if (!stats.isFile()) readings.noteUnrepeatable("a pipe");
    const fd = readings.openSync(path, fs.constants.O_RDONLY);
    try {
      return readAll(fd, at);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // A HOME that is no directory, such as /dev/null, holds no configuration either.
    const isAbsent = error.code === "ENOENT" || (error.code === "ENOTDIR" && !isNamed(at));
    if (isAbsent) return null;
    fail(at, describeErrno(error), wayOut(at));
  }
}

/** On the command line, and not looked for where configuration may be. */
const isNamed = (at: string) => !at.startsWith("read ");

/** What is not named is a configuration file that is read wherever it is found. */
function wayOut(at: string): string {
  return isNamed(at)
    ? "Give the path of a file that you may read"
    : "It is read for every run: mend it or move it away";
}

/** What standard input has up to its end; gives up where it cannot be read. */
export function readStandardInput(): string {
  const at = "standard input";
  try {
    return readAll(0, at);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return fail(at, describeErrno(error));
  }
}

function readAll(fd: number, at: string): string {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const count = fs.readSync(fd, chunk);
    if (count === 0) return Buffer.concat(chunks).toString("utf8");
    total += count;
    if (total > maxBytes) fail(at, `is larger than ${maxBytes} bytes`);
    chunks.push(chunk.subarray(0, count));
  }
}

/**
 * Puts a file in place, so that whoever opens it finds all of the old one or all of the new one; what
 * is no file, as /dev/null or a pipe, is written to. `at` names it in the error. With `mode` that is its
 * mode afterwards, whatever the umask.
 */
export function writeWhole(
  path: string,
  content: string | Uint8Array,
  at: string,
  mode?: number,
): void {
  try {
    const stats = fs.statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isFile()) {
      fs.writeFileSync(path, content);
      return;
    }
    // A link stays one.
    const target = stats === undefined ? path : fs.realpathSync(path);
    const temporary = `${target}.${randomBytes(8).toString("hex")}`;
    try {
      fs.writeFileSync(temporary, content, { flag: "wx" });
      if (mode !== undefined) fs.chmodSync(temporary, mode);
      fs.renameSync(temporary, target);
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    fail(at, describeErrno(error), "Give a path that you may write to");
  }
}

type SystemError = NodeJS.ErrnoException & { code: string; errno: number };

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "syscall" in error && "errno" in error;
}

/** `permission denied (EACCES)`. */
function describeErrno({ code, errno }: SystemError): string {
  const [, text = "cannot be read"] = getSystemErrorMap().get(errno) ?? [];
  return `${text} (${code})`;
}
