import { slot } from "../builder.js";
import { k, minus, signo } from "../constants.js";
import type { Slot } from "../ir.js";
import { type Context, message, recordSize, s } from "./context.js";
import { awaitJanitor } from "./janitor.js";
import { exitStatus, failure, reportFailure, tellStatus } from "./report.js";
import { messageHeader, receivedFd, type TerminalMemory, t, takeTerminal } from "./terminal.js";

const bufferSize = 4096;
/** Places in the array of struct pollfd. */
const poll = { signal: 0, control: 1, stdin: 2, pty: 3, stdout: 4 } as const;

const initStatus = slot("initStatus");
const payloadStatus = slot("payloadStatus");
const isReady = slot("isReady");
const received = slot("received");
const kind = slot("kind");
const events = slot("events");
const pollFd = slot("pollFd");
const signal = slot("signal");
const pid = slot("reapedPid");
const code = slot("exitCode");
const bytes = slot("bytes");
const stdinOpen = slot("stdinOpen");
const ptyResting = slot("ptyResting");

/** What was read from one side of the relay and not yet written to the other. */
interface Direction {
  readonly buffer: ReturnType<Context["b"]["buffer"]>;
  readonly start: Slot;
  readonly length: Slot;
}

/** State that `monitorLoop` and the failure path read; to be set before any step can fail. */
export function initialState({ b, terminal }: Context): void {
  b.set(s.initPid, 0);
  b.set(failure.happened, 0);
  b.set(failure.step, 0);
  b.set(failure.errno, 0);
  b.set(initStatus, 0);
  b.set(payloadStatus, -1);
  b.set(isReady, 0);
  if (!terminal) return;
  b.set(s.terminalFd, -1);
  b.set(t.ptyFd, -1);
  b.set(t.isRaw, 0);
  b.set(t.foreground, 1);
}

export function monitorLoop(c: Context, terminal: TerminalMemory | null): void {
  const { b, memory } = c;
  const direction = (name: string): Direction => ({
    buffer: b.buffer(`${name}Buffer`, bufferSize),
    start: slot(`${name}Start`),
    length: slot(`${name}Length`),
  });
  const relay = terminal === null ? null : { in: direction("input"), out: direction("output") };
  const table = b.buffer("poll", 5 * 8);
  const pause = b.words("pause", [0, 100_000_000], false);

  if (relay !== null) {
    b.set(stdinOpen, 1);
    b.set(ptyResting, 0);
    for (const { start, length } of [relay.in, relay.out]) {
      b.set(start, 0);
      b.set(length, 0);
    }
  }

  b.label("monitor.loop");
  const watch = (place: keyof typeof poll, fd: Slot | number, wanted: Slot | typeof pollin) => {
    b.store(4, table, 8 * poll[place], fd);
    b.store(4, table, 8 * poll[place] + 4, wanted);
  };
  const pollin = k("POLLIN");
  watch("signal", s.signalFd, pollin);
  watch("control", s.controlOutside, pollin);
  const timeout = slot("timeout");
  if (relay !== null) watchRelay(c, relay, watch, timeout, pause);
  const count = relay === null ? 2 : 5;
  b.ignore("all signals are blocked, so nothing interrupts it", "ppoll", [
    table,
    count,
    relay === null ? 0 : timeout,
    0,
    8,
  ]);

  const happened = (place: keyof typeof poll) => {
    b.load(4, events, table, 8 * poll[place] + 4);
    b.alu("shr", events, events, 16);
  };
  const noControl = b.fresh("poll");
  happened("control");
  b.branch(events, "eq", 0, noControl);
  b.call("control.receive");
  b.label(noControl);
  if (relay !== null) moveBytes(c, relay, happened);
  happened("signal");
  b.branch(events, "eq", 0, "monitor.loop");
  b.ignore("it was ready", "read", [s.signalFd, memory.signal, 128], bytes);
  handleSignal(c);

  finish(c, relay);
  receiveSubroutine(c);
  if (relay !== null) relaySubroutines(c, relay);
}

