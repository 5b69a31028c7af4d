/**
 * The program of `sbx attach` and `sbx start -a`: shares the caller's terminal or pipes with a sandbox in the
 * background, by the messages of launch/lower/life/attach/clients.ts, until the sandbox ends or the keys to detach are typed.
 */
import type { Plan } from "../../../../spec/plan.js";
import { at, slot } from "../../../machine/builder.js";
import { k, minus, signo } from "../../../machine/constants.js";
import type { Address, Program } from "../../../machine/ir.js";
import { type Context, context, s } from "../../context.js";
import { t, terminalMemory, terminalSubroutines } from "../../payload/terminal.js";
import { events, pollTable } from "../../poll.js";
import { pseudoErrno } from "../../pseudo-errno.js";
import { failure } from "../../shared.js";
import { blockSignals } from "../../signals.js";
import { readArguments, refuseForeignStart } from "../../start.js";
import { lowerSteps } from "../../steps.js";
import { failureTextSubroutines, failureTexts } from "../../text/failure-texts.js";
import { exitStatus, reportFailure } from "../../text/report.js";
import { textSubroutines } from "../../text/text.js";
import { socket, started } from "./client-connect.js";
import {
  type Client,
  endsLeft,
  matched,
  sendSubroutines,
  sent,
  stdinOpen,
} from "./client-input.js";
import { monitor, outputSubroutines, shown } from "./client-output.js";
import { tag } from "./messages.js";

/** 1 where the size of the window is to be told. */
const isResized = slot("isResized");
const signal = slot("signal");
const number = slot("clientNumber");
const watched = slot("watchedFd");
const wanted = slot("wantedEvents");
const timeout = slot("timeout");

export function lowerClient(plan: Plan, client: Client): Program {
  const c = context(plan);
  const { b, memory } = c;
  const isRaw = client.hasTerminal && client.input;
  b.failTo("client.fail");
  readArguments(c);
  refuseForeignStart(c);
  const zeros = [s.step, s.stdinIsTerminal, started, isResized, matched, sent, endsLeft];
  for (const flag of [...zeros, ...Object.values(shown)]) b.set(flag, 0);
  for (const none of [monitor, t.ptyFd]) b.set(none, -1);
  for (const no of [t.isRaw, t.isUnmodelled]) b.set(no, 0);
  b.set(t.foreground, 1);
  b.set(stdinOpen, client.input ? 1 : 0);
  blockSignals(c);
  lowerSteps(c, "monitor");
  b.must("signalfd4", [-1, memory.allSignals, 8, k("SFD_CLOEXEC", "SFD_NONBLOCK")], s.signalFd);
  b.set(t.ptyFd, socket);
  if (isRaw) {
    const none = b.fresh("client");
    b.orElse(none, "ioctl", [0, k("TCGETS"), memory.scratch]);
    b.set(s.stdinIsTerminal, 1);
    b.label(none);
  }
  b.call("terminal.enter");
  loop(c);
  takeSignal(c, client);
  ends(c);
  outputSubroutines(c);
  sendSubroutines(c, client);
  const own = terminalMemory(c);
  terminalSubroutines(c, own, () => tellSize(c, own.size));
  textSubroutines(c);
  failureTextSubroutines(c);
  failureTexts(c);
  return b.finish();
}

function loop(c: Context): void {
  const { b, memory } = c;
  const poll = pollTable(c, ["signal", "socket", "stdin", "shown"] as const);
  const foreground = b.fresh("loop");
  b.label("client.loop");
  const pause = b.words("pause", [0, 100_000_000], false);
  const ended = b.fresh("loop");
  b.set(timeout, 0);
  b.branch(endsLeft, "eq", 0, ended);
  b.set(timeout, pause);
  b.label(ended);
  b.branch(t.foreground, "ne", 0, foreground);
  b.comment("a shell does not tell a job that is running that it is in the foreground now");
  b.set(timeout, pause);
  b.call("terminal.enter");
  b.label(foreground);
  const unresized = b.fresh("loop");
  b.branch(isResized, "eq", 0, unresized);
  b.set(isResized, 0);
  b.call("terminal.resize");
  b.label(unresized);
  poll.watch("signal", s.signalFd, k("POLLIN"));

  const [noOutput, noInput, idle] = [b.fresh("loop"), b.fresh("loop"), b.fresh("loop")];
  b.set(wanted, 0);
  b.branch(shown.length, "ne", 0, noOutput);
  b.set(wanted, k("POLLIN"));
  b.label(noOutput);
  b.alu("or", number, sent, isResized);
  b.branch(number, "eq", 0, noInput);
  b.alu("or", wanted, wanted, k("POLLOUT"));
  b.label(noInput);
  // Else a socket that hung up would be told of again and again.
  b.set(watched, -1);
  b.branch(wanted, "eq", 0, idle);
  b.set(watched, socket);
  b.label(idle);
  poll.watch("socket", watched, wanted);

  const watchIf = (
    place: "stdin" | "shown",
    fd: typeof watched | 0,
    unless: (label: string) => void,
  ) => {
    const not = b.fresh("loop");
    b.set(watched, -1);
    unless(not);
    b.set(watched, fd);
    b.label(not);
    poll.watch(place, watched, place === "stdin" ? k("POLLIN") : k("POLLOUT"));
  };
  watchIf("stdin", 0, (not) => {
    b.branch(stdinOpen, "eq", 0, not);
    b.branch(sent, "ne", 0, not);
    b.branch(t.foreground, "eq", 0, not);
  });
  watchIf("shown", shown.fd, (not) => b.branch(shown.length, "eq", 0, not));
  poll.wait(timeout, s.result);
  const busy = b.fresh("loop");
  b.branch(s.result, "ne", 0, busy);
  b.branch(endsLeft, "eq", 0, busy);
  b.alu("sub", endsLeft, endsLeft, 1);
  b.call("client.ended");
  b.label(busy);

  const then = (place: Parameters<typeof poll.happened>[0], ...calls: string[]) => {
    const not = b.fresh("loop");
    poll.happened(place);
    b.branch(events, "eq", 0, not);
    for (const each of calls) b.call(each);
    b.label(not);
  };
  then("socket", "client.send", "client.receive");
  then("shown", "client.show");
  then("stdin", "client.read");
  poll.happened("signal");
  b.branch(events, "eq", 0, "client.loop");
  b.ignore("it was ready", "read", [s.signalFd, memory.signal, 128]);
}

