/**
 * The record of a running sandbox, by which other commands find it: one JSON object in a file that
 * has the sandbox's name. launch/life/records.ts reads it.
 *
 * The monitor holds a lock on the file (flock(2)) from before it has that name until it ends: the lock
 * says that the sandbox lives, which no pid can. Whoever removes a record has locked it before, and
 * has seen that the name still leads to what is locked; so nobody ever removes one of a sandbox that
 * lives. A file is whole before it has its name. Until then it is called `.ID`, which readers pass over.
 */
import { k, minus } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { actionOf, type Context, failWithResult, octal, s } from "../context.js";
import { messageKind, received } from "../control.js";
import { mapsItself, releaseInit } from "../handshake.js";
import { lifeOf } from "../life/life.js";
import { message } from "../messages.js";
import { openNamespaces } from "../namespaces.js";
import { openOwnDirectory } from "../own-directory.js";
import { failure, readFailure } from "../shared.js";
import { appendErrno } from "../text/failure-texts.js";
import { append, compose, writeText } from "../text/text.js";
import { writeMembers } from "./members.js";
import { removeStale, replaceEarlier } from "./name.js";
import { directory, record, recordStep, sandboxName, temporary } from "./place.js";

/**
 * In the monitor, when nothing else can fail; releases the init. That sets the sandbox up meanwhile, and does not start
 * the payload before it is released once more (`awaitRecord`): what is found by the record is there.
 * Nobody else inherits the lock, for all other processes outside are made before.
 */
export function keepRecord(c: Context): void {
  const action = recordStep(c);
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
  openOwnDirectory(c, action, {
    to: directory,
    flags: k("O_PATH", "O_CLOEXEC"),
    label: "records",
  });
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

/** Ends the program. Who waits has the record open, and finds the exit code behind it. */
export function exitTold(c: Context, exitCode: Slot): void {
  const { b } = c;
  if (recordStep(c) !== undefined) {
    compose(c, [{ decimal: exitCode }, b.text("\n")]);
    writeText(c, record);
  }
  b.exit(exitCode);
}
