/**
 * An entry of the cache: the words of a command line, the program that was compiled for them, and all
 * that the compile was told by the machine. The finder (launch/finder/) reads it, asks the machine the
 * same again, and executes the program only where each answer is the same.
 *
 * The file is words of eight bytes, little-endian, then texts at the offsets that the words name: the
 * header, `checkWords` words for each check, texts.
 */
import * as fs from "node:fs";
import { hostname, type as kernelName, machine, release, version } from "node:os";
import { splitDeviceNumber } from "./disks.js";
import { isSystemError } from "./in-root.js";
import type { Reading, Recording } from "./readings.js";

/** Offsets of the header's words. Offsets of texts are 0 where there is none. */
export const header = {
  magic: 0,
  /** Of the whole file, in bytes. */
  size: 8,
  /** The words of the command line, each with its NUL. */
  key: 16,
  keyLength: 24,
  /** 1 where the entry to take has the working directory in its name as well; it has no program then. */
  deeper: 32,
  /** Absolute. */
  directory: 40,
  program: 48,
  checks: 56,
} as const;
export const headerSize = 64;

/** Another form of entries has another number. */
export const magic = Buffer.from("sbxrun1\n").readBigInt64LE();

/** A check is its kind and what it needs: offsets of texts, or numbers. */
export const checkWords = 4;
export const checkKinds = {
  /** Path, flags of statx(2), what statx gives. All of it but the time of the last access counts. */
  file: 1,
  /** The same; only which file it is, its mode and its owners count. */
  identity: 2,
  /** Path, flags, errno. */
  absent: 3,
  /** Path, mode of access(2), errno. */
  access: 4,
  /** Path, flags of open(2), errno. */
  open: 5,
  /** Path, template, its length. */
  text: 6,
  /** Path, where it leads. */
  real: 7,
  /** `NAME=`, value. */
  variable: 8,
  /** The first fields of uname(2). */
  uname: 9,
  /** Real and effective user, real and effective group: four words. */
  ids: 10,
} as const;

/** In a template: any one byte, and whatever comes before the end of the line. */
export const anyByte = 0;
export const anyLine = 1;

/** Entries are not larger. */
export const maxEntryBytes = 256 * 1024;

/** sysname, nodename, release, version and machine, of 65 bytes each: uname(2). */
export const unameSize = 5 * 65;

/** struct statx, statx(2): what is compared, by where it lies. */
export const statxFields = {
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  size: 40,
  ctime: 96,
  mtime: 112,
  device: 136,
} as const;
export const statxSize = 144;

/** By which the finder begins. */
export const hashSeed = 5381n;

/** Of the bytes, going on from `hash`. Equal hashes do no harm: the entry has the words themselves. */
export function hashBytes(bytes: Uint8Array, hash = hashSeed): bigint {
  return bytes.reduce((sum, byte) => BigInt.asUintN(64, sum * 33n + BigInt(byte)), hash);
}

export const entryName = (hash: bigint) => `${hash.toString(16).padStart(16, "0")}.run`;

/** Words as they lie in the memory of a program that is given them. */
export const wordBytes = (words: readonly string[]) =>
  Buffer.from(words.map((word) => `${word}\0`).join(""));

type Check = readonly [kind: number, ...operands: (number | Uint8Array | null)[]];

/** What changed less than this before the compile may have changed again in the same tick of the kernel's clock. */
const tickMs = 50;

/** The checks, null where one of the readings cannot be relied on any more. */
function checksOf({ readings, sinceMs }: Recording): Check[] | null {
  const checks = [...readings.values()].map((reading) => checkOf(reading, sinceMs - tickMs));
  return checks.includes(null) ? null : (checks as Check[]);
}

function checkOf(reading: Reading, beforeMs: number): Check | null {
  switch (reading.kind) {
    case "variable": {
      const value = reading.value === undefined ? null : text(reading.value);
      return [checkKinds.variable, text(`${reading.name}=`), value];
    }
    case "access":
    case "open":
      return [checkKinds[reading.kind], text(reading.path), reading.flags, reading.errno];
    case "real":
      return [
        checkKinds.real,
        text(reading.path),
        reading.real === null ? null : text(reading.real),
      ];
    case "text": {
      const template = templateOf(reading.path, reading.text);
      if (template === null) return null;
      return [checkKinds.text, text(reading.path), template, template.length];
    }
    case "file":
    case "link":
    case "list":
      return statCheck(reading, beforeMs);
  }
}

const AT_SYMLINK_NOFOLLOW = 0x100;

function statCheck({ kind, path }: Reading & { path: string }, beforeMs: number): Check | null {
  const flags = kind === "link" ? AT_SYMLINK_NOFOLLOW : 0;
  try {
    const stat =
      kind === "link" ? fs.lstatSync(path, { bigint: true }) : fs.statSync(path, { bigint: true });
    const isWhole = kind === "list" || stat.isFile() || stat.isSymbolicLink();
    if (isWhole && Number(stat.ctimeNs / 1_000_000n) > beforeMs) return null;
    return [isWhole ? checkKinds.file : checkKinds.identity, text(path), flags, statxOf(stat)];
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return [checkKinds.absent, text(path), flags, -(error.errno ?? 0)];
  }
}