/** The size in `size`; once more later, where it cannot be told now. */
function tellSize({ b, memory }: Context, size: Address): void {
  const told = b.fresh("size");
  const message = at(memory.scratch, 7);
  b.store(1, message, 0, tag.windowSize);
  b.load(8, number, size);
  b.store(8, memory.scratch, 8, number);
  const flags = k("MSG_DONTWAIT", "MSG_NOSIGNAL");
  b.attempt("sendto", [socket, message, 9, flags, 0, 0], number);
  b.branch(number, "ne", minus("EAGAIN"), told);
  b.set(isResized, 1);
  b.label(told);
}

function takeSignal({ b, memory }: Context, { hasTerminal, passesSignals }: Client): void {
  const own = slot("ownPid");
  const other = b.fresh("signal");
  b.load(4, signal, memory.signal);
  for (const name of ["SIGCHLD", "SIGPIPE", "SIGTTIN", "SIGTTOU"]) {
    b.branch(signal, "eq", signo(name), "client.loop");
  }
  for (const name of ["SIGWINCH", "SIGCONT"]) b.branch(signal, "eq", signo(name), "client.entered");
  if (passesSignals && !hasTerminal) {
    b.comment(
      "a terminal that is closed, or a job that is stopped, is no reason for the sandbox to be",
    );
    for (const name of ["SIGHUP", "SIGTSTP"]) b.branch(signal, "eq", signo(name), other);
    b.branch(monitor, "lt", 0, other);
    b.ignore("it has just ended", "pidfd_send_signal", [monitor, signal, 0, 0]);
    b.jump("client.loop");
  }
  b.label(other);
  b.comment("as if it had never been blocked: it ends or stops us, or is ignored");
  b.call("terminal.leave");
  b.ignore("getpid(2) always succeeds", "getpid", [], own);
  b.ignore("a signal to oneself arrives", "kill", [own, signal]);
  b.alu("sub", number, signal, 1);
  b.alu("shl", number, 1, number);
  b.store(8, memory.scratch, 0, number);
  const masks = [
    [k("SIG_UNBLOCK"), memory.scratch],
    [k("SIG_SETMASK"), memory.allSignals],
  ] as const;
  for (const [how, mask] of masks) {
    b.ignore("a valid mask is never refused", "rt_sigprocmask", [how, mask, 0, 8]);
  }
  b.label("client.entered");
  b.call("terminal.enter");
  b.set(isResized, t.isRaw);
  b.jump("client.loop");
}

/** All ways out. */
function ends(c: Context): void {
  const { b, memory } = c;
  b.comment("nobody reads what the sandbox writes");
  b.label("client.unread");
  b.call("terminal.leave");
  b.alu("add", number, signo("SIGPIPE"), exitStatus.signalled);
  b.exit(number);

  b.label("client.exited");
  b.call("terminal.leave");
  b.exit(number);

  b.comment("it ended without a word: a program that could not start the sandbox has said why");
  const killed = b.fresh("client");
  b.label("client.closed");
  b.set(s.errno, pseudoErrno.monitorEnded);
  b.branch(started, "eq", 0, killed);
  b.ignore("it is our child", "wait4", [started, memory.status, 0, 0]);
  b.load(4, number, memory.status);
  b.alu("shr", number, number, 8);
  b.branch(number, "ne", 0, "client.exited");
  b.label(killed);
  b.label("client.fail");
  b.call("terminal.leave");
  b.set(failure.step, s.step);
  b.set(failure.errno, s.errno);
  reportFailure(c, number);
  b.exit(number);
}
