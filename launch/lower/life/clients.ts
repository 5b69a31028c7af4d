/**
 * Who is attached to a sandbox in the background. The monitor listens on a socket in the sandbox's directory,
 * which is the caller's alone; messages are one byte that says what they are (`tag`), and data.
 *
 * A chunk of output goes to all clients before the next one is read: a client that does not take it holds the
 * payload, as a pipe would. It does not hold the log. What comes from clients is written before more is read.
 */
import { at, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Address } from "../../machine/ir.js";
import { type Context, octal } from "../context.js";
import { t } from "../payload/terminal.js";
import { clientPlaces, events, type PollTable } from "../poll.js";
import { compose, textLength } from "../text/text.js";
import { chunk } from "./chunk.js";
import { inWrite } from "./detach.js";
import { l, lifeOf } from "./life.js";
import { state } from "./state.js";

const byte = (letter: string) => letter.charCodeAt(0);

/** What messages are. Of stdout and stderr, it is the digit of the fd. */
export const tag = {
  stdout: byte("1"),
  stderr: byte("2"),
  /** The sandbox ended: its exit status, 8 bytes. */
  exited: byte("x"),
  /** Comes first: the monitor's pid, 8 bytes. */
  pid: byte("p"),
  /** As many clients as there may be are attached already. */
  full: byte("f"),
  stdin: byte("0"),
  endOfStdin: byte("e"),
  /** struct winsize of ioctl_tty(2). */
  windowSize: byte("w"),
} as const;

/** The name of the socket in the sandbox's directory. */
export const socketName = "attach";
/** Bytes of stdin that a message may have. */
export const inputSize = 4096;

const address = (of: string): Address => ({ kind: "address", of, offset: 0 });
/** One entry for each client: its fd or -1, and 1 where it has not taken the chunk at hand. */
const table = address("clients");
const entrySize = 16;
const entries = clientPlaces.map((place, number) => ({
  place,
  entry: at(table, entrySize * number),
}));
/** The tag, and from the next multiple of eight on the data. */
const message = address("clientMessage");
const [messageTag, data] = [at(message, 7), at(message, 8)];
const size = address("clientWindowSize");
const patience = address("clientPatience");
/** Seconds that all of them have for what they have not taken when the sandbox ends. */
const patienceSeconds = 10;

const listener = slot("clientListener");
const cursor = slot("clientEntry");
const fd = slot("clientFd");
const isBehind = slot("clientIsBehind");
const result = slot("clientResult");
const wanted = slot("clientWanted");
const watched = slot("clientWatched");
const sent = slot("clientSent");
const own = slot("clientOwn");
const hasSize = slot("clientHasSize");
/** What is to be written to the payload's stdin. */
const input = { start: slot("inputStart"), length: slot("inputLength") } as const;

/** 1 where a client has not taken the chunk at hand: no other may be read. */
export const isHeld = slot("clientsHold");

/** Before each run. */
export function clientsState(c: Context): void {
  if (lifeOf(c) === undefined) return;
  const { b } = c;
  for (const flag of [isHeld, hasSize, input.start, input.length, chunk.length]) b.set(flag, 0);
  b.set(listener, -1);
  b.store(8, patience, 0, patienceSeconds);
  b.store(8, patience, 8, 0);
  for (const { entry } of entries) {
    b.store(8, entry, 0, -1);
    b.store(8, entry, 8, 0);
  }
}

