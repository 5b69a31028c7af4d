/**
 * The log of a sandbox in the background: each line with its time and stream, as Kubernetes's container
 * runtime interface has it, `TIME stdout F text`. P in the place of F says that the line goes on in the
 * next entry of that stream: a chunk ends wherever it ends, and is written at once.
 *
 * The payload never waits for the log. What cannot be written (a full disk) is dropped whole, so that no
 * entry is torn, counted, and told of as soon as it can be.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import { at, constant, slot } from "../../machine/builder.js";
import { k, noFollow } from "../../machine/constants.js";
import type { Address, Value } from "../../machine/ir.js";
import { type Context, octal, s } from "../context.js";
import { clockState, clockSubroutine, stampSize } from "../text/clock.js";
import { appendErrno } from "../text/failure-texts.js";
import { append, compose, textLength } from "../text/text.js";
import { chunk } from "./chunk.js";
import { l, lifeOf } from "./life.js";

const log = {
  /** -1 where it is not open. */
  fd: slot("logFd"),
  sizeBytes: slot("logSize"),
  /** Bytes that nobody has told of yet, and why. */
  dropped: slot("logDropped"),
  errno: slot("logErrno"),
} as const;

const address = (of: string): Address => ({ kind: "address", of, offset: 0 });
/** What goes before a text: the time, the stream, F or P. */
const prefixSize = stampSize + " stdout F ".length;
const [whole, part] = [address("logWhole"), address("logPart")];
/** Behind it, beside what is in use anyway. */
const newline = at(part, prefixSize);
/** struct iovec, writev(2): two for a line, and for the last a third. */
const vectors = address("logVectors");
const mostVectors = 64;

const cursor = slot("logCursor");
const end = slot("logEnd");
const start = slot("logStart");
const batch = slot("logBatch");
const next = slot("logVector");
const total = slot("logTotal");
const letter = slot("logLetter");
const count = slot("logCount");
const number = slot("logNumber");

/** Before the first run. */
export function firstLogState(c: Context): void {
  if (!lifeOf(c)?.log) return;
  const { b } = c;
  b.buffer(whole.of, prefixSize);
  b.buffer(part.of, prefixSize + 1);
  b.store(1, newline, 0, "\n".charCodeAt(0));
  b.buffer(vectors.of, 16 * mostVectors);
  for (const number of [log.sizeBytes, log.dropped, log.errno]) b.set(number, 0);
  clockState(c, whole);
}

/** Before each run. */
export function logState(c: Context): void {
  if (lifeOf(c)?.log) c.b.set(log.fd, -1);
}

export function logSubroutines(c: Context): void {
  const keys = lifeOf(c)?.log;
  if (!keys) return;
  const { b } = c;
  b.comment("write a chunk to the log");
  b.label("log.write");
  b.branch(log.fd, "ge", 0, "log.opened");
  b.call("log.open");
  b.label("log.opened");
  b.call("clock.stamp");
  b.call("log.told");
  writePrefixes(c);
  b.set(cursor, chunk.buffer);
  b.alu("add", end, cursor, chunk.length);
  b.label("log.batch");
  b.set(batch, cursor);
  b.set(next, vectors);
  b.set(total, 0);
  b.label("log.line");
  b.set(start, cursor);
  b.label("log.letter");
  b.load(1, letter, cursor);
  b.alu("add", cursor, cursor, 1);
  b.branch(letter, "eq", "\n".charCodeAt(0), "log.whole");
  b.branch(cursor, "lt", end, "log.letter");
  addVector(c, part, prefixSize);
  addText(c);
  addVector(c, newline, 1);
  b.jump("log.flush");
  b.label("log.whole");
  addVector(c, whole, prefixSize);
  addText(c);
  b.branch(cursor, "ge", end, "log.flush");
  b.branch(next, "lt", at(vectors, 16 * (mostVectors - 3)), "log.line");
  b.label("log.flush");
  flush(c, keys.maxSizeBytes);
  b.branch(cursor, "lt", end, "log.batch");
  b.return();

  toldSubroutine(c);
  lastSubroutine(c);
  openSubroutine(c);
  rotateSubroutine(c, keys.maxFiles);
  clockSubroutine(c, whole);
}

/** Both are the same up to one letter. */
function writePrefixes({ b }: Context): void {
  const err = b.fresh("log");
  const word = (text: string) =>
    constant(JSON.stringify(text), Buffer.from(text).readBigUInt64LE());
  b.store(8, whole, stampSize, word(" stdout "));
  b.branch(chunk.stream, "eq", 1, err);
  b.store(8, whole, stampSize, word(" stderr "));
  b.label(err);
  b.store(1, whole, prefixSize - 1, " ".charCodeAt(0));
  for (const [place, mark] of [
    [part, "P"],
    [whole, "F"],
  ] as const) {
    b.store(1, whole, prefixSize - 2, mark.charCodeAt(0));
    if (place === whole) continue;
    for (let offset = 0; offset < prefixSize; offset += 8) {
      b.load(8, letter, whole, offset);
      b.store(8, place, offset, letter);
    }
  }
}

