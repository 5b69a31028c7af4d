/**
 * A program that tries things out, each in a child process of its own, and reports every outcome as
 * a record on fd 3: no trial can spoil another one, or the process that asked.
 */
import type { ActionOf } from "../../spec/step.js";
import { type Context, context, s } from "../lower/context.js";
import { mapIds } from "../lower/id-maps.js";
import { textSubroutines } from "../lower/text/text.js";
import { type Builder, constant, slot } from "../machine/builder.js";
import { type ConstantName, k, signo } from "../machine/constants.js";
import type { Program, Slot } from "../machine/ir.js";

/** One thing to try. */
export interface Trial<Name extends string = string> {
  readonly name: Name;
  /** Namespaces that the child gets, CLONE_NEW… flags. */
  readonly namespaces: readonly ConstantName[];
  /** Ids that are mapped from outside before the child goes on. */
  readonly maps?: ActionOf<"mapIds">;
  /** What the child does. */
  readonly inside: (pen: TrialPen) => void;
}

export interface TrialPen {
  readonly b: Builder;
  readonly memory: Context["memory"];
  /** Names what follows, for the report of its failure. */
  readonly step: (what: string) => void;
  /** Reported with the outcome. */
  readonly value: Slot;
}

/** How a trial went. */
export interface Outcome {
  /**
   * Null where all of it went well. `errno` is positive, from 200 on one of `pseudoErrno`; a negative
   * one is the signal that killed the child.
   */
  readonly failure: { readonly step: string; readonly errno: number } | null;
  readonly value: number;
}

export interface TrialProgram<Name extends string> {
  readonly program: Program;
  /** Reads what the program wrote. A trial that wrote nothing has no outcome. */
  readonly read: (records: Uint8Array) => Partial<Record<Name, Outcome>>;
}

/** Where the program reports: fds 0 to 2 are for helpers that it starts. */
const reportFd = 3;
/** Bytes of a record: the number of the trial, that of the step, errno, value, 8 each. */
const recordSize = 32;

const trialNumber = slot("trial");
const value = slot("value");

export function trialProgram<Name extends string>(
  trials: readonly Trial<Name>[],
): TrialProgram<Name> {
  const c = context({ steps: [], notes: [], warnings: [], init: false, statusFd: null });
  const { b } = c;
  const steps: string[] = [];
  const step = (what: string) => {
    steps.push(what);
    b.set(s.step, steps.length - 1);
  };
  for (const [number, trial] of trials.entries()) {
    b.comment(`trial of ${trial.name}`);
    b.set(trialNumber, number);
    b.set(value, 0);
    step("create");
    lowerTrial(c, trial, step);
  }
  b.exit(0);
  reportSubroutine(c);
  if (trials.some(({ maps }) => maps !== undefined)) textSubroutines(c);
  return { program: b.finish(), read: (records) => readRecords(records, trials, steps) };
}

function lowerTrial(c: Context, trial: Trial, step: TrialPen["step"]): void {
  const { b, memory } = c;
  const [refused, outside, next] = [b.fresh("refused"), b.fresh("outside"), b.fresh("next")];
  if (trial.maps !== undefined) {
    b.orElse(refused, "pipe2", [memory.pair, k("O_CLOEXEC")]);
    b.load(4, s.releaseRead, memory.pair);
    b.load(4, s.releaseWrite, memory.pair, 4);
  }
  const flags = k(...trial.namespaces).value | signo("SIGCHLD").value;
  const text = [...trial.namespaces, "SIGCHLD"].join("|");
  b.orElse(refused, "clone", [constant(text, flags), 0, 0, 0, 0], s.initPid);
  b.branch(s.initPid, "ne", 0, outside);

  b.failTo("inside.failed");
  // Where the whole is stopped for taking too long, this child ends with it.
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  if (trial.maps !== undefined) awaitMaps(c);
  trial.inside({ b, memory, step, value });
  b.jump("inside.passed");

  b.label(refused);
  b.call("report");
  b.jump(next);

  b.label(outside);
  if (trial.maps !== undefined) writeMaps(c, trial.maps, step);
  awaitChild(c, next);
  b.label(next);
}

/** In the child: a byte says that the ids are mapped, the end of the pipe that they are not. */
function awaitMaps({ b, memory }: Context): void {
  const released = b.fresh("released");
  b.must("close", [s.releaseWrite]);
  b.must("read", [s.releaseRead, memory.scratch, 1], s.result);
  b.branch(s.result, "eq", 1, released);
  b.exit(0);
  b.label(released);
}

function writeMaps(c: Context, maps: NonNullable<Trial["maps"]>, step: TrialPen["step"]): void {
  const { b } = c;
  const [unmapped, end] = [b.fresh("unmapped"), b.fresh("mapped")];
  b.failTo(unmapped);
  step("map ids");
  b.must("close", [s.releaseRead]);
  mapIds(c, maps, s.initPid);
  b.must("write", [s.releaseWrite, b.text("!"), 1]);
  b.jump(end);
  b.label(unmapped);
  b.call("report");
  b.label(end);
  b.ignore("it is open, and Linux closes it in any case", "close", [s.releaseWrite]);
}

/** A child that was killed could not report: its parent does. */
function awaitChild({ b, memory }: Context, next: string): void {
  const signal = slot("signal");
  b.store(8, memory.status, 0, 0);
  b.ignore("the child is ours, and no signal has a handler", "wait4", [
    s.initPid,
    memory.status,
    0,
    0,
  ]);
  b.load(4, signal, memory.status);
  b.alu("and", signal, signal, 0x7f);
  b.branch(signal, "eq", 0, next);
  b.alu("sub", s.errno, 0, signal);
  b.call("report");
}

function reportSubroutine({ b }: Context): void {
  const record = b.buffer("trialRecord", recordSize);
  b.comment("in the child: the end of a trial");
  b.label("inside.passed");
  b.set(s.errno, 0);
  b.label("inside.failed");
  b.call("report");
  b.exit(0);

  b.comment("write a record");
  b.label("report");
  for (const [index, field] of [trialNumber, s.step, s.errno, value].entries()) {
    b.store(8, record, 8 * index, field);
  }
  b.ignore("there is nobody else to tell", "write", [reportFd, record, recordSize]);
  b.return();
}

function readRecords<Name extends string>(
  bytes: Uint8Array,
  trials: readonly Trial<Name>[],
  steps: readonly string[],
): Partial<Record<Name, Outcome>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outcomes: Partial<Record<Name, Outcome>> = {};
  for (let at = 0; at + recordSize <= bytes.length; at += recordSize) {
    const field = (index: number) => Number(view.getBigInt64(at + 8 * index, true));
    const trial = trials[field(0)];
    const step = steps[field(1)];
    if (trial === undefined || step === undefined) throw new Error("a record of no trial");
    const errno = field(2);
    // Killed after it had reported, or refused twice: the first word counts.
    outcomes[trial.name] ??= { failure: errno === 0 ? null : { step, errno }, value: field(3) };
  }
  return outcomes;
}