function statxOf(stat: fs.BigIntStats): Uint8Array {
  const bytes = Buffer.alloc(statxSize);
  const second = 1_000_000_000n;
  bytes.writeUInt32LE(Number(stat.uid), statxFields.uid);
  bytes.writeUInt32LE(Number(stat.gid), statxFields.gid);
  bytes.writeUInt32LE(Number(stat.mode), statxFields.mode);
  bytes.writeBigUInt64LE(stat.ino, statxFields.ino);
  bytes.writeBigUInt64LE(stat.size, statxFields.size);
  for (const [at, time] of [
    [statxFields.ctime, stat.ctimeNs],
    [statxFields.mtime, stat.mtimeNs],
  ] as const) {
    bytes.writeBigInt64LE(time / second, at);
    bytes.writeUInt32LE(Number(time % second), at + 8);
  }
  const { major, minor } = splitDeviceNumber(stat.dev);
  bytes.writeUInt32LE(major, statxFields.device);
  bytes.writeUInt32LE(minor, statxFields.device + 4);
  return bytes;
}

const text = (value: string) => Buffer.from(`${value}\0`);

/** The lines of /proc/self/status that say something of the caller, and not of the process. */
const callersLines = /^(CapEff|NoNewPrivs|Seccomp):/;
/** proc_pid_net(5) and net/ipv6/route.c: the counters of a route are two columns from here on. */
const routeCounters = { start: 32 + 4 + 32 + 4 + 32 + 10, end: 32 + 4 + 32 + 4 + 32 + 10 + 17 };

/** What the text must be like; null where it has bytes that mean something in a template. */
function templateOf(path: string, content: string): Uint8Array | null {
  if (content.includes("\0") || content.includes("\x01")) return null;
  const lines = content.split("\n");
  if (path === "/proc/self/status") {
    return Buffer.from(
      lines.map((line) => (line === "" || callersLines.test(line) ? line : "\x01")).join("\n"),
    );
  }
  if (path === "/proc/net/ipv6_route") {
    const { start, end } = routeCounters;
    const masked = (line: string) =>
      line.slice(0, start) + "\0".repeat(end - start) + line.slice(end);
    return Buffer.from(lines.map((line) => (line === "" ? line : masked(line))).join("\n"));
  }
  return Buffer.from(content);
}

function uname(): Uint8Array {
  const fields = [kernelName(), hostname(), release(), version(), machine()];
  return Buffer.concat(
    fields.map((field) => Buffer.concat([Buffer.from(field), Buffer.alloc(65)], 65)),
  );
}

function ids(): Uint8Array {
  const numbers = [process.getuid, process.geteuid, process.getgid, process.getegid];
  const bytes = Buffer.alloc(32);
  for (const [index, get] of numbers.entries())
    bytes.writeBigUInt64LE(BigInt(get?.() ?? -1), 8 * index);
  return bytes;
}

/** The bytes of an entry; `checks` is null for one that leads to the entry of a working directory. */
function encodeEntry(
  key: Uint8Array,
  {
    directory,
    program,
    checks,
  }: { directory: string | null; program: string | null; checks: Check[] },
): Buffer {
  const texts: Uint8Array[] = [];
  let end = headerSize + 8 * checkWords * checks.length;
  const place = (bytes: Uint8Array | null) => {
    if (bytes === null) return 0;
    const at = end;
    // Words are read at them.
    const padded = Buffer.concat([bytes], Math.ceil(bytes.length / 8) * 8);
    texts.push(padded);
    end += padded.length;
    return at;
  };
  const rows = checks.map((check) =>
    check.map((operand) => (typeof operand === "number" ? operand : place(operand))),
  );
  const values = {
    key: place(key),
    keyLength: key.length,
    deeper: program === null ? 1 : 0,
    directory: place(directory === null ? null : text(directory)),
    program: place(program === null ? null : text(program)),
    checks: checks.length,
  };
  const bytes = Buffer.alloc(headerSize + 8 * checkWords * rows.length);
  const put = (value: number | bigint, at: number) => void bytes.writeBigInt64LE(BigInt(value), at);
  put(magic, header.magic);
  put(end, header.size);
  for (const [name, value] of Object.entries(values))
    put(value, header[name as keyof typeof header]);
  for (const [index, row] of rows.entries()) {
    for (const [word, value] of row.entries()) {
      put(value, headerSize + 8 * (checkWords * index + word));
    }
  }
  return Buffer.concat([bytes, ...texts]);
}

/** A file of the cache. */
export interface EntryFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The entries by which `words` lead to the program at the path `program`. None where what was read
 * cannot be asked again.
 */
export function entriesFor(
  words: readonly string[],
  program: string,
  recording: Recording,
): EntryFile[] {
  const checks = recording.unrepeatable === null ? checksOf(recording) : null;
  if (checks === null) return [];
  const key = wordBytes(words);
  const hash = hashBytes(key);
  const all: Check[] = [[checkKinds.ids, ids()], [checkKinds.uname, uname()], ...checks];
  const directory = recording.usesWorkingDirectory ? process.cwd() : null;
  const whole = encodeEntry(key, { directory, program, checks: all });
  if (whole.length > maxEntryBytes) return [];
  if (directory === null) return [{ name: entryName(hash), bytes: whole }];
  const leading = encodeEntry(key, { directory: null, program: null, checks: [] });
  return [
    { name: entryName(hashBytes(text(directory), hash)), bytes: whole },
    { name: entryName(hash), bytes: leading },
  ];
}

/** What an entry says to people; null where the bytes are none, or it only leads to another. */
export function decodeEntry(
  bytes: Buffer,
): { words: string[]; directory: string | null; program: string } | null {
  const word = (at: number) => Number(bytes.readBigInt64LE(at));
  if (bytes.length < headerSize || bytes.readBigInt64LE(header.magic) !== magic) return null;
  const textAt = (at: number) =>
    at === 0 ? null : bytes.toString("utf8", at, bytes.indexOf(0, at));
  const program = textAt(word(header.program));
  const key = bytes.toString("utf8", word(header.key), word(header.key) + word(header.keyLength));
  const words = key.split("\0").slice(0, -1);
  return program === null ? null : { words, directory: textAt(word(header.directory)), program };
}
