/**
 * What becomes of a sandbox in the background: `state.json` in its directory, one JSON object, put in place
 * by rename. launch/life/kept.ts reads it.
 *
 * A full disk must not make it forget: the file that the next state is written to, `.state`, is there
 * before and has its block, which is all that a state takes.
 */
import { slot } from "../../machine/builder.js";
import { k, noFollow } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, octal, s, textSize } from "../context.js";
import { append, compose, textLength } from "../text/text.js";
import { l } from "./life.js";

/** Times are milliseconds since 1970, 0 before there is one; an exit code or a signal is -1 before there is one. */
export const state = {
  startedMs: slot("stateStartedMs"),
  finishedMs: slot("stateFinishedMs"),
  exitCode: slot("stateExitCode"),
  signal: slot("stateSignal"),
  /** 1 where the kernel has killed somebody for want of memory. */
  oom: slot("stateOom"),
} as const;

/** The address of its word. */
export const status = slot("stateStatus");
const file = slot("stateFd");
const part = slot("nowPart");
const letter = slot("errorLetter");
const [from, to] = [slot("errorFrom"), slot("errorTo")];

/** Why it could not be started, as JSON has it between quotes; empty where it could. */
const errorSize = 1024;
const errorText: Address = { kind: "address", of: "stateError", offset: 0 };

/** Before any step. */
export function startState({ b }: Context): void {
  b.buffer(errorText.of, errorSize);
  b.set(state.startedMs, 0);
  clearEnd(b);
}

function clearEnd(b: Context["b"]): void {
  for (const flag of [state.finishedMs, state.oom]) b.set(flag, 0);
  for (const number of [state.exitCode, state.signal]) b.set(number, -1);
  b.store(1, errorText, 0, 0);
}

/** The payload runs. */
export function tellRunning(c: Context): void {
  clearEnd(c.b);
  takeTime(c, state.startedMs);
  tellState(c, "running");
}

/** What failed is kept from the message that `compose` has made: without `sbx: ` and the end of the line. */
export function rememberError({ b, memory }: Context): void {
  const label = () => b.fresh("error");
  const [next, plain, quoted, put, end] = [label(), label(), label(), label(), label()];
  b.alu("add", from, memory.text, "sbx: ".length);
  b.set(to, errorText);
  b.label(next);
  b.load(1, letter, from);
  b.alu("add", from, from, 1);
  b.branch(letter, "eq", "\n".charCodeAt(0), end);
  b.branch(letter, "eq", 0, end);
  b.branch(to, "ge", { ...errorText, offset: errorSize - 3 }, end);
  b.branch(letter, "ge", " ".charCodeAt(0), plain);
  b.set(letter, " ".charCodeAt(0));
  b.label(plain);
  b.branch(letter, "eq", '"'.charCodeAt(0), quoted);
  b.branch(letter, "ne", "\\".charCodeAt(0), put);
  b.label(quoted);
  b.store(1, to, 0, "\\".charCodeAt(0));
  b.alu("add", to, to, 1);
  b.label(put);
  b.store(1, to, 0, letter);
  b.alu("add", to, to, 1);
  b.jump(next);
  b.label(end);
  b.store(1, to, 0, 0);
}

export function takeTime({ b, memory }: Context, time: Slot): void {
  b.ignore("a clock can be read", "clock_gettime", [k("CLOCK_REALTIME"), memory.scratch]);
  b.load(8, part, memory.scratch);
  // A thousand times, without a multiplication.
  b.alu("shl", time, part, 10);
  b.alu("shl", part, part, 3);
  b.alu("sub", time, time, part);
  b.alu("shl", part, part, 1);
  b.alu("sub", time, time, part);
  b.load(8, part, memory.scratch, 8);
  b.alu("div", part, part, 1_000_000);
  b.alu("add", time, time, part);
}

/** Where it cannot be written, the old one stays until the next. */
export function tellState({ b }: Context, word: "running" | "restarting" | "exited"): void {
  b.set(status, b.text(word));
  b.call("state.put");
}

export function stateSubroutine(c: Context): void {
  const { b, memory } = c;
  const error = b.fresh("state");
  b.comment("write the state");
  b.label("state.put");
  compose(c, [b.text('{"version":1,"status":"'), { string: status }, b.text('"')]);
  for (const [key, number, least] of [
    ["startedMs", state.startedMs, 1],
    ["finishedMs", state.finishedMs, 1],
    ["exitCode", state.exitCode, 0],
    ["signal", state.signal, 0],
    ["restarts", l.restarts, 0],
  ] as const) {
    const [none, told] = [b.fresh("state"), b.fresh("state")];
    append(c, [b.text(`,"${key}":`)]);
    b.branch(number, "lt", least, none);
    append(c, [{ decimal: number }]);
    b.jump(told);
    b.label(none);
    append(c, [b.text("null")]);
    b.label(told);
  }
  const noOom = b.fresh("state");
  append(c, [b.text(',"oom":')]);
  b.set(part, b.text("true"));
  b.branch(state.oom, "ne", 0, noOom);
  b.set(part, b.text("false"));
  b.label(noOom);
  append(c, [{ string: part }, b.text(',"error":')]);
  const whole = b.fresh("state");
  b.load(1, letter, errorText);
  b.branch(letter, "ne", 0, error);
  append(c, [b.text("null}\n")]);
  b.jump(whole);
  b.label(error);
  append(c, [b.text('"'), errorText, b.text('"}\n')]);
  b.label(whole);

  const full = b.fresh("state");
  // O_NONBLOCK: a FIFO of that name must not keep us waiting.
  const flags = noFollow("O_WRONLY", "O_CREAT", "O_NONBLOCK", "O_CLOEXEC");
  const next = [l.directory, b.text(".state"), flags, octal(0o600)] as const;
  const open = () => b.orElse("state.put.end", "openat", next, file);
  open();
  b.attempt("write", [file, memory.text, textLength], s.result);
  b.branch(s.result, "ne", textLength, full);
  b.orElse(full, "ftruncate", [file, textLength]);
  const names = [l.directory, b.text(".state"), l.directory, b.text("state.json"), 0];
  b.orElse(full, "renameat2", names);
  b.ignore("it is ours", "close", [file]);
  open();
  const because = "the next state is tried all the same";
  b.ignore(because, "write", [file, memory.text, textSize]);
  b.label(full);
  b.ignore("it is ours", "close", [file]);
  b.label("state.put.end");
  b.call("event.put");
  b.return();
}
