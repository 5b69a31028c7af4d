/**
 * The end of a payload's run in the background: whether it is started again, by the policy, and how long
 * that waits; else what is left of the sandbox is put in order.
 */
import { basename, dirname } from "node:path";
import { slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { wasOutOfMemory } from "../cgroup/oom.js";
import { type Context, s } from "../context.js";
import { removeRecord } from "../record/name.js";
import { record } from "../record/place.js";
import { exitTold } from "../record/record.js";
import { treeTop } from "../rootfs/tree.js";
import { leaveRun } from "./detach.js";
import { l, lifeOf } from "./life.js";
import { drainOutput } from "./output.js";
import { rememberError, state, status, takeTime, tellState } from "./state.js";

const shortestPauseNs = 100_000_000;
const longestPauseNs = 60_000_000_000;
/** What has run so long was no failed start: the next pause is a short one again. */
const steadyMs = 10_000;

const pauseNs = slot("restartPauseNs");
const ran = slot("ranMs");
const signal = slot("signal");
const code = slot("signalCode");
const value = slot("signalValue");

/** struct signalfd_siginfo, signalfd(2). */
export const ssi = { code: 8, int: 44 } as const;
const SI_QUEUE = 0xffffffff;
/** What `sbx stop` and `sbx kill` send along: that it be not started again, and whether the signal is for the payload. */
const asked = { toStop: 1, toTell: 2 } as const;

/** Before any step. */
export function restartState(c: Context): void {
  if (lifeOf(c) !== undefined) c.b.set(pauseNs, 0);
}

/**
 * For a signal that has been read: notes that the sandbox is asked to stop, and goes to `taken` where the
 * payload is not to get it. SIGTERM is what logouts and shutdowns end all processes with.
 */
export function noteStop(c: Context, taken: string): void {
  if (lifeOf(c) === undefined) return;
  const { b, memory } = c;
  const [plain, end] = [b.fresh("stop"), b.fresh("stop")];
  b.load(4, code, memory.signal, ssi.code);
  b.branch(code, "ne", SI_QUEUE, plain);
  b.load(4, value, memory.signal, ssi.int);
  b.branch(value, "gt", asked.toTell, plain);
  b.branch(value, "le", 0, plain);
  b.set(l.isStopping, 1);
  b.branch(value, "eq", asked.toTell, taken);
  b.jump(end);
  b.label(plain);
  b.load(4, signal, memory.signal);
  b.branch(signal, "ne", signo("SIGTERM"), end);
  b.set(l.isStopping, 1);
  b.label(end);
}

/** In the monitor, when all but the record is gone; `exitCode` as the caller of a sandbox gets it. Ends the program. */
export function endRun(c: Context, exitCode: Slot, endSignal: Slot): void {
  const { b } = c;
  b.set(state.exitCode, exitCode);
  const notSignalled = b.fresh("end");
  b.branch(endSignal, "eq", 0, notSignalled);
  b.set(state.signal, endSignal);
  b.label(notSignalled);
  wasOutOfMemory(c, state.oom);
  takeTime(c, state.finishedMs);
  drainOutput(c);
  b.call("clients.end");
  decide(c);
  b.label("life.end");
  endLife(c);
}

/** Goes on behind the code it makes where the sandbox ends. */
function decide(c: Context): void {
  const life = lifeOf(c);
  if (life === undefined || life.restart.name === "no") return;
  const { b } = c;
  b.branch(l.isUp, "eq", 0, "life.end");
  b.branch(l.isStopping, "ne", 0, "life.end");
  if (life.restart.name === "on-failure") {
    b.branch(state.exitCode, "eq", 0, "life.end");
    const most = life.restart.maximumRetryCount;
    if (most !== undefined) b.branch(l.restarts, "ge", most, "life.end");
  }
  lengthenPause(b);
  tellState(c, "restarting");
  pause(c);
  leaveRun(c, record);
  b.jump("monitor.again");
}

function lengthenPause(b: Context["b"]): void {
  const [again, first, known] = [b.fresh("pause"), b.fresh("pause"), b.fresh("pause")];
  b.alu("sub", ran, state.finishedMs, state.startedMs);
  b.branch(ran, "ge", steadyMs, first);
  b.branch(pauseNs, "ne", 0, again);
  b.label(first);
  b.set(pauseNs, shortestPauseNs / 2);
  b.label(again);
  b.alu("add", pauseNs, pauseNs, pauseNs);
  b.branch(pauseNs, "le", longestPauseNs, known);
  b.set(pauseNs, longestPauseNs);
  b.label(known);
}

/** Signals are taken meanwhile; ppoll(2) leaves in the timespec what is left of it. */
function pause(c: Context): void {
  const { b, memory } = c;
  const [wait, taken, over] = [b.fresh("pause"), b.fresh("pause"), b.fresh("pause")];
  const left = b.buffer("restartPause", 16);
  b.alu("div", value, pauseNs, 1_000_000_000);
  b.store(8, left, 0, value);
  b.alu("rem", value, pauseNs, 1_000_000_000);
  b.store(8, left, 8, value);
  b.label(wait);
  b.store(4, memory.scratch, 0, s.signalFd);
  b.store(4, memory.scratch, 4, k("POLLIN"));
  b.attempt("ppoll", [memory.scratch, 1, left, 0, 8], s.result);
  b.branch(s.result, "eq", 0, over);
  b.ignore("it was ready", "read", [s.signalFd, memory.signal, 128]);
  noteStop(c, taken);
  b.label(taken);
  b.branch(l.isStopping, "ne", 0, "life.end");
  b.jump(wait);
  b.label(over);
}

/** What stays of it: nothing of one that is to be removed, or that never began; else its last state. */
function endLife(c: Context): void {
  const life = lifeOf(c);
  if (life === undefined) return;
  const { b } = c;
  const kept = b.fresh("end");
  removeRecord(c);
  if (life.removeAtEnd || life.start?.isNew === true) {
    if (!life.removeAtEnd) b.branch(l.isUp, "ne", 0, kept);
    const removed = b.text(`${dirname(life.directory)}/.${basename(life.directory)}`);
    const names = [k("AT_FDCWD"), b.text(life.directory), k("AT_FDCWD"), removed, 0];
    b.ignore("then there is nothing to be removed", "renameat2", names);
    b.set(treeTop, removed);
    b.call("tree.remove");
    b.set(status, b.text("exited"));
    b.call("event.put");
    exitTold(c, state.exitCode);
  }
  if (life.removeAtEnd) return;
  b.label(kept);
  tellState(c, "exited");
  b.exit(state.exitCode);
}

/** In the monitor, when a set-up has failed and that was told; `exitCode` is in its slot. */
export function endFailed(c: Context, exitCode: Slot): void {
  if (lifeOf(c) === undefined) return;
  const { b } = c;
  const ours = b.fresh("failed");
  b.branch(l.isOurs, "ne", 0, ours);
  b.exit(exitCode);
  b.label(ours);
  rememberError(c);
  b.set(state.exitCode, exitCode);
  b.set(state.signal, -1);
  takeTime(c, state.finishedMs);
  drainOutput(c);
  b.call("clients.end");
  b.jump("life.end");
}