/** A sandbox without the socket runs as well: who wants to attach is told. */
export function listenToClients(c: Context): void {
  const { b, memory } = c;
  const [failed, end] = [b.fresh("listen"), b.fresh("listen")];
  const type = k("SOCK_SEQPACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
  // Of a monitor that was killed; the lock of the directory is ours.
  b.ignore("none is there", "unlinkat", [l.directory, b.text(socketName), 0]);
  b.orElse(end, "socket", [k("AF_UNIX"), type, 0], listener);
  b.orElse(failed, "fchmod", [listener, octal(0o600)]);
  b.orElse(failed, "bind", [listener, memory.scratch, composeAddress(c, l.directory)]);
  b.orElse(failed, "listen", [listener, clientPlaces.length]);
  b.jump(end);
  b.label(failed);
  b.ignore("it is ours", "close", [listener]);
  b.set(listener, -1);
  b.label(end);
  if (lifeOf(c)?.start?.isAttached !== true) return;
  const later = b.fresh("listen");
  b.branch(l.restarts, "ne", 0, later);
  b.must("fcntl", [l.starter, k("F_DUPFD_CLOEXEC"), 3], fd);
  b.must("dup3", [l.directory, l.starter, k("O_CLOEXEC")]);
  b.store(8, table, 0, fd);
  b.call("clients.greet");
  b.label(later);
}

/** struct sockaddr_un in `scratch`, by way of the directory's fd: a path may be too long for it. Gives its size. */
export function composeAddress(c: Context, directory: typeof l.directory): typeof textLength {
  const { b, memory } = c;
  const path = [b.text("/proc/self/fd/"), { decimal: directory }, b.text(`/${socketName}`)];
  compose(c, path, at(memory.scratch, 2));
  b.store(1, memory.scratch, 0, k("AF_UNIX"));
  b.store(1, memory.scratch, 1, 0);
  b.alu("add", textLength, textLength, 2);
  return textLength;
}

/** Comes before `watchOutput`. */
export function watchClients({ b }: Context, poll: PollTable): void {
  b.set(isHeld, 0);
  for (const { place, entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.look");
    poll.watch(place, watched, wanted);
  }
  poll.watch("attach", listener, k("POLLIN"));
  const nothing = b.fresh("watch");
  b.set(watched, -1);
  b.branch(input.length, "eq", 0, nothing);
  b.call("clients.target");
  b.label(nothing);
  poll.watch("input", watched, k("POLLOUT"));
}

export function serveClients({ b }: Context, poll: PollTable): void {
  const happened = (place: Parameters<PollTable["happened"]>[0], then: () => void) => {
    const not = b.fresh("serve");
    poll.happened(place);
    b.branch(events, "eq", 0, not);
    then();
    b.label(not);
  };
  happened("input", () => b.call("clients.input"));
  for (const { place, entry } of entries) {
    happened(place, () => {
      b.set(cursor, entry);
      b.call("clients.serve");
    });
  }
  happened("attach", () => b.call("clients.accept"));
}

export function clientSubroutines(c: Context): void {
  const { b } = c;
  b.buffer(table.of, entrySize * entries.length);
  b.buffer(message.of, 8 + inputSize);
  b.buffer(size.of, 8);
  b.buffer(patience.of, 16);

  b.comment("what to wait for of a client");
  b.label("clients.look");
  b.set(watched, -1);
  b.set(wanted, 0);
  b.load(8, fd, cursor);
  b.branch(fd, "lt", 0, "clients.look.end");
  b.load(8, isBehind, cursor, 8);
  b.branch(isBehind, "eq", 0, "clients.look.taken");
  b.set(isHeld, 1);
  b.set(wanted, k("POLLOUT"));
  b.label("clients.look.taken");
  b.branch(input.length, "ne", 0, "clients.look.full");
  b.alu("or", wanted, wanted, k("POLLIN"));
  b.label("clients.look.full");
  // Else a client that hung up would be told of again and again.
  b.branch(wanted, "eq", 0, "clients.look.end");
  b.set(watched, fd);
  b.label("clients.look.end");
  b.return();

  outputSubroutines(c);
  inputSubroutines(c);
  acceptSubroutine(c);
}

/** A chunk on its way to the clients. */
function outputSubroutines(c: Context): void {
  const { b } = c;
  b.comment("give a chunk to all");
  b.label("clients.write");
  b.alu("add", result, chunk.stream, byte("0"));
  b.store(1, chunk.tag, 0, result);
  b.label("clients.offer");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.send");
  }
  b.return();

  b.label("clients.send");
  b.load(8, fd, cursor);
  b.branch(fd, "lt", 0, "clients.send.end");
  b.store(8, cursor, 8, 0);
  b.alu("add", sent, chunk.length, 1);
  const flags = k("MSG_DONTWAIT", "MSG_NOSIGNAL");
  b.attempt("sendto", [fd, chunk.tag, sent, flags, 0, 0], result);
  // Of one that is gone, reading tells.
  b.branch(result, "ne", minus("EAGAIN"), "clients.send.end");
  b.store(8, cursor, 8, 1);
  b.set(isHeld, 1);
  b.label("clients.send.end");
  b.return();

  b.comment("there is no more output: all learn the exit status, and are let go");
  b.label("clients.end");
  b.call("clients.await");
  b.store(8, chunk.buffer, 0, state.exitCode);
  b.set(chunk.length, 8);
  b.store(1, chunk.tag, 0, tag.exited);
  b.call("clients.offer");
  b.call("clients.await");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.drop");
  }
  b.branch(listener, "lt", 0, "clients.ended");
  b.ignore("it is ours", "close", [listener]);
  b.ignore("it is ours", "unlinkat", [l.directory, b.text(socketName), 0]);
  b.set(listener, -1);
  b.label("clients.ended");
  b.return();

  b.comment("wait until all have taken it, or have had their time");
  b.label("clients.await");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.settle");
  }
  b.return();
  b.label("clients.settle");
  b.load(8, isBehind, cursor, 8);
  b.branch(isBehind, "eq", 0, "clients.settle.end");
  b.load(8, fd, cursor);
  b.store(4, c.memory.scratch, 0, fd);
  b.store(4, c.memory.scratch, 4, k("POLLOUT"));
  // ppoll(2) leaves in the timespec what is left of it.
  b.attempt("ppoll", [c.memory.scratch, 1, patience, 0, 8], result);
  b.branch(result, "le", 0, "clients.drop");
  b.call("clients.send");
  b.jump("clients.settle");
  b.label("clients.settle.end");
  b.return();

  b.label("clients.drop");
  b.load(8, fd, cursor);
  b.branch(fd, "lt", 0, "clients.drop.end");
  b.ignore("it is ours", "close", [fd]);
  b.store(8, cursor, 0, -1);
  b.store(8, cursor, 8, 0);
  b.label("clients.drop.end");
  b.return();
}