/** What of the relay there is to wait for. */
function watchRelay(
  { b }: Context,
  relay: { in: Direction; out: Direction },
  watch: (place: keyof typeof poll, fd: Slot | number, wanted: Slot | ReturnType<typeof k>) => void,
  timeout: Slot,
  pause: ReturnType<Context["b"]["words"]>,
): void {
  const noStdin = b.fresh("watch");
  b.set(pollFd, -1);
  b.branch(t.ptyFd, "lt", 0, noStdin);
  b.branch(stdinOpen, "eq", 0, noStdin);
  b.branch(t.foreground, "eq", 0, noStdin);
  b.branch(relay.in.length, "ne", 0, noStdin);
  b.set(pollFd, 0);
  b.label(noStdin);
  watch("stdin", pollFd, k("POLLIN"));

  const noInput = b.fresh("watch");
  const noOutput = b.fresh("watch");
  b.set(events, k("POLLIN"));
  b.branch(relay.out.length, "eq", 0, noOutput);
  b.set(events, 0);
  b.label(noOutput);
  b.branch(relay.in.length, "eq", 0, noInput);
  b.alu("or", events, events, k("POLLOUT"));
  b.label(noInput);
  // While nobody inside has the terminal open it hangs up at once, each time it is asked.
  const awake = b.fresh("watch");
  b.set(timeout, 0);
  b.set(pollFd, t.ptyFd);
  b.branch(ptyResting, "eq", 0, awake);
  b.set(ptyResting, 0);
  b.set(pollFd, -1);
  b.set(timeout, pause);
  b.label(awake);
  watch("pty", pollFd, events);

  const noStdout = b.fresh("watch");
  b.set(pollFd, -1);
  b.branch(relay.out.length, "eq", 0, noStdout);
  b.set(pollFd, 1);
  b.label(noStdout);
  watch("stdout", pollFd, k("POLLOUT"));
}

function moveBytes(
  { b }: Context,
  relay: { in: Direction; out: Direction },
  happened: (place: keyof typeof poll) => void,
): void {
  const idlePty = b.fresh("move");
  const noHangUp = b.fresh("move");
  const noInput = b.fresh("move");
  const noStdin = b.fresh("move");
  const noStdout = b.fresh("move");
  const readable = slot("readable");

  happened("pty");
  b.branch(events, "eq", 0, idlePty);
  b.alu("and", readable, events, k("POLLIN"));
  b.branch(readable, "ne", 0, noHangUp);
  b.alu("and", readable, events, k("POLLHUP", "POLLERR"));
  b.branch(readable, "eq", 0, noInput);
  b.set(ptyResting, 1);
  b.jump(noInput);
  b.label(noHangUp);
  b.call("output.read");
  b.label(noInput);
  b.branch(relay.in.length, "eq", 0, idlePty);
  b.call("input.write");
  b.label(idlePty);

  happened("stdin");
  b.branch(events, "eq", 0, noStdin);
  b.call("input.read");
  b.label(noStdin);
  happened("stdout");
  b.branch(events, "eq", 0, noStdout);
  b.call("output.write");
  b.label(noStdout);
}

function relaySubroutines({ b }: Context, relay: { in: Direction; out: Direction }): void {
  const from = slot("relayFrom");

  const read = (name: string, fd: Slot | number, { buffer, start, length }: Direction) => {
    b.label(`${name}.read`);
    b.set(start, 0);
    b.set(length, 0);
    b.attempt("read", [fd, buffer, bufferSize], bytes);
    b.branch(bytes, "le", 0, `${name}.read.nothing`);
    b.set(length, bytes);
    b.return();
    b.label(`${name}.read.nothing`);
    b.branch(bytes, "eq", minus("EAGAIN"), `${name}.read.end`);
  };
  const write = (name: string, fd: Slot | number, { buffer, start, length }: Direction) => {
    b.label(`${name}.write`);
    b.alu("add", from, start, buffer);
    b.attempt("write", [fd, from, length], bytes);
    b.branch(bytes, "eq", minus("EAGAIN"), `${name}.write.end`);
    b.branch(bytes, "gt", 0, `${name}.write.some`);
    b.comment("nobody is there any more: drop it");
    b.set(bytes, length);
    b.label(`${name}.write.some`);
    b.alu("add", start, start, bytes);
    b.alu("sub", length, length, bytes);
    b.label(`${name}.write.end`);
    b.return();
  };

  read("input", 0, relay.in);
  b.comment("the end of a stdin that is no terminal is ^D to the payload's");
  b.set(stdinOpen, 0);
  b.branch(s.stdinIsTerminal, "ne", 0, "input.read.end");
  b.store(1, relay.in.buffer, 0, 4);
  b.set(relay.in.length, 1);
  b.label("input.read.end");
  b.return();

  read("output", t.ptyFd, relay.out);
  b.set(ptyResting, 1);
  b.label("output.read.end");
  b.return();

  write("input", t.ptyFd, relay.in);
  write("output", 1, relay.out);
}

