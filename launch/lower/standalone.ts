/**
 * What a program of `sbx compile` does first, which may have come to another machine or to somebody else:
 * it says what it was made from where it is asked to, and looks whether what it needs is there.
 */
import { renderProblem } from "../../spec/error.js";
import type { Standalone } from "../../spec/plan.js";
import { at, slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import { type Context, s } from "./context.js";
import { exitStatus, tellStatus } from "./text/report.js";
import { compose, writeText } from "./text/text.js";

/** Its only argument where it is asked to tell of itself. */
const infoOption = "--sbx-info";
/** Of struct utsname in uname(2), whose members have 65 bytes each. */
const releaseOffset = 2 * 65;

const given = slot("givenLetter");
const wanted = slot("wantedLetter");
const cursor = slot("givenCursor");
const other = slot("wantedCursor");
const lacks = slot("lacks");
const parts = { major: slot("kernelMajor"), minor: slot("kernelMinor") } as const;

/** Needs the arguments read; nothing has been done yet. Ends the program with 125 where something is missing. */
export function startStandalone(c: Context): void {
  const { b } = c;
  const { standalone } = c.plan;
  if (standalone === undefined) return;
  tellInfo(c, standalone.info);
  const complete = b.fresh("complete");
  b.comment("is here what it needs?");
  b.set(lacks, 0);
  requireUser(c, standalone.uid);
  requireKernel(c, standalone.kernel);
  for (const path of standalone.helpers) requireHelper(c, path);
  b.branch(lacks, "eq", 0, complete);
  const why = "something that the program needs is not there";
  const exitCode = exitStatus.setUpFailed;
  tellStatus(c, [JSON.stringify({ event: "error", step: "start", why, exitCode })]);
  b.exit(exitCode);
  b.label(complete);
}

function tellInfo(c: Context, info: string): void {
  const { b } = c;
  const [next, told, no] = [b.fresh("info"), b.fresh("info"), b.fresh("info")];
  b.branch(s.argc, "ne", 2, no);
  b.load(8, cursor, s.argv, 8);
  b.set(other, b.text(infoOption));
  b.label(next);
  b.load(1, given, cursor);
  b.load(1, wanted, other);
  b.branch(given, "ne", wanted, no);
  b.alu("add", cursor, cursor, 1);
  b.alu("add", other, other, 1);
  b.branch(wanted, "ne", 0, next);
  const bytes = Buffer.byteLength(info);
  b.attempt("write", [1, b.text(info), bytes], s.result);
  b.branch(s.result, "eq", bytes, told);
  b.exit(exitStatus.setUpFailed);
  b.label(told);
  b.exit(0);
  b.label(no);
}

/** One line for each thing that is missing. */
function lack(c: Context, why: string, hint: string): void {
  compose(c, [c.b.text(`${renderProblem({ what: "start", why, hint })}\n`)]);
  writeText(c, 2);
  c.b.set(lacks, 1);
}

function requireUser(c: Context, uid: Standalone["uid"]): void {
  if (uid === null) return;
  const { b } = c;
  const same = b.fresh("user");
  b.ignore("it always succeeds", "geteuid", [], s.result);
  b.branch(s.result, "eq", uid, same);
  const why = `this program was compiled for the user with uid ${uid}, and this is another one`;
  lack(c, why, "Compile it as that user, or with --userns=single, which is for everybody");
  b.label(same);
}

/** The release begins with two numbers. */
function requireKernel(c: Context, { major, minor }: Standalone["kernel"]): void {
  const { b, memory } = c;
  const [older, current] = [b.fresh("kernel"), b.fresh("kernel")];
  b.ignore("it always succeeds", "uname", [memory.scratch]);
  b.set(cursor, at(memory.scratch, releaseOffset));
  for (const part of [parts.major, parts.minor]) {
    const [digit, end] = [b.fresh("digit"), b.fresh("digit")];
    b.set(part, 0);
    b.label(digit);
    b.load(1, given, cursor);
    b.alu("add", cursor, cursor, 1);
    b.branch(given, "lt", "0".charCodeAt(0), end);
    b.branch(given, "gt", "9".charCodeAt(0), end);
    b.alu("shl", other, part, 3);
    b.alu("shl", part, part, 1);
    b.alu("add", part, part, other);
    b.alu("add", part, part, given);
    b.alu("sub", part, part, "0".charCodeAt(0));
    b.jump(digit);
    b.label(end);
  }
  b.branch(parts.major, "gt", major, current);
  b.branch(parts.major, "lt", major, older);
  b.branch(parts.minor, "ge", minor, current);
  b.label(older);
  const why = `this program was compiled for Linux ${major}.${minor} and later, and this kernel is older`;
  lack(c, why, "Compile it on a machine with this kernel");
  b.label(current);
}

function requireHelper(c: Context, path: string): void {
  const { b } = c;
  const there = b.fresh("helper");
  const executable = 1; // X_OK of access(2)
  b.attempt("faccessat", [k("AT_FDCWD"), b.text(path), executable], s.result);
  b.branch(s.result, "eq", 0, there);
  const hint = "Install it at that path, or compile the program on a machine that is like this one";
  lack(c, `this program needs ${path}, which is not there or cannot be executed`, hint);
  b.label(there);
}
