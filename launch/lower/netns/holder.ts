/**
 * The holder of the caller's networks, as a sandbox sees it: a process that listens at a socket in the run
 * directory, and gives everyone who connects its user namespace, its network namespace, and the write
 * end of a pipe. It ends when that pipe has no writer any more, so that no list of sandboxes is
 * needed, and nothing is left of it however they end. launch/lower/netns/keeper.ts is what it does.
 *
 * The first sandbox starts it, as a process of its own program. Who starts one holds a lock, and makes
 * the socket itself, so that all others wait at it until the holder is ready or has failed.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import type { ActionOf } from "../../../spec/step.js";
import { at, slot } from "../../machine/builder.js";
import { k, minus, noFollow, signo } from "../../machine/constants.js";
import type { Address } from "../../machine/ir.js";
import { actionOf, type Context, failWithResult, octal, s } from "../context.js";
import { openOwnDirectory } from "../own-directory.js";
import { sayLine } from "../payload/terminal.js";
import { events, type PollTable } from "../poll.js";
import { messageHeader, receivedFd } from "../rights.js";
import { getShared } from "../shared.js";
import { tellStatus } from "../text/report.js";
import { compose } from "../text/text.js";

type Open = ActionOf<"openHolder">;

/** Slots of the monitor's, and of the keeper while it is its copy. */
export const h = {
  /** The namespaces of the holder; closed once the sandbox is on its networks. */
  user: slot("holderUser"),
  net: slot("holderNet"),
  /** The write end of the pipe; -1 where there is no holder. */
  life: slot("holderLife"),
  /** The run directory, and the lock in it, -1 where it is not held. */
  directory: slot("runDirectoryFd"),
  lock: slot("networksLock"),
  /** What a new keeper gets: the socket that it listens at, and the end of the pipe that tells it to end. */
  listener: slot("holderListener"),
  lifeRead: slot("holderLifeRead"),
  /** The end of the pipe that keeps a new keeper until the sandbox has connected. */
  firstLife: slot("firstLife"),
  keeper: slot("keeperPid"),
  /** The two ends of the socket between the keeper and the answerer. */
  outside: slot("answererOutside"),
  inside: slot("answererInside"),
} as const;

const socket = slot("holderSocket");
const tries = slot("holderTries");

/** A holder that is about to end lets who has just connected down: that one starts the next. */
const mostTries = 500;
const pauseNs = 10_000_000;

/** A holder may have its helper to start first; one that is stopped would keep us for ever, as signals are blocked. */
const patienceSeconds = 30;

/** fds that the holder sends: user namespace, network namespace, pipe. */
export const sentFds = 3;

export const opensHolder = (c: Context): boolean => actionOf(c, "openHolder") !== undefined;

/** Before any step. */
export function holderState({ b }: Context): void {
  b.set(h.life, -1);
}

/** Its end is an error of the pipe, which needs not be asked for. */
export function watchHolder(poll: PollTable): void {
  poll.watch("holder", h.life, k());
}

/** In the monitor's loop: with the holder, who was killed, all links of all networks are gone. */
export function takeHolder(c: Context, poll: PollTable): void {
  if (!opensHolder(c)) return;
  const { b } = c;
  const lives = b.fresh("holder");
  poll.happened("holder");
  b.branch(events, "eq", 0, lives);
  b.ignore("it is ours", "close", [h.life]);
  b.set(h.life, -1);
  sayLine(c, [
    b.text(
      "sbx: the holder of networks has ended, and the sandbox goes on without them: start it anew",
    ),
  ]);
  tellStatus(c, ['{"event":"networks","state":"ended"}']);
  b.label(lives);
}

