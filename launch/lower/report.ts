/**
 * How a program tells what failed: one line for people on stderr, one JSON object a line for
 * programs on the status fd. All texts are made when the program is compiled; at run time they are
 * only looked up by step and errno.
 */
import { describe } from "../../spec/describe.js";
import { visible } from "../../spec/error.js";
import { errnoNumbers } from "../../spec/linux.js";
import { slot } from "../builder.js";
import type { Address, Slot, Value } from "../ir.js";
import { type Context, pseudoErrno, s } from "./context.js";
import { appendErrno } from "./errnos.js";
import { found, lookup, lookupTable } from "./lookup.js";
import { appendSaid } from "./said.js";
import { failure } from "./shared.js";
import { append, compose, writeText } from "./text.js";

/** Exit statuses of sbx itself, as podman-run(1) has them. */
export const exitStatus = { setUpFailed: 125, cannotExecute: 126, notFound: 127, signalled: 128 };

/** `step` shifted, plus the errno: the key of the hints. */
const stepShift = 16;
const anyErrno = 0xffff;

const what = slot("reportWhat");
const hint = slot("reportHint");
const offset = slot("reportOffset");
const code = slot("reportCode");

/** Reports the failure that the slots hold, and leaves the exit status in `to`. */
export function reportFailure(c: Context, to: Slot): void {
  const { b, plan } = c;
  const tables = reportTables(c);

  b.alu("shl", offset, failure.step, 3);
  b.alu("add", what, tables.steps, offset);
  b.load(8, what, what);
  findHint(c, tables.hints);
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
    b.alu("add", what, tables.jsonSteps, offset);
    b.load(8, what, what);
    compose(c, [b.text('{"event":"error","step":"'), { string: what }, b.text('","why":"')]);
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

interface Tables {
  readonly steps: Address;
  readonly jsonSteps: Address;
  readonly hints: Address;
}

function reportTables({ b, plan }: Context): Tables {
  const texts = plan.steps.map(({ action }) => describe(action));
  const escaped = (text: string) => JSON.stringify(text).slice(1, -1);
  const hints = plan.steps.flatMap(({ hints }, index) =>
    Object.entries(hints ?? {}).map(
      ([name, text]) => [(index << stepShift) | hintErrno(name), text] as const,
    ),
  );
  return {
    steps: b.words("steps", texts.map(visible).map(b.text), false),
    jsonSteps:
      plan.statusFd === null
        ? b.text("")
        : b.words("jsonSteps", texts.map(escaped).map(b.text), false),
    hints: lookupTable(b, "hints", hints),
  };
}

function hintErrno(name: string): number {
  if (name === "any") return anyErrno;
  if (name in pseudoErrno) return pseudoErrno[name as keyof typeof pseudoErrno];
  const number = errnoNumbers[name];
  if (number === undefined) throw new Error(`a hint for the unknown errno ${name}`);
  return number;
}

function findHint(c: Context, hints: Address): void {
  const { b } = c;
  const end = b.fresh("hint");
  const wanted = slot("hintKey");
  b.alu("shl", wanted, failure.step, stepShift);
  b.alu("or", wanted, wanted, failure.errno);
  lookup(c, hints, wanted);
  b.branch(found, "ne", 0, end);
  b.alu("or", wanted, wanted, anyErrno);
  lookup(c, hints, wanted);
  b.label(end);
}

/** The number of the execve step, whose failures name the command and have exit statuses of their own. */
function executeStep({ plan }: Context): number {
  return plan.steps.findIndex(({ action }) => action.kind === "execve");
}

function appendCommand(c: Context): void {
  const { b, plan } = c;
  const end = b.fresh("command");
  const command = slot("reportCommand");
  const execute = plan.steps[executeStep(c)]?.action;
  if (execute?.kind !== "execve") return;
  b.branch(failure.step, "ne", executeStep(c), end);
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

function exitCode(c: Context): void {
  const { b } = c;
  const end = b.fresh("code");
  b.set(code, exitStatus.setUpFailed);
  b.branch(failure.step, "ne", executeStep(c), end);
  b.set(code, exitStatus.notFound);
  for (const errno of [errnoNumbers.ENOENT, errnoNumbers.ENOTDIR, pseudoErrno.noInterpreter]) {
    b.branch(failure.errno, "eq", errno ?? 0, end);
  }
  b.set(code, exitStatus.cannotExecute);
  b.label(end);
}
