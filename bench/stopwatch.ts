/**
 * The stopwatch: a program of our own compiler that starts commands one after another and takes the
 * time of each. A Node that forks and waits would measure itself: its page tables are copied on
 * every fork, and its threads run beside what is timed.
 */
import { type Builder, builder, constant, slot } from "../launch/machine/builder.js";
import { childFlags, k } from "../launch/machine/constants.js";
import type { Address, Program, Value } from "../launch/machine/ir.js";

/** A command's argv; the first word is the path that is executed, as it is. */
export type Command = readonly [path: string, ...words: string[]];

/** The exit codes of a stopwatch. */
export const stopwatchExit = {
  /** Every run was timed. */
  done: 0,
  /** The run after the last one written ended with something other than exit code 0. */
  commandFailed: 1,
  /** A system call of the stopwatch's own failed. */
  broken: 2,
} as const;

const envp = slot("envp");
const samplesFd = slot("samplesFd");
const run = slot("run");
const sample = slot("sample");
const elapsed = slot("elapsed");

/** clock_getres(2): no step of the wall clock shows in it. */
const CLOCK_MONOTONIC = constant("CLOCK_MONOTONIC", 1);
const nanosecondsPerSecond = 1_000_000_000;

/**
 * A program that runs `commands[i]` for each `i` of `schedule`, in that order and in its own
 * environment, stdout being /dev/null to them. At the end it writes one 8-byte little-endian word a
 * run to its stdout: the nanoseconds from before the fork until the command was waited for. When a
 * command fails the runs before it are written. See `stopwatchExit`.
 */
export function stopwatch(commands: readonly Command[], schedule: readonly number[]): Program {
  const b = builder();
  const vectors = commands.map((command, index) =>
    b.words(`argv${index}`, [...command.map((word) => b.text(word)), 0], false),
  );
  const runs = schedule.map((index) => {
    const vector = vectors[index];
    if (vector === undefined) throw new Error(`there is no command ${index}`);
    return vector;
  });
  const order = b.words("schedule", runs, false);
  const samples = b.buffer("samples", 8 * runs.length);
  const orderEnd = { ...order, offset: 8 * runs.length };

  b.failTo("broken");
  findEnvironment(b);
  hideStdout(b);
  b.set(run, order);
  b.set(sample, samples);
  b.label("next");
  b.branch(run, "ge", orderEnd, "done");
  timeRun(b);
  b.store(8, sample, 0, elapsed);
  b.alu("add", sample, sample, 8);
  b.alu("add", run, run, 8);
  b.jump("next");

  b.label("done");
  writeAll(b, samples, sample);
  b.exit(stopwatchExit.done);
  b.label("commandFailed");
  writeAll(b, samples, sample);
  b.exit(stopwatchExit.commandFailed);
  b.label("broken");
  b.exit(stopwatchExit.broken);
  return b.finish();
}

/** Behind argc, argv and a null pointer on the initial stack. */
function findEnvironment(b: Builder): void {
  const stack = slot("stack");
  b.stackPointer(stack);
  b.load(8, envp, stack);
  b.alu("add", envp, envp, 2);
  b.alu("shl", envp, envp, 3);
  b.alu("add", envp, envp, stack);
}

/** What a command prints must not get between the samples. */
function hideStdout(b: Builder): void {
  const nowhere = slot("nowhere");
  b.must("dup3", [1, 100, k("O_CLOEXEC")], samplesFd);
  const flags = k("O_RDWR", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), b.text("/dev/null"), flags, 0], nowhere);
  b.must("dup3", [nowhere, 1, 0]);
}

/** `elapsed` := the nanoseconds that the command took whose argv `run` points at. */
function timeRun(b: Builder): void {
  const vector = slot("vector");
  const path = slot("path");
  const pid = slot("pid");
  const status = slot("status");
  const seconds = slot("seconds");
  const start = slot("start");
  // struct timespec: seconds, nanoseconds.
  const [before, after] = [b.buffer("before", 16), b.buffer("after", 16)];
  const ended = b.buffer("ended", 8);
  b.load(8, vector, run);
  b.load(8, path, vector);
  b.must("clock_gettime", [CLOCK_MONOTONIC, before]);
  // As posix_spawn(3) does, and with it most programs that start others.
  b.must("clone", [childFlags("CLONE_VM", "CLONE_VFORK"), 0, 0, 0, 0], pid);
  b.branch(pid, "ne", 0, "parent");
  b.must("execve", [path, vector, envp]);
  b.label("parent");
  b.must("wait4", [pid, ended, 0, 0]);
  b.must("clock_gettime", [CLOCK_MONOTONIC, after]);
  b.load(4, status, ended);
  b.branch(status, "ne", 0, "commandFailed");

  b.load(8, start, before);
  b.load(8, seconds, after);
  b.alu("sub", seconds, seconds, start);
  b.load(8, start, before, 8);
  b.load(8, elapsed, after, 8);
  b.alu("sub", elapsed, elapsed, start);
  b.comment("the IR does not multiply");
  b.label("seconds");
  b.branch(seconds, "eq", 0, "counted");
  b.alu("add", elapsed, elapsed, nanosecondsPerSecond);
  b.alu("sub", seconds, seconds, 1);
  b.jump("seconds");
  b.label("counted");
}

/** Writes the bytes from `from` up to `end` to the stdout that the stopwatch was given. */
function writeAll(b: Builder, from: Address, end: Value): void {
  const place = slot("place");
  const left = slot("left");
  const written = slot("written");
  const more = b.fresh("write");
  const all = b.fresh("written");
  b.set(place, from);
  b.label(more);
  b.branch(place, "ge", end, all);
  b.alu("sub", left, end, place);
  b.must("write", [samplesFd, place, left], written);
  b.alu("add", place, place, written);
  b.jump(more);
  b.label(all);
}

/**
 * The order of runs: each of `periods.length` commands once a round, or every `periods[i]` rounds.
 * What a command leaves to the kernel (namespaces are torn down after it has been waited for) is
 * paid by who comes next. So the order of the rounds is that of a Williams design (Williams 1949,
 * "Experimental designs balanced for the estimation of residual effects"): over `2 * length` rounds
 * each command is in each place, and behind each of the others, equally often.
 */
export function roundRobin(periods: readonly number[], rounds: number): number[] {
  const count = periods.length;
  const zigzag = periods.map((_, place) =>
    place % 2 === 1 ? (place + 1) / 2 : (count - place / 2) % count,
  );
  return Array.from({ length: rounds }, (_, round) => {
    const row = zigzag.map((index) => (index + round) % count);
    // With an odd number of commands the mirrored rows are what balances the others.
    if (Math.floor(round / count) % 2 === 1) row.reverse();
    return row.filter((index) => round % (periods[index] ?? 1) === 0);
  }).flat();
}

/** What the rounds may take; what is left of a minute is for warming up and the rest. */
const budgetNanoseconds = 48e9;
/** Commands above this are run in some rounds only where the budget asks for it. */
const slowNanoseconds = 25e6;

/** How many rounds apart each command is run, for `roundRobin`, by how many nanoseconds it takes. */
export function periods(nanoseconds: readonly number[], rounds: number): number[] {
  for (let period = 1; ; period++) {
    const each = nanoseconds.map((time) => (time > slowNanoseconds ? period : 1));
    const round = nanoseconds.reduce((sum, time, index) => sum + time / (each[index] ?? 1), 0);
    if (round * rounds <= budgetNanoseconds || period >= rounds / 20) return each;
  }
}