/** One message of the control socket; leaves what recvmsg gave in `received`. */
function receiveSubroutine(c: Context): void {
  const { b, memory } = c;
  const first = slot("first");
  b.comment("take one message from inside");
  b.label("control.receive");
  const header = messageHeader(c);
  b.attempt("recvmsg", [s.controlOutside, header, k("MSG_DONTWAIT", "MSG_CMSG_CLOEXEC")], received);
  b.branch(received, "eq", 0, "control.closed");
  b.branch(received, "lt", recordSize, "control.end");
  b.load(8, kind, memory.record);
  b.load(8, first, memory.record, 8);

  const next = (label: string, wanted: keyof typeof message) =>
    b.branch(kind, "ne", message[wanted], label);
  next("control.notFailed", "failed");
  b.set(failure.happened, 1);
  b.set(failure.step, first);
  b.load(8, failure.errno, memory.record, 16);
  b.return();
  b.label("control.notFailed");
  next("control.notExited", "exited");
  b.set(payloadStatus, first);
  b.return();
  b.label("control.notExited");
  next("control.notStopped", "stopped");
  b.jump("monitor.suspend");
  b.label("control.notStopped");
  next("control.notReady", "ready");
  b.call("monitor.ready");
  b.return();
  b.label("control.notReady");
  if (c.terminal) {
    const fd = slot("receivedFd");
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
  b.branch(failure.happened, "ne", 0, "monitor.ready.end");
  b.branch(isReady, "ne", 0, "monitor.ready.end");
  b.set(isReady, 1);
  tellStatus(c, ['{"event":"ready"}']);
  b.label("monitor.ready.end");
  b.return();

  suspendSubroutine(c);
}

/** The payload stopped: so do we, as any job would, and the caller's shell gets its terminal back. */
function suspendSubroutine(c: Context): void {
  const { b, memory } = c;
  const own = slot("ownPid");
  b.comment("stop, with SIGTSTP at its default action, until someone continues us");
  b.label("monitor.suspend");
  if (c.terminal) b.call("terminal.leave");
  b.ignore("getpid(2) always succeeds", "getpid", [], own);
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
  if (c.terminal) resumeUnstopped(c);
  b.return();
}

/**
 * The kernel does not stop an orphaned process group (one that no shell looks after, as under
 * `ssh -t`): with nobody there who could continue it, the payload goes on at once.
 */
function resumeUnstopped({ b, memory }: Context): void {
  const pending = slot("pending");
  const end = b.fresh("resumed");
  b.call("terminal.enter");
  b.branch(t.ptyFd, "lt", 0, end);
  b.ignore("a valid buffer is never refused", "rt_sigpending", [memory.scratch, 8]);
  b.load(8, pending, memory.scratch);
  b.alu("and", pending, pending, bit("SIGCONT"));
  b.branch(pending, "ne", 0, end);
  b.ignore("it has just died", "kill", [s.initPid, signo("SIGCONT")]);
  b.label(end);
}

/** The place of a signal in a sigset_t. */
const bit = (name: string) => 2 ** (Number(signo(name).value) - 1);

function handleSignal(c: Context): void {
  const { b, memory } = c;
  b.load(4, signal, memory.signal);
  b.branch(signal, "eq", signo("SIGCHLD"), "monitor.reap");
  for (const own of ["SIGPIPE", "SIGTTIN", "SIGTTOU"]) {
    b.branch(signal, "eq", signo(own), "monitor.loop");
  }
  if (c.terminal) {
    const notResized = b.fresh("signal");
    const notContinued = b.fresh("signal");
    b.branch(signal, "ne", signo("SIGWINCH"), notResized);
    b.call("terminal.resize");
    b.jump("monitor.loop");
    b.label(notResized);
    b.branch(signal, "ne", signo("SIGCONT"), notContinued);
    b.call("terminal.enter");
    b.label(notContinued);
  }
  b.ignore("it has just died", "kill", [s.initPid, signal]);
  b.jump("monitor.loop");

  b.label("monitor.reap");
  b.attempt("wait4", [-1, memory.status, k("WNOHANG"), 0], pid);
  b.branch(pid, "le", 0, "monitor.loop");
  b.branch(pid, "ne", s.initPid, "monitor.reap");
  b.load(4, initStatus, memory.status);
}

function finish(c: Context, relay: { in: Direction; out: Direction } | null): void {
  const { b } = c;
  b.comment("the sandbox is gone: what it said last");
  const saidAll = b.fresh("finish");
  const saying = b.fresh("finish");
  b.label(saying);
  b.branch(s.controlOutside, "lt", 0, saidAll);
  b.call("control.receive");
  b.branch(received, "gt", 0, saying);
  b.label(saidAll);
  if (relay !== null) {
    drain(c, relay.out);
    b.call("terminal.leave");
  }
  awaitJanitor(c);

  b.branch(failure.happened, "ne", 0, "monitor.report");
  const own = b.fresh("finish");
  b.branch(payloadStatus, "ge", 0, own);
  b.comment("the init itself was killed, or there is none");
  b.set(payloadStatus, initStatus);
  b.label(own);
  const signalled = b.fresh("finish");
  b.alu("and", signal, payloadStatus, 0x7f);
  b.branch(signal, "ne", 0, signalled);
  b.alu("shr", code, payloadStatus, 8);
  b.alu("and", code, code, 0xff);
  tellStatus(c, ['{"event":"exit","exitCode":', { decimal: code }, "}"]);
  b.exit(code);
  b.label(signalled);
  b.alu("add", code, signal, exitStatus.signalled);
  tellStatus(c, [
    '{"event":"exit","signal":',
    { decimal: signal },
    ',"exitCode":',
    { decimal: code },
    "}",
  ]);
  b.exit(code);
}

/** All that the payload still wrote to its terminal. */
function drain({ b }: Context, out: Direction): void {
  const done = b.fresh("drained");
  const more = b.fresh("drain");
  const writing = b.fresh("drain");
  const room = b.words(b.fresh("untilWritable"), [1 + Number(k("POLLOUT").value) * 2 ** 32], true);
  b.branch(t.ptyFd, "lt", 0, done);
  b.label(more);
  b.label(writing);
  const written = b.fresh("drain");
  b.branch(out.length, "eq", 0, written);
  b.call("output.write");
  b.branch(out.length, "eq", 0, written);
  b.ignore("the write tells", "ppoll", [room, 1, 0, 0, 8]);
  b.jump(writing);
  b.label(written);
  b.call("output.read");
  b.branch(out.length, "gt", 0, more);
  b.label(done);
}

/** Where a step of the monitor's goes that fails: what was begun is ended, and the failure told. */
export function monitorFailure(c: Context): void {
  const { b, memory } = c;
  const nobody = b.fresh("fail");
  b.label("monitor.fail");
  b.branch(s.initPid, "eq", 0, nobody);
  b.ignore("it may have died by itself", "kill", [s.initPid, signo("SIGKILL")]);
  b.ignore("it is our child", "wait4", [s.initPid, memory.status, 0, 0]);
  b.label(nobody);
  b.set(failure.step, s.step);
  b.set(failure.errno, s.errno);
  awaitJanitor(c);
  b.label("monitor.report");
  reportFailure(c, code);
  b.exit(code);
}
