/** Entries of the cache, whose form launch/cache/entry-format.ts has: their names, and their bytes. */
import { basename } from "node:path";
import type { Recording } from "../facts/readings.js";
import { type Check, checksOf, ids, text, uname } from "./entry-checks.js";
import {
  checkKinds,
  checkWords,
  hashSeed,
  header,
  headerSize,
  magic,
  maxEntryBytes,
} from "./entry-format.js";

/** Of the bytes, going on from `hash`. Equal hashes do no harm: the entry has the words themselves. */
function hashBytes(bytes: Uint8Array, hash = hashSeed): bigint {
  return bytes.reduce((sum, byte) => BigInt.asUintN(64, sum * 33n + BigInt(byte)), hash);
}

const entryName = (hash: bigint) => `${hash.toString(16).padStart(16, "0")}.run`;

/** Words as they lie in the memory of a program that is given them. */
const wordBytes = (words: readonly string[]) =>
  Buffer.from(words.map((word) => `${word}\0`).join(""));

/** The bytes of an entry, without a program for one that leads to the entry of a working directory. */
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
    program: place(program === null ? null : text(basename(program))),
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

/** What an entry says to people, `program` a name; null where the bytes are none, or it only leads to another. */
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
