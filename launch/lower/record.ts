/**
 * The record of a running sandbox, by which other commands find it: one JSON object in a file that
 * has the sandbox's name. launch/life/records.ts reads it.
 *
 * The monitor holds a lock on the file (flock(2)) from before it has that name until it ends: the lock
 * says that the sandbox lives, which no pid can. Whoever removes a record has locked it before, and
 * has seen that the name still leads to what is locked; so nobody ever removes one of a sandbox that
 * lives. A file is whole before it has its name. Until then it is called `.ID`, which readers pass over.
 */
import { dirname } from "node:path";
import type { ActionOf } from "../../spec/step.js";
import { at, constant, slot } from "../machine/builder.js";
import { k, minus, noFollow } from "../machine/constants.js";
import type { Address, Slot, Value } from "../machine/ir.js";
import { pack } from "../machine/pack.js";
import { cgroupFact } from "./cgroup/cgroup.js";
import {
  actionOf,
  type Context,
  failWithResult,
  message,
  octal,
  pseudoErrno,
  recordText,
  s,
  textSize,
} from "./context.js";
import { messageKind, received } from "./control.js";
import { mapsItself, releaseInit } from "./handshake.js";
import { l, lifeOf } from "./life/life.js";
import { openNamespaces } from "./namespaces.js";
import { networksFact } from "./netns/network.js";
import { portFact } from "./netns/ports.js";
import { branchUnlessSame } from "./rootfs/filesystem.js";
import { failure, readFailure } from "./shared.js";
import { appendErrno } from "./text/failure-texts.js";
import { idOf } from "./text/id.js";
import { unpack } from "./text/packed.js";
import {
  append,
  compose,
  type JsonPiece,
  type RecordFact,
  textLength,
  writeText,
} from "./text/text.js";

/**
 * Members of the JSON object that are known only when the sandbox runs: a key, and the text of its
 * value; null where the plan has nothing of the kind. The parts of the program that know them are
 * listed here; each is asked once, in the monitor, after all of its steps.
 */
const facts: readonly ((c: Context) => RecordFact | null)[] = [portFact, networksFact, cgroupFact];

/** The address of the sandbox's id, which stays the same in the background. */
const shownId = slot("shownId");
/** The address of the sandbox's name, which is also that of its record. */
export const sandboxName = slot("sandboxName");
/** The address of the name before that; the directory of all records; the record, -1 as long as there is none. */
const temporary = slot("temporaryName");
const directory = slot("recordsFd");
export const record = slot("recordFd");
const other = slot("otherRecord");
const started = slot("startedSeconds");
const monitor = slot("ownPid");
const [foundIn, foundName] = [slot("foundIn"), slot("foundName")];

type Keep = ActionOf<"keepRecord">;
const stepOf = (c: Context) => actionOf(c, "keepRecord");

/** Before any step; from here on `sandboxName` is known. */
export function recordState(c: Context): void {
  const action = stepOf(c);
  if (action === undefined) return;
  const { b } = c;
  b.set(directory, -1);
  b.set(record, -1);
  b.set(temporary, c.memory.dottedId);
  b.set(shownId, lifeOf(c) === undefined ? idOf(c) : b.text(lifeOf(c)?.id ?? ""));
  b.set(sandboxName, action.name === null ? shownId : b.text(action.name));
}

/**
 * In the monitor, when nothing else can fail; releases the init. That sets the sandbox up meanwhile, and does not start
 * the payload before it is released once more (`awaitRecord`): what is found by the record is there.
 * Nobody else inherits the lock, for all other processes outside are made before.
 */
