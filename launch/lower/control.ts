/** What the inside tells the monitor, and what the monitor does about it. */
import { at, slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import type { Slot } from "../machine/ir.js";
import { limitLate } from "./cgroup/cgroup.js";
import { actionOf, type Context, recordSize, s } from "./context.js";
import { giveBackSoon } from "./give-back.js";
import { releaseStarter } from "./life/detach.js";
import { lifeOf } from "./life/life.js";
import { tellRunning } from "./life/state.js";
import { message } from "./messages.js";
import { showMounts, showNetwork, takeNamespace } from "./namespaces.js";
import { isEarly } from "./payload/early.js";
import { handListener } from "./payload/listener.js";
import { t, takeTerminal } from "./payload/terminal.js";
import { receivedFd, recordHeader } from "./rights.js";
import { takeOwners, watchesOwners } from "./rootfs/owners.js";
import { failure, readFailure } from "./shared.js";
import { tellStatus } from "./text/report.js";

/** Of the last message. */
export const messageKind = slot("kind");
/** Whether the command was executed. */
export const isReady = slot("isReady");

const isContinued = slot("isContinued");

/** What the last recvmsg(2) gave. */
export const received = slot("received");
/** The payload's end as wait4(2) gave it to the init; -1 before. */
export const payloadStatus = slot("payloadStatus");

export function controlState({ b }: Context): void {
  b.set(payloadStatus, -1);
  b.set(isReady, 0);
  for (const part of Object.values(failure)) b.set(part, 0);
}

/** One message of the control socket; leaves what recvmsg gave in `received`. */
export function controlSubroutines(c: Context): void {
  const { b, memory } = c;
  const value = slot("value");
  b.comment("take one message from inside");
  b.label("control.receive");
  const header = recordHeader(c);
  b.attempt("recvmsg", [s.controlOutside, header, k("MSG_DONTWAIT", "MSG_CMSG_CLOEXEC")], received);
  b.branch(received, "eq", 0, "control.closed");
  b.branch(received, "lt", recordSize, "control.end");
  b.load(8, messageKind, memory.record);
  b.load(8, value, memory.record, 8);

  const next = (label: string, wanted: keyof typeof message) =>
    b.branch(messageKind, "ne", message[wanted], label);
  next("control.notExited", "exited");
  b.set(payloadStatus, value);
  b.return();
  b.label("control.notExited");
  if (lifeOf(c) === undefined) {
    next("control.notStopped", "stopped");
    b.jump("monitor.suspend");
    b.label("control.notStopped");
  }
  const fd = slot("receivedFd");
  next("control.notReady", "ready");
  if (isEarly(c)) {
    b.load(4, fd, receivedFd(c));
    showNetwork(c, fd);
  }
  b.call("monitor.ready");
  b.return();
  b.label("control.notReady");
  if (actionOf(c, "handListener") !== undefined) {
    next("control.notListener", "listener");
    b.load(4, fd, receivedFd(c));
    handListener(c, fd);
    b.return();
    b.label("control.notListener");
  }
  if (watchesOwners(c)) {
    next("control.notOwners", "owners");
    b.load(4, fd, receivedFd(c));
    takeOwners(c, fd);
    b.return();
    b.label("control.notOwners");
  }
  const limits = actionOf(c, "awaitLimits");
  if (limits !== undefined) {
    next("control.notLimits", "limits");
    limitLate(c, limits);
    b.return();
    b.label("control.notLimits");
  }
  if (actionOf(c, "sendNamespaces") !== undefined) {
    next("control.notNamespace", "namespace");
    b.load(4, fd, receivedFd(c));
    takeNamespace(c, fd, value);
    b.return();
    b.label("control.notNamespace");
  }
  if (c.terminal) {
    next("control.end", "terminal");
    b.load(4, fd, receivedFd(c));
    takeTerminal(c, fd);
  }
  b.label("control.end");
  b.return();

  b.comment("without an init, the socket closes as the payload's execve succeeds");
  b.label("control.closed");
  b.ignore("it is ours", "close", [s.controlOutside]);
  b.set(s.controlOutside, -1);
  if (!c.plan.init) b.call("monitor.ready");
  b.return();

  b.label("monitor.ready");
  readFailure(c);
  b.branch(failure.happened, "ne", 0, "monitor.ready.end");
  b.branch(isReady, "ne", 0, "monitor.ready.end");
  b.set(isReady, 1);
  showMounts(c);
  tellStatus(c, ['{"event":"ready"}']);
  if (lifeOf(c) !== undefined) {
    tellRunning(c);
    releaseStarter(c);
  }
  if (actionOf(c, "leaveCaller") !== undefined) b.exit(0);
  else giveBackSoon(c);
  b.label("monitor.ready.end");
  b.return();

  // Nobody could continue a monitor in the background.
  if (lifeOf(c) === undefined) suspendSubroutine(c);
}

/** The payload stopped: so do we, as any job would, and the caller's shell gets its terminal back. */
function suspendSubroutine(c: Context): void {
  const { b, memory } = c;
  const own = slot("ownPid");
  b.comment("stop, with SIGTSTP at its default action, until someone continues us");
  b.label("monitor.suspend");
  if (c.relays) b.call("terminal.leave");
  b.ignore("getpid(2) always succeeds", "getpid", [], own);
  wakeOnMessage(c, own);
  b.comment("somebody has continued the job meanwhile: the kernel would forget that");
  readContinued(c);
  b.branch(isContinued, "ne", 0, "monitor.awake");
  b.ignore("a signal to oneself arrives", "kill", [own, signo("SIGTSTP")]);
  b.ignore("a valid mask is never refused", "rt_sigprocmask", [
    k("SIG_UNBLOCK"),
    b.words("onlySigtstp", [bit("SIGTSTP")], false),
    0,
    8,
  ]);
  b.ignore("a valid mask is never refused", "rt_sigprocmask", [
    k("SIG_SETMASK"),
    memory.allSignals,
    0,
    8,
  ]);
  b.label("monitor.awake");
  b.ignore("no more signals than before", "fcntl", [s.controlOutside, k("F_SETFL"), k()]);
  if (c.relays) resumeUnstopped(c);
  b.return();
}

/**
 * A payload that someone inside continues, or that dies, must not find the monitor asleep: the next
 * message on the socket continues it. One that is there already leaves it awake.
 */
function wakeOnMessage({ b, memory }: Context, own: Slot): void {
  const because = "without it the monitor waits to be continued by hand";
  b.ignore(because, "fcntl", [s.controlOutside, k("F_SETOWN"), own]);
  b.ignore(because, "fcntl", [s.controlOutside, k("F_SETSIG"), signo("SIGCONT")]);
  b.ignore(because, "fcntl", [s.controlOutside, k("F_SETFL"), k("O_ASYNC")]);
  b.store(4, memory.scratch, 0, s.controlOutside);
  b.store(4, memory.scratch, 4, k("POLLIN"));
  b.store(8, memory.scratch, 16, 0);
  b.store(8, memory.scratch, 24, 0);
  b.attempt("ppoll", [memory.scratch, 1, at(memory.scratch, 16), 0, 8], s.result);
  b.branch(s.result, "gt", 0, "monitor.awake");
}

/**
 * The kernel does not stop an orphaned process group (one that no shell looks after, as under
 * `ssh -t`): with nobody there who could continue it, the payload goes on at once.
 */
function resumeUnstopped(c: Context): void {
  const { b } = c;
  const end = b.fresh("resumed");
  b.call("terminal.enter");
  b.branch(t.ptyFd, "lt", 0, end);
  readContinued(c);
  b.branch(isContinued, "ne", 0, end);
  b.ignore("it has just died", "kill", [s.initPid, signo("SIGCONT")]);
  b.label(end);
}

/** Whether there is a SIGCONT to be taken. */
function readContinued({ b, memory }: Context): void {
  b.ignore("a valid buffer is never refused", "rt_sigpending", [memory.scratch, 8]);
  b.load(8, isContinued, memory.scratch);
  b.alu("and", isContinued, isContinued, bit("SIGCONT"));
}

/** The place of a signal in a sigset_t. */
const bit = (name: string) => 2 ** (Number(signo(name).value) - 1);
