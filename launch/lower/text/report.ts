/**
 * How a program tells what failed: one line for people on stderr, one JSON object a line for
 * programs on the status fd. All texts are made when the program is compiled; at run time they are
 * only looked up by step and errno: launch/lower/text/failure-texts.ts.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import { slot } from "../../machine/builder.js";
import type { Slot, Value } from "../../machine/ir.js";
import { actionOf, type Context, s, stepOf } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { failure } from "../shared.js";
import { appendErrno, findText, found, textOf } from "./failure-texts.js";
import { appendSaid } from "./said.js";
import { append, compose, writeText } from "./text.js";

/** Exit statuses of sbx itself, as podman-run(1) has them. */
export const exitStatus = { setUpFailed: 125, cannotExecute: 126, notFound: 127, signalled: 128 };

const what = slot("reportWhat");
const hint = slot("reportHint");
const code = slot("reportCode");

/** Reports the failure that the slots hold, and leaves the exit status in `to`. */
export function reportFailure(c: Context, to: Slot): void {
  const { b, plan } = c;
  findText(c, failure.step, textOf.step);
  b.set(what, found);
  findHint(c);
  b.set(hint, found);
  exitCode(c);

  compose(c, [b.text("sbx: "), { string: what }]);
  appendCommand(c);
  append(c, [b.text(": ")]);
  appendErrno(c, failure.errno);
  appendSaid(c, failure.step);
  const written = b.fresh("report");
  b.branch(hint, "eq", 0, written);
  append(c, [b.text(". "), { string: hint }]);
  b.label(written);
  append(c, [b.text("\n")]);
  writeText(c, 2);

  if (plan.statusFd !== null) {
    findText(c, failure.step, textOf.jsonStep);
    compose(c, [b.text('{"event":"error","step":"'), { string: found }, b.text('","why":"')]);
    appendErrno(c, failure.errno);
    append(c, [b.text('","exitCode":'), { decimal: code }, b.text("}\n")]);
    writeText(c, plan.statusFd);
  }
  b.set(to, code);
}

/** One line of JSON on the status fd, where there is one. */
export function tellStatus(c: Context, pieces: readonly (string | { decimal: Value })[]): void {
  if (c.plan.statusFd === null) return;
  compose(
    c,
    pieces.map((piece) => (typeof piece === "string" ? c.b.text(piece) : piece)),
  );
  append(c, [c.b.text("\n")]);
  writeText(c, c.plan.statusFd);
}

function findHint(c: Context): void {
  const end = c.b.fresh("hint");
  findText(c, failure.step, failure.errno);
  c.b.branch(found, "ne", 0, end);
  findText(c, failure.step, textOf.any);
  c.b.label(end);
}

function appendCommand(c: Context): void {
  const { b } = c;
  const end = b.fresh("command");
  const command = slot("reportCommand");
  const execute = actionOf(c, "execve");
  if (execute === undefined) return;
  b.branch(failure.step, "ne", stepOf(c, "execve"), end);
  append(c, [b.text(" ")]);
  const [first] = execute.prefix;
  if (first !== undefined) {
    append(c, [b.text(first)]);
  } else {
    const given = b.fresh("command");
    b.set(command, b.text(execute.fallback[0] ?? ""));
    b.branch(s.argc, "lt", 2, given);
    b.load(8, command, s.argv, 8);
    b.label(given);
    append(c, [{ string: command }]);
  }
  b.label(end);
}

/** Failures of execve name the command, and have exit statuses of their own. */
function exitCode(c: Context): void {
  const { b } = c;
  const end = b.fresh("code");
  b.set(code, exitStatus.setUpFailed);
  b.branch(failure.step, "ne", stepOf(c, "execve"), end);
  b.set(code, exitStatus.notFound);
  for (const errno of [errnoNumbers.ENOENT, errnoNumbers.ENOTDIR, pseudoErrno.noInterpreter]) {
    b.branch(failure.errno, "eq", errno ?? 0, end);
  }
  b.set(code, exitStatus.cannotExecute);
  b.label(end);
}