export function keepRecord(c: Context): void {
  const action = stepOf(c);
  if (action === undefined) {
    releaseMapped(c);
    return;
  }
  const { b, plan } = c;
  b.comment("the record");
  b.set(
    s.step,
    plan.steps.findIndex((step) => step.action === action),
  );
  b.failTo("record.blind");
  if (mapsItself(c)) awaitQuestion(c);
  const namespaces = openNamespaces(c);
  if (!mapsItself(c)) {
    releaseInit(c);
    awaitQuestion(c);
  }
  b.failTo("record.failed");
  openDirectory(c, action);
  const flags = k("O_WRONLY", "O_CREAT", "O_EXCL", "O_CLOEXEC");
  b.must("openat", [directory, temporary, flags, octal(0o600)], record);
  b.must("flock", [record, k("LOCK_EX", "LOCK_NB")]);
  writeMembers(c, action, namespaces);

  if (lifeOf(c) !== undefined) replaceEarlier(c, "record.link");
  b.label("record.link");
  const names = [directory, temporary, directory, sandboxName] as const;
  b.attempt("renameat2", [...names, k("RENAME_NOREPLACE")], s.result);
  b.branch(s.result, "eq", 0, "record.kept");
  b.branch(s.result, "eq", minus("EEXIST"), "record.stale");
  b.comment("NFS cannot do that, but this");
  b.attempt("linkat", [...names, 0], s.result);
  b.branch(s.result, "eq", 0, "record.linked");
  b.branch(s.result, "eq", minus("EEXIST"), "record.stale");
  failWithResult(b);
  b.label("record.stale");
  removeStale(c, "record.link");
  b.jump("record.link");

  b.label("record.blind");
  releaseMapped(c);
  b.label("record.failed");
  b.ignore("it may not be there", "unlinkat", [directory, temporary, 0]);
  b.set(record, -1);
  // Of an init that has failed by now nothing can be opened.
  readFailure(c);
  b.branch(failure.happened, "ne", 0, "record.kept");
  if (action.required) {
    b.jump("monitor.fail");
  } else {
    compose(c, [b.text(`sbx: keep a record of the sandbox in ${action.directory}: `)]);
    appendErrno(c, s.errno);
    append(c, [b.text(". It runs, but other commands will not find it\n")]);
    writeText(c, 2);
    b.jump("record.kept");
  }
  b.label("record.linked");
  b.ignore("it is ours", "unlinkat", [directory, temporary, 0]);
  b.label("record.kept");
  b.failTo("monitor.fail");
  releaseInit(c);
}

/** Lets an init go on that waits for its id maps. */
function releaseMapped(c: Context): void {
  if (!mapsItself(c)) releaseInit(c);
}

/**
 * An init that has somebody set up beside it asks for the record once that is done: two processors are busy with
 * the two until then.
 */
function awaitQuestion(c: Context): void {
  if (actionOf(c, "askRecord") === undefined) return;
  const { b, memory } = c;
  const [next, asked] = [b.fresh("question"), b.fresh("question")];
  b.set(messageKind, 0);
  b.label(next);
  b.store(4, memory.scratch, 0, s.controlOutside);
  b.store(4, memory.scratch, 4, k("POLLIN"));
  b.ignore("its messages tell", "ppoll", [memory.scratch, 1, 0, 0, 0]);
  b.call("control.receive");
  b.branch(received, "le", 0, asked);
  b.branch(messageKind, "ne", message.record, next);
  b.label(asked);
}

/** Below `base` all may be gone: it is made where it is missed. */
function openDirectory({ b }: Context, { directory: path, base }: Keep): void {
  const open = b.fresh("records");
  const made: string[] = [];
  for (let each = path; each !== base; each = dirname(each)) made.unshift(each);
  const flags = k("O_PATH", "O_CLOEXEC");
  b.attempt("openat", [k("AT_FDCWD"), b.text(path), flags, 0], directory);
  b.branch(directory, "ge", 0, open);
  for (const each of made) {
    b.ignore("opening it tells", "mkdirat", [k("AT_FDCWD"), b.text(each), constant("0700", 0o700)]);
  }
  b.must("openat", [k("AT_FDCWD"), b.text(path), flags, 0], directory);
  b.label(open);
}

function writeMembers(c: Context, { known }: Keep, namespaces: readonly JsonPiece[]): void {
  const { b, memory } = c;
  b.must("getpid", [], monitor);
  b.must("clock_gettime", [k("CLOCK_REALTIME"), memory.scratch]);
  b.load(8, started, memory.scratch);
  const told = facts.flatMap((factOf) => {
    const fact = factOf(c);
    return fact === null ? [] : [`${JSON.stringify(fact[0])}:`, ...fact.slice(1), ","];
  });
  write(c, [
    '{"version":1,"id":"',
    { string: shownId },
    '","name":"',
    { string: sandboxName },
    '","monitor":',
    { decimal: monitor },
    ',"namespaces":',
    ...namespaces,
    ',"init":',
    { decimal: s.initPid },
    ',"started":',
    { decimal: started },
    ",",
    ...told,
  ]);
  const text = Buffer.from(recordText(known));
  unpack(c, b.bytes("packedRecord", pack(text)), memory.recordText);
  writeWhole(c, memory.recordText, text.length);
}

/** Digits of a number of 64 bits. */
const longestDecimal = 20;
/** What is longer costs less as a call of its own. */
const longestGroup = 512;

/** In as few calls as may be: long texts, and strings that are known only now, one by one. */
function write(c: Context, pieces: readonly JsonPiece[]): void {
  const { b, memory } = c;
  const sizeOf = (piece: JsonPiece) => {
    if (typeof piece === "string") return Buffer.byteLength(piece);
    return "decimal" in piece ? longestDecimal : textSize;
  };
  const groups: { size: number; pieces: JsonPiece[] }[] = [];
  for (const piece of pieces) {
    const size = sizeOf(piece);
    const last = groups.at(-1);
    if (last === undefined || last.size + size >= longestGroup)
      groups.push({ size, pieces: [piece] });
    else {
      last.size += size;
      last.pieces.push(piece);
    }
  }
  for (const { pieces } of groups) {
    const [first] = pieces;
    if (pieces.length === 1 && typeof first === "string") {
      writeWhole(c, b.text(first), Buffer.byteLength(first));
      continue;
    }
    compose(
      c,
      pieces.map((piece) => (typeof piece === "string" ? b.text(piece) : piece)),
    );
    writeWhole(c, memory.text, textLength);
  }
}