/** What clients send, and the payload's stdin. */
function inputSubroutines(c: Context): void {
  const { b } = c;
  const acceptsInput = lifeOf(c)?.stdin === true;
  b.label("clients.serve");
  b.load(8, isBehind, cursor, 8);
  b.branch(isBehind, "eq", 0, "clients.receive");
  b.call("clients.send");
  b.label("clients.receive");
  b.branch(input.length, "ne", 0, "clients.input.end");
  b.load(8, fd, cursor);
  b.attempt("recvfrom", [fd, messageTag, 1 + inputSize, k("MSG_DONTWAIT"), 0, 0], result);
  b.branch(result, "eq", minus("EAGAIN"), "clients.input.end");
  b.branch(result, "le", 0, "clients.drop");
  b.load(1, wanted, messageTag);
  for (const [kind, label] of [
    ...(acceptsInput
      ? ([
          ["stdin", "clients.stdin"],
          ["endOfStdin", "clients.endOfStdin"],
        ] as const)
      : []),
    ...(c.terminal ? ([["windowSize", "clients.windowSize"]] as const) : []),
  ] as const) {
    b.branch(wanted, "eq", tag[kind], label);
  }
  b.return();

  b.label("clients.target");
  b.set(watched, c.terminal ? t.ptyFd : acceptsInput ? inWrite : -1);
  b.return();
  if (acceptsInput) {
    b.label("clients.endOfStdin");
    if (c.terminal) {
      b.comment("^D, to a terminal");
      b.store(1, data, 0, 4);
      b.set(result, 2);
    } else {
      b.branch(inWrite, "lt", 0, "clients.input.end");
      b.ignore("it is ours", "close", [inWrite]);
      b.set(inWrite, -1);
      b.return();
    }
    b.label("clients.stdin");
    b.set(input.start, data);
    b.alu("sub", input.length, result, 1);
  }
  b.label("clients.input");
  b.call("clients.target");
  if (c.terminal) {
    b.comment("which may be on its way yet");
    b.branch(watched, "lt", 0, "clients.input.end");
  }
  b.attempt("write", [watched, input.start, input.length], result);
  b.branch(result, "eq", minus("EAGAIN"), "clients.input.end");
  b.branch(result, "gt", 0, "clients.input.some");
  b.comment("nobody reads it any more");
  b.set(result, input.length);
  b.label("clients.input.some");
  b.alu("add", input.start, input.start, result);
  b.alu("sub", input.length, input.length, result);
  b.label("clients.input.end");
  b.return();

  if (!c.terminal) return;
  b.label("clients.windowSize");
  b.load(8, wanted, data);
  b.store(8, size, 0, wanted);
  b.set(hasSize, 1);
  b.label("clients.resize");
  b.branch(hasSize, "eq", 0, "clients.resize.end");
  b.branch(t.ptyFd, "lt", 0, "clients.resize.end");
  b.ignore("a size is a courtesy", "ioctl", [t.ptyFd, k("TIOCSWINSZ"), size]);
  b.label("clients.resize.end");
  b.return();
}

function acceptSubroutine({ b, memory }: Context): void {
  b.label("clients.accept");
  b.orElse(
    "clients.accept.end",
    "accept4",
    [listener, 0, 0, k("SOCK_CLOEXEC", "SOCK_NONBLOCK")],
    fd,
  );
  b.comment("struct ucred: pid, uid, gid");
  const length = at(memory.scratch, 16);
  b.store(4, length, 0, 12);
  const credentials = [fd, k("SOL_SOCKET"), k("SO_PEERCRED"), memory.scratch, length] as const;
  b.orElse("clients.accept.refused", "getsockopt", credentials);
  b.load(4, wanted, memory.scratch, 4);
  b.ignore("it always succeeds", "geteuid", [], own);
  b.branch(wanted, "ne", own, "clients.accept.refused");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.load(8, wanted, cursor);
    b.branch(wanted, "eq", -1, "clients.accept.room");
  }
  const full = b.bytes("full", Uint8Array.of(tag.full));
  b.ignore("it may be gone", "sendto", [fd, full, 1, k("MSG_NOSIGNAL"), 0, 0]);
  b.label("clients.accept.refused");
  b.ignore("it is ours", "close", [fd]);
  b.return();
  b.label("clients.accept.room");
  b.store(8, cursor, 0, fd);
  b.label("clients.greet");
  b.store(1, memory.scratch, 7, tag.pid);
  b.ignore("getpid(2) always succeeds", "getpid", [], own);
  b.store(8, memory.scratch, 8, own);
  const greeting = [at(memory.scratch, 7), 9, k("MSG_NOSIGNAL"), 0, 0] as const;
  b.ignore("it may be gone", "sendto", [fd, ...greeting]);
  b.label("clients.accept.end");
  b.return();
}