function addVector({ b }: Context, from: Value, size: Value): void {
  b.store(8, next, 0, from);
  b.store(8, next, 8, size);
  b.alu("add", next, next, 16);
  b.alu("add", total, total, size);
}

function addText(c: Context): void {
  c.b.alu("sub", count, cursor, start);
  addVector(c, start, count);
}

/** All of the batch, or nothing of it. */
function flush(c: Context, maxSizeBytes: number): void {
  const { b } = c;
  const [fits, lost, done] = [b.fresh("flush"), b.fresh("flush"), b.fresh("flush")];
  b.branch(log.fd, "lt", 0, lost);
  b.branch(log.sizeBytes, "eq", 0, fits);
  b.alu("add", number, log.sizeBytes, total);
  b.branch(number, "le", maxSizeBytes, fits);
  b.call("log.rotate");
  b.branch(log.fd, "lt", 0, lost);
  b.label(fits);
  b.alu("sub", count, next, vectors);
  b.alu("shr", count, count, 4);
  b.attempt("writev", [log.fd, vectors, count], s.result);
  settle(c, total, done);
  b.label(lost);
  b.alu("sub", count, cursor, batch);
  b.alu("add", log.dropped, log.dropped, count);
  b.label(done);
}

/** After a write of so many bytes: goes to `done` where all were taken; else none stays, and `errno` is noted. */
function settle({ b }: Context, size: Value, done: string): void {
  const [failed, cut] = [b.fresh("settle"), b.fresh("settle")];
  b.branch(s.result, "ne", size, failed);
  b.alu("add", log.sizeBytes, log.sizeBytes, size);
  b.jump(done);
  b.label(failed);
  // A full disk takes a part of it first, and tells with the next call only.
  b.set(log.errno, errnoNumbers.ENOSPC ?? 0);
  b.branch(s.result, "ge", 0, cut);
  b.alu("sub", log.errno, 0, s.result);
  b.label(cut);
  // Somebody may have made it shorter.
  b.ignore("it is a file", "lseek", [log.fd, 0, k("SEEK_END")], number);
  const shorter = b.fresh("settle");
  b.branch(number, "le", log.sizeBytes, shorter);
  b.ignore("then the end of an entry is missing", "ftruncate", [log.fd, log.sizeBytes]);
  b.label(shorter);
}

/** For the last time: what was lost before is told of. */
function lastSubroutine({ b }: Context): void {
  b.label("log.last");
  b.branch(log.dropped, "eq", 0, "log.last.end");
  b.call("clock.stamp");
  b.call("log.told");
  b.label("log.last.end");
  b.return();
}

/** An entry of our own in the place of what was lost. */
function toldSubroutine(c: Context): void {
  const { b, memory } = c;
  const end = b.fresh("dropped");
  b.label("log.told");
  b.branch(log.dropped, "eq", 0, end);
  b.branch(log.fd, "lt", 0, end);
  b.store(1, whole, stampSize, 0);
  compose(c, [
    whole,
    b.text(" stderr F sbx: "),
    { decimal: log.dropped },
    b.text(" bytes of output are missing here, which could not be written: "),
  ]);
  appendErrno(c, log.errno);
  append(c, [b.text("\n")]);
  b.attempt("write", [log.fd, memory.text, textLength], s.result);
  const told = b.fresh("dropped");
  settle(c, textLength, told);
  b.jump(end);
  b.label(told);
  b.set(log.dropped, 0);
  b.label(end);
  b.return();
}

function openSubroutine({ b }: Context): void {
  const failed = b.fresh("log");
  // O_NONBLOCK: a FIFO of that name must not keep the payload waiting.
  const flags = noFollow("O_WRONLY", "O_CREAT", "O_APPEND", "O_NONBLOCK", "O_CLOEXEC");
  b.label("log.open");
  b.attempt("openat", [l.directory, b.text("log"), flags, octal(0o600)], log.fd);
  b.branch(log.fd, "lt", 0, failed);
  b.ignore("it is a file", "lseek", [log.fd, 0, k("SEEK_END")], log.sizeBytes);
  b.return();
  b.label(failed);
  b.alu("sub", log.errno, 0, log.fd);
  b.return();
}

/** log → log.1 → log.2 …; what has no place any more is overwritten. */
function rotateSubroutine(c: Context, maxFiles: number): void {
  const { b, memory } = c;
  b.label("log.rotate");
  b.ignore("it is ours", "close", [log.fd]);
  if (maxFiles === 1) {
    b.ignore("opening it tells", "unlinkat", [l.directory, b.text("log"), 0]);
    b.jump("log.open");
    return;
  }
  b.set(number, maxFiles - 1);
  b.label("log.rename");
  compose(c, [b.text("log."), { decimal: number }], memory.name);
  compose(c, [b.text("log")]);
  b.alu("sub", number, number, 1);
  const first = b.fresh("rotate");
  b.branch(number, "eq", 0, first);
  append(c, [b.text("."), { decimal: number }]);
  b.label(first);
  const names = [l.directory, memory.text, l.directory, memory.name, 0];
  b.ignore("there may be no such file yet", "renameat2", names);
  b.branch(number, "gt", 0, "log.rename");
  b.jump("log.open");
}