/** A full disk takes a part of it first, and tells with the next call only. */
function writeWhole({ b }: Context, text: Address, length: Value): void {
  const whole = b.fresh("written");
  b.must("write", [record, text, length], s.result);
  b.branch(s.result, "eq", length, whole);
  b.set(s.errno, constant("ENOSPC", -minus("ENOSPC").value));
  b.fail();
  b.label(whole);
}

/** Goes on where the record of that name is removed, and fails where its sandbox is running. */
function removeStale(c: Context, again: string): void {
  const { b, memory } = c;
  const [open, held] = [b.fresh("stale"), b.fresh("stale")];
  const [locked, gone] = [b.fresh("stale"), b.fresh("stale")];
  const flags = noFollow("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.attempt("openat", [directory, sandboxName, flags, 0], s.result);
  b.branch(s.result, "ge", 0, open);
  b.branch(s.result, "eq", minus("ENOENT"), again);
  failWithResult(b);
  b.label(open);
  b.set(other, s.result);
  b.attempt("flock", [other, k("LOCK_EX", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", 0, locked);
  b.branch(s.result, "eq", minus("EAGAIN"), held);
  failWithResult(b);
  b.label(held);
  b.set(s.errno, pseudoErrno.nameTaken);
  b.fail();
  b.label(locked);
  const there = at(memory.scratch, 512);
  b.must("fstat", [other, memory.scratch]);
  b.orElse(gone, "newfstatat", [directory, sandboxName, there, k("AT_SYMLINK_NOFOLLOW")]);
  branchUnlessSame(c, there, gone);
  b.must("unlinkat", [directory, sandboxName, 0]);
  b.label(gone);
  b.must("close", [other]);
}

/**
 * At a restart: takes the place of the record of the run before, under whatever name that has by now.
 * Goes to `otherwise` where there is none.
 */
function replaceEarlier(c: Context, otherwise: string): void {
  const { b } = c;
  b.branch(l.restarts, "eq", 0, otherwise);
  findRecord(c, l.record, otherwise);
  b.must("renameat2", [directory, temporary, foundIn, foundName, 0]);
  b.jump("record.kept");
}

/** Where a record of ours is by now: somebody may have renamed the sandbox. */
function findRecord(c: Context, fd: Slot, otherwise: string): void {
  const { b, memory } = c;
  const [renamed, found] = [b.fresh("record"), b.fresh("record")];
  const there = at(memory.scratch, 512);
  const compare = (to: string) => {
    b.orElse(to, "newfstatat", [foundIn, foundName, there, k("AT_SYMLINK_NOFOLLOW")]);
    branchUnlessSame(c, there, to);
  };
  b.orElse(otherwise, "fstat", [fd, memory.scratch]);
  b.set(foundIn, directory);
  b.set(foundName, sandboxName);
  compare(renamed);
  b.jump(found);
  b.label(renamed);
  compose(c, [b.text("/proc/self/fd/"), { decimal: fd }]);
  const place = [k("AT_FDCWD"), memory.text, memory.name, textSize - 1] as const;
  b.orElse(otherwise, "readlinkat", place, s.result);
  b.alu("add", s.result, s.result, memory.name);
  b.store(1, s.result, 0, 0);
  b.set(foundIn, k("AT_FDCWD"));
  b.set(foundName, memory.name);
  compare(otherwise);
  b.label(found);
}

/** In the monitor, when all that was made for the sandbox is gone; the lock goes with the process. */
export function removeRecord(c: Context): void {
  if (stepOf(c) !== undefined) c.b.call("record.remove");
}

/** What the function above calls. */
export function recordSubroutine(c: Context): void {
  if (stepOf(c) === undefined) return;
  const { b } = c;
  b.label("record.remove");
  b.branch(record, "lt", 0, "record.remove.end");
  findRecord(c, record, "record.remove.end");
  b.ignore("somebody was faster", "unlinkat", [foundIn, foundName, 0]);
  b.label("record.remove.end");
  b.return();
}

/** Ends the program. Who waits has the record open, and finds the exit code behind it. */
export function exitTold(c: Context, exitCode: Slot): void {
  const { b } = c;
  if (stepOf(c) !== undefined) {
    compose(c, [{ decimal: exitCode }, b.text("\n")]);
    writeText(c, record);
  }
  b.exit(exitCode);
}