/** In the monitor, before it opens or locks anything that a keeper must not hold. */
export function openHolder(c: Context, action: Open): void {
  const { b } = c;
  const [connect, absent, start, connected, got, answered, done] = Array.from({ length: 7 }, () =>
    b.fresh("holder"),
  ) as [string, string, string, string, string, string, string];
  b.set(h.lock, -1);
  b.set(h.keeper, 0);
  b.set(h.firstLife, -1);
  b.set(tries, 0);
  const flags = noFollow("O_PATH", "O_CLOEXEC");
  openOwnDirectory(c, action, { to: h.directory, flags, label: "runDirectory" });
  const address = socketAddress(c);

  b.label(connect);
  b.must("socket", [k("AF_UNIX"), k("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0], socket);
  const patience = b.words("holderPatience", [patienceSeconds, 0], false);
  b.must("setsockopt", [socket, k("SOL_SOCKET"), k("SO_RCVTIMEO"), patience, 16]);
  b.attempt("connect", [socket, address, addressSize], s.result);
  b.branch(s.result, "eq", 0, connected);
  b.must("close", [socket]);
  b.branch(s.result, "eq", minus("ENOENT"), absent);
  b.branch(s.result, "eq", minus("ECONNREFUSED"), absent);
  failWithResult(b);

  b.label(absent);
  b.branch(h.lock, "ge", 0, start);
  lock(c);
  b.jump(connect);
  b.label(start);
  startKeeper(c, address);
  unlock(c);
  b.jump(connect);

  b.label(connected);
  const header = messageHeader(c, [[at(c.memory.record, 0), 1]], sentFds);
  b.attempt("recvmsg", [socket, header, k("MSG_CMSG_CLOEXEC")], s.result);
  b.must("close", [socket]);
  b.branch(s.result, "eq", 1, got);
  b.branch(s.result, "ne", minus("EAGAIN"), answered);
  b.set(s.errno, Number(errnoNumbers.ETIMEDOUT));
  b.fail();
  b.label(answered);
  blameKeeper(c);
  unlock(c);
  b.alu("add", tries, tries, 1);
  const pause = b.words("holderPause", [0, pauseNs], false);
  b.ignore("all signals are blocked, so nothing cuts it short", "nanosleep", [pause, 0]);
  b.branch(tries, "lt", mostTries, connect);
  b.set(s.errno, Number(-minus("ECONNREFUSED").value));
  b.fail();

  b.label(got);
  for (const [index, fd] of [h.user, h.net, h.life].entries()) b.load(4, fd, receivedFd(c, index));
  unlock(c);
  b.must("close", [h.directory]);
  b.branch(h.firstLife, "lt", 0, done);
  b.must("close", [h.firstLife]);
  b.label(done);
}

/** struct sockaddr_un, unix(7), by a short name: that of the directory may be longer than what it takes. */
const addressSize = 110;

function socketAddress(c: Context): Address {
  const { b } = c;
  const address = b.buffer("holderAddress", addressSize);
  b.store(1, address, 0, k("AF_UNIX"));
  compose(
    c,
    [b.text("/proc/self/fd/"), { decimal: h.directory }, b.text("/networks.sock")],
    at(address, 2),
  );
  return address;
}

function lock({ b }: Context): void {
  const flags = noFollow("O_RDWR", "O_CREAT", "O_CLOEXEC");
  b.must("openat", [h.directory, b.text("networks.lock"), flags, octal(0o600)], h.lock);
  b.must("flock", [h.lock, k("LOCK_EX")]);
}

/** By its fd alone it would stay with the copy that a keeper has inherited. */
function unlock({ b }: Context): void {
  const free = b.fresh("unlocked");
  b.branch(h.lock, "lt", 0, free);
  b.must("flock", [h.lock, k("LOCK_UN")]);
  b.must("close", [h.lock]);
  b.set(h.lock, -1);
  b.label(free);
}

/** With the lock held. */
function startKeeper(c: Context, address: Address): void {
  const { b, memory } = c;
  b.ignore("binding to it tells", "unlinkat", [h.directory, b.text("networks.sock"), 0]);
  const kind = k("SOCK_SEQPACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
  b.must("socket", [k("AF_UNIX"), kind, 0], h.listener);
  b.must("bind", [h.listener, address, addressSize]);
  b.must("listen", [h.listener, 4096]);
  b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, h.lifeRead, memory.pair);
  b.load(4, h.firstLife, memory.pair, 4);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], h.keeper);
  b.branch(h.keeper, "eq", 0, "keeper");
  b.must("close", [h.listener]);
  b.must("close", [h.lifeRead]);
}

/** A keeper of our own that failed has left why in the memory that is shared with it. */
function blameKeeper(c: Context): void {
  const { b, memory } = c;
  const other = b.fresh("blame");
  const failed = slot("keeperFailed");
  b.branch(h.keeper, "eq", 0, other);
  b.ignore("it is our child", "wait4", [h.keeper, memory.status, 0, 0]);
  b.set(h.keeper, 0);
  getShared(c, "failed", failed);
  b.branch(failed, "eq", 0, other);
  getShared(c, "step", s.step);
  getShared(c, "errno", s.errno);
  b.fail();
  b.label(other);
}
