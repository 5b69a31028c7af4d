/** The two directions of bytes between the caller's terminal and the sandbox's. */
import { slot } from "../../machine/builder.js";
import { k, minus, signo } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { events, type PollTable } from "../poll.js";
import { t } from "./terminal.js";

const bufferSize = 4096;

const pollFd = slot("pollFd");
const bytes = slot("bytes");
const stdinOpen = slot("stdinOpen");
/** 1 once there is no more of a stdin that is no terminal. */
const inputEnded = slot("inputEnded");
/** 1 while the pty is left alone for a moment. */
const ptyResting = slot("ptyResting");

/** What was read from one side of the relay and not yet written to the other. */
interface Direction {
  readonly buffer: Address;
  readonly start: Slot;
  readonly length: Slot;
}

export interface Relay {
  readonly in: Direction;
  readonly out: Direction;
  /** A timespec: how long to wait before what cannot be waited for is looked at again. */
  readonly pause: Address;
}

/** Nothing is on its way yet. */
export function makeRelay({ b }: Context): Relay {
  const direction = (name: string): Direction => {
    const made = {
      buffer: b.buffer(`${name}Buffer`, bufferSize),
      start: slot(`${name}Start`),
      length: slot(`${name}Length`),
    };
    b.set(made.start, 0);
    b.set(made.length, 0);
    return made;
  };
  b.set(stdinOpen, 1);
  b.set(inputEnded, 0);
  b.set(ptyResting, 0);
  return {
    in: direction("input"),
    out: direction("output"),
    pause: b.words("pause", [0, 100_000_000], false),
  };
}

/** What of the relay there is to wait for. */
export function watchRelay({ b }: Context, relay: Relay, poll: PollTable, timeout: Slot): void {
  const noStdin = b.fresh("watch");
  const inForeground = b.fresh("watch");
  b.set(timeout, 0);
  b.set(pollFd, -1);
  b.branch(t.ptyFd, "lt", 0, noStdin);
  b.branch(t.foreground, "ne", 0, inForeground);
  // A shell does not tell a job that is running that it is in the foreground now.
  b.set(timeout, relay.pause);
  b.call("terminal.enter");
  b.branch(t.foreground, "eq", 0, noStdin);
  b.label(inForeground);
  b.branch(stdinOpen, "eq", 0, noStdin);
  b.branch(relay.in.length, "ne", 0, noStdin);
  b.set(pollFd, 0);
  b.label(noStdin);
  poll.watch("stdin", pollFd, k("POLLIN"));
  const notEnded = b.fresh("watch");
  b.branch(inputEnded, "eq", 0, notEnded);
  b.set(timeout, relay.pause);
  b.label(notEnded);

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
  b.set(pollFd, t.ptyFd);
  b.branch(ptyResting, "eq", 0, awake);
  b.set(ptyResting, 0);
  b.set(pollFd, -1);
  b.set(timeout, relay.pause);
  b.label(awake);
  poll.watch("pty", pollFd, events);

  const noStdout = b.fresh("watch");
  b.set(pollFd, -1);
  b.branch(relay.out.length, "eq", 0, noStdout);
  b.set(pollFd, 1);
  b.label(noStdout);
  poll.watch("stdout", pollFd, k("POLLOUT"));
}

export function moveBytes({ b }: Context, relay: Relay, poll: PollTable): void {
  const idlePty = b.fresh("move");
  const noHangUp = b.fresh("move");
  const noInput = b.fresh("move");
  const noStdin = b.fresh("move");
  const noStdout = b.fresh("move");
  const notEnded = b.fresh("move");
  const readable = slot("readable");

  b.branch(inputEnded, "eq", 0, notEnded);
  b.branch(s.result, "ne", 0, notEnded);
  b.call("input.end");
  b.label(notEnded);
  poll.happened("pty");
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

  poll.happened("stdin");
  b.branch(events, "eq", 0, noStdin);
  b.call("input.read");
  b.label(noStdin);
  poll.happened("stdout");
  b.branch(events, "eq", 0, noStdout);
  b.call("output.write");
  b.label(noStdout);
}

export function relaySubroutines({ b }: Context, relay: Relay): void {
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
  b.set(stdinOpen, 0);
  b.branch(s.stdinIsTerminal, "ne", 0, "input.read.end");
  b.comment("the end of a stdin that is no terminal is ^D to the payload's, again and again");
  b.comment(
    "while all is quiet: one that comes before the terminal has the payload's mode is lost",
  );
  b.set(inputEnded, 1);
  b.label("input.end");
  b.branch(relay.in.length, "ne", 0, "input.read.end");
  b.store(1, relay.in.buffer, 0, 4);
  b.set(relay.in.start, 0);
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

/**
 * All that the payload still wrote to its terminal. Whoever does not read it must not keep us for
 * ever: a signal that asks us to end does end the wait.
 */
export function drain({ b, memory }: Context, { out }: Relay): void {
  const done = b.fresh("drained");
  const more = b.fresh("drain");
  const writing = b.fresh("drain");
  const written = b.fresh("drain");
  const table = b.buffer("drainPoll", 16);
  const signal = slot("signal");
  b.branch(t.ptyFd, "lt", 0, done);
  b.label(more);
  b.label(writing);
  b.branch(out.length, "eq", 0, written);
  for (const [place, fd, wanted] of [
    [0, 1, k("POLLOUT")],
    [8, s.signalFd, k("POLLIN")],
  ] as const) {
    b.store(4, table, place, fd);
    b.store(4, table, place + 4, wanted);
  }
  b.ignore("all signals are blocked, so nothing interrupts it", "ppoll", [table, 2, 0, 0, 8]);
  b.attempt("read", [s.signalFd, memory.signal, 128], bytes);
  const noSignal = b.fresh("drain");
  b.branch(bytes, "lt", 128, noSignal);
  b.load(4, signal, memory.signal);
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"]) {
    b.branch(signal, "eq", signo(name), done);
  }
  b.label(noSignal);
  b.load(4, events, table, 4);
  b.alu("shr", events, events, 16);
  b.branch(events, "eq", 0, writing);
  b.call("output.write");
  b.jump(writing);
  b.label(written);
  b.call("output.read");
  b.branch(out.length, "gt", 0, more);
  b.label(done);
}
