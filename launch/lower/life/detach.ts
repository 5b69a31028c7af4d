/**
 * A sandbox in the background. The process that was executed is the starter: it waits until the payload
 * runs, says the sandbox's id, and ends. The monitor goes on in a session of its own, with nothing of the
 * caller's but the working directory, the environment and, until the payload runs, stderr.
 *
 * What lives as long as the monitor, whatever is started again, has the lowest fds, always all of them.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import { at, slot } from "../../machine/builder.js";
import { k, minus, noFollow, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, octal, s } from "../context.js";
import { closeFrom } from "../fds.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { branchUnlessSame } from "../rootfs/filesystem.js";
import { forgetFailure } from "../shared.js";
import { forgetSignals, unblockSignals } from "../signals.js";
import { exitStatus } from "../text/report.js";
import { compose, textLength } from "../text/text.js";
import { type Detach, firstFdOfRun, l, lifeOf } from "./life.js";
import { firstLogState } from "./log.js";
import { restartState } from "./restart.js";
import { startState } from "./state.js";

const recordNumber = 3;
const starterPid = slot("starterPid");
const monitorPid = slot("detachedPid");
const status = slot("detachedStatus");
const nothing = slot("nothingFd");
const tries = slot("lockTries");
/** Of the stdin that stays open. */
const inRead = slot("inRead");

/** The other end of the payload's stdin, nonblocking; only where `life.stdin`. */
export const inWrite = slot("inWrite");

/** Before any step. */
export function lifeState(c: Context): void {
  if (lifeOf(c) === undefined) return;
  for (const flag of [l.isOurs, l.isUp, l.isStopping, l.restarts]) c.b.set(flag, 0);
  for (const fd of [l.directory, l.outRead, l.errRead]) c.b.set(fd, -1);
  startState(c);
  restartState(c);
  firstLogState(c);
}

/** In what was executed, the step; behind it goes on the monitor, in a process of its own, and at each restart. */
export function detach(c: Context, action: Detach): void {
  const { b, memory } = c;
  const monitor = b.fresh("detach");
  const pipe = (read: Slot, write: Slot) => {
    b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
    b.load(4, read, memory.pair);
    b.load(4, write, memory.pair, 4);
  };
  pipe(l.record, l.started);
  const path = b.text(action.directory);
  b.must("openat", [k("AT_FDCWD"), path, k("O_RDONLY", "O_CLOEXEC"), 0], l.directory);
  const flagsOfLock = noFollow("O_RDWR", "O_CREAT", "O_CLOEXEC");
  b.must("openat", [l.directory, b.text("lock"), flagsOfLock, octal(0o600)], l.lock);
  pipe(l.outRead, l.outWrite);
  pipe(l.errRead, l.errWrite);
  compose(c, [b.text("/proc/self/fd/"), { decimal: l.errWrite }]);
  const flags = k("O_WRONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), memory.text, flags, 0], l.messages);
  const starter = action.start?.isAttached === true ? 0 : l.directory;
  b.must("fcntl", [starter, k("F_DUPFD_CLOEXEC"), 3], l.starter);
  b.must("getpid", [], starterPid);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], monitorPid);
  b.branch(monitorPid, "eq", 0, monitor);
  awaitStart(c, action);

  b.label(monitor);
  b.must("setsid", []);
  forgetSignals(c);
  b.must("openat", [k("AT_FDCWD"), b.text("/dev/null"), k("O_RDWR", "O_CLOEXEC"), 0], nothing);
  for (const standard of [0, 1]) b.must("dup3", [nothing, standard, 0]);
  b.must("close", [nothing]);
  // The number stays taken.
  b.must("dup3", [l.directory, l.record, k("O_CLOEXEC")]);
  for (const read of [l.outRead, l.errRead]) b.must("fcntl", [read, k("F_SETFL"), k("O_NONBLOCK")]);
  lockDirectory(c, action);
  b.comment("from here on again at each restart");
  b.label("monitor.again");
  b.call("monitor.states");
  forgetFailure(c);
}

/** In the starter: the rest of its life. */
function awaitStart(c: Context, { id, start }: Detach): void {
  const { b, memory } = c;
  const [up, killed] = [b.fresh("starter"), b.fresh("starter")];
  b.comment("the starter");
  unblockSignals(c);
  b.must("close", [l.started]);
  b.ignore("the result tells", "read", [l.record, memory.scratch, 1], s.result);
  b.branch(s.result, "eq", 1, up);
  b.ignore("it is our child", "wait4", [monitorPid, memory.status, 0, 0]);
  b.load(4, status, memory.status);
  b.alu("and", s.result, status, 0x7f);
  b.branch(s.result, "ne", 0, killed);
  b.alu("shr", status, status, 8);
  b.exit(status);
  b.label(killed);
  const text = "sbx: start the sandbox in the background: its monitor was killed\n";
  b.ignore("there is nobody else to tell", "write", [2, b.text(text), text.length]);
  b.exit(exitStatus.setUpFailed);
  b.label(up);
  const said = `${start?.says ?? id}\n`;
  b.ignore("it runs, whoever reads this", "write", [1, b.text(said), Buffer.byteLength(said)]);
  b.exit(0);
}

/** In the monitor, while the starter is there: does something with its pid, in decimal in `text`. */
export function withStarter(c: Context, act: () => void): void {
  if (lifeOf(c) === undefined) return;
  const { b } = c;
  const gone = b.fresh("starter");
  b.must("getppid", [], s.result);
  b.branch(s.result, "ne", starterPid, gone);
  compose(c, [{ decimal: starterPid }]);
  act();
  b.label(gone);
}

/** A command that changes something has it for a moment only; a monitor for life. */
function lockDirectory(c: Context, { directory }: Detach): void {
  const { b, memory } = c;
  const [again, locked, gone] = [b.fresh("lock"), b.fresh("lock"), b.fresh("lock")];
  b.set(tries, 100);
  b.label(again);
  b.attempt("flock", [l.lock, k("LOCK_EX", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", 0, locked);
  const pause = b.words("lockPause", [0, 20_000_000], false);
  b.ignore("all signals are blocked, so nothing cuts it short", "nanosleep", [pause, 0]);
  b.alu("sub", tries, tries, 1);
  b.branch(tries, "gt", 0, again);
  b.alu("sub", s.errno, 0, s.result);
  b.branch(s.result, "ne", minus("EAGAIN"), gone);
  b.set(s.errno, pseudoErrno.isRunning);
  b.label(gone);
  b.fail();
  b.label(locked);
  // Who removes a sandbox has the lock before its directory gets another name.
  const there = at(memory.scratch, 512);
  const path = b.text(`${directory}/lock`);
  b.must("fstat", [l.lock, memory.scratch]);
  b.must("newfstatat", [k("AT_FDCWD"), path, there, k("AT_SYMLINK_NOFOLLOW")]);
  b.set(s.errno, Number(errnoNumbers.ENOENT));
  branchUnlessSame(c, there, gone);
  b.set(l.isOurs, 1);
}

/** In the monitor, the step, once there is the init. */
export function writePidFile(c: Context, path: string): void {
  const { b, memory } = c;
  const flags = k("O_WRONLY", "O_CREAT", "O_TRUNC", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), b.text(path), flags, octal(0o644)], nothing);
  compose(c, [{ decimal: s.initPid }, b.text("\n")]);
  b.must("write", [nothing, memory.text, textLength]);
  b.must("close", [nothing]);
}

/** In the monitor, before the clone of the init, which inherits its end. */
export function openInput(c: Context): void {
  if (lifeOf(c)?.stdin !== true) return;
  const { b, memory } = c;
  b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, inRead, memory.pair);
  b.load(4, inWrite, memory.pair, 4);
  b.must("fcntl", [inWrite, k("F_SETFL"), k("O_NONBLOCK")]);
}

/** In the monitor, once there is the init. */
export function closeInput(c: Context): void {
  if (lifeOf(c)?.stdin === true) c.b.must("close", [inRead]);
}

/** In every other process that outlives the start of the payload, and does not execute anything. */
export function leaveLife(c: Context): void {
  if (lifeOf(c) !== undefined) closeFrom(c, 3, firstFdOfRun - 1);
}

/** In the init: what will be the payload's stdin, stdout and stderr. */
export function takeStandard(c: Context): void {
  const life = lifeOf(c);
  if (life === undefined) return;
  const { b } = c;
  b.must("dup3", [l.outWrite, 1, 0]);
  b.must("dup3", [l.errWrite, 2, 0]);
  if (life.stdin) {
    b.must("dup3", [inRead, 0, 0]);
    b.must("close", [inRead]);
    b.must("close", [inWrite]);
  }
  leaveLife(c);
}

/** In the payload, as the sandbox's root: `/dev/stdout` is opened like any other file. */
export function ownStandard(c: Context): void {
  const life = lifeOf(c);
  if (life === undefined) return;
  const user = c.plan.steps.findLast(
    ({ role, action }) => role === "payload" && action.kind === "setIds",
  )?.action;
  if (user?.kind !== "setIds") return;
  for (const standard of life.stdin ? [0, 1, 2] : [1, 2]) {
    c.b.ignore("the caller may have no id inside", "fchown", [standard, user.uid, -1]);
  }
}

/** In the monitor, when the payload runs: the caller is let go. */
export function releaseStarter(c: Context): void {
  const { b } = c;
  const known = b.fresh("up");
  b.branch(l.isUp, "ne", 0, known);
  b.set(l.isUp, 1);
  b.ignore("it may have been killed", "write", [l.started, b.text("!"), 1]);
  b.ignore("the number stays taken", "dup3", [l.directory, l.started, k("O_CLOEXEC")]);
  b.ignore("both are open", "dup3", [l.messages, 2, 0]);
  b.label(known);
}

/** In the monitor, before a restart: of the run that has ended only the lock on its record stays. */
export function leaveRun(c: Context, record: Slot): void {
  const { b } = c;
  const none = b.fresh("leave");
  b.branch(record, "lt", 0, none);
  b.ignore("both are open", "dup3", [record, recordNumber, k("O_CLOEXEC")]);
  b.label(none);
  closeFrom(c, firstFdOfRun, 0xffffffff);
  b.alu("add", l.restarts, l.restarts, 1);
}
