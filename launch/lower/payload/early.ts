/**
 * A payload that is born before the sandbox is put together. The kernel takes as long for a network namespace as for
 * all of the mounts: the payload's process makes it, while the init makes them. The two speak over a
 * socket, by which the init gets the namespace to enter, and the payload is told to go on. Its end closes as the
 * payload's execve succeeds.
 *
 * A payload with a terminal is born last all the same: only from the leader of its session can it inherit that.
 * The init makes the network itself then, and the payload passes over what is done.
 */
import { linkUp, u32 } from "../../../netns/netlink.js";
import type { Plan } from "../../../spec/plan.js";
import { constant, slot } from "../../machine/builder.js";
import { k, minus, signo } from "../../machine/constants.js";
import { actionOf, type Context, recordSize, s } from "../context.js";
import { tell } from "../messages.js";
import { openNetlink, tellKernel } from "../netns/netlink.js";
import { receivedFd, recordHeader, sendFd } from "../rights.js";
import { getShared } from "../shared.js";

/** The payload in the init's view. */
export const payload = slot("payloadPid");
/** The init's end, and the payload's, of what ends as the payload is executed: a pipe, or here the socket. */
export const startedRead = slot("startedRead");
const startedWrite = slot("startedWrite");
const network = slot("networkFd");
const socket = slot("routeSocket");

/** How many of all steps there are up to the last that an early payload does as the init would; 0 where it is not early. */
export const begunSteps = ({ steps }: Pick<Plan, "steps">): number =>
  steps.findLastIndex(({ role, action }) => role === "payload" && action.kind === "joinKeyring") +
  1;

export const isEarly = (c: Context): boolean => actionOf(c, "startPayload") !== undefined;

/** In the init, the step. */
export function startPayload(c: Context): void {
  const { b } = c;
  b.set(payload, 0);
  for (const fd of [network, startedRead, startedWrite, s.rootFd]) b.set(fd, -1);
  const late = b.fresh("late");
  if (c.terminal) b.branch(s.wantsTerminal, "ne", 0, late);
  bearPayload(c);
  b.label(late);
}

/** In the init: the clone, which goes on elsewhere. */
function bearPayload(c: Context): void {
  const { b, memory } = c;
  if (isEarly(c)) {
    const type = k("SOCK_SEQPACKET", "SOCK_CLOEXEC");
    b.must("socketpair", [k("AF_UNIX"), type, 0, memory.pair]);
  } else b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, startedRead, memory.pair);
  b.load(4, startedWrite, memory.pair, 4);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], payload);
  b.branch(payload, "eq", 0, "payload");
  b.must("close", [startedWrite]);
}

/** In the payload, the step: the namespace goes to the init at once, and has its loopback up soon. */
export function makeNetwork(c: Context): void {
  const { b } = c;
  const done = b.fresh("network");
  if (c.terminal) b.branch(network, "ge", 0, done);
  openNetwork(c);
  sendFd(c, "network", network, 0, startedWrite);
  b.must("close", [network]);
  b.set(network, -1);
  raiseLoopback(c, socket);
  b.must("close", [socket]);
  b.label(done);
}

/** Leaves a socket in the namespace, and an fd of that. */
function openNetwork(c: Context): void {
  const { b } = c;
  b.must("unshare", [k("CLONE_NEWNET")]);
  openNetlink(c, "route", socket);
  b.must("ioctl", [socket, k("SIOCGSKNS"), 0], network);
}

/** The loopback is the first link of every network namespace. */
export function raiseLoopback(c: Context, route: typeof socket): void {
  tellKernel(c, route, linkUp(u32(1)));
}

/** In the init, the step: as soon as it is there. */
export function enterNetwork(c: Context): void {
  const { b } = c;
  const [made, killed] = [b.fresh("network"), b.fresh("network")];
  const [early, entered] = [b.fresh("network"), b.fresh("network")];
  if (c.terminal) {
    b.branch(payload, "ne", 0, early);
    openNetwork(c);
    raiseLoopback(c, socket);
    b.must("close", [socket]);
    b.jump(entered);
    b.label(early);
  }
  b.must("recvmsg", [startedRead, recordHeader(c), k("MSG_CMSG_CLOEXEC")], s.result);
  b.branch(s.result, "gt", 0, made);
  getShared(c, "failed", s.result);
  b.branch(s.result, "eq", 0, killed);
  b.comment("the payload has said why");
  b.exit(125);
  b.label(killed);
  b.set(s.errno, constant("ESRCH", -minus("ESRCH").value));
  b.fail();
  b.label(made);
  b.load(4, network, receivedFd(c));
  b.must("setns", [network, k("CLONE_NEWNET")]);
  b.label(entered);
}

/** In the init, when all is in its place: the payload may go on, or is born. */
export function releasePayload(c: Context): void {
  const { b } = c;
  const [late, released] = [b.fresh("release"), b.fresh("release")];
  if (isEarly(c)) {
    if (c.terminal) b.branch(payload, "eq", 0, late);
    tell(c, "go", 0, startedRead);
    if (!c.terminal) return;
    b.jump(released);
    b.label(late);
  }
  bearPayload(c);
  b.label(released);
}

/**
 * In the payload, the step. Its root is the new one by now, as pivot_root(2) has it, but its directory lies in the
 * old one.
 */
export function awaitInit(c: Context): void {
  const { b, memory } = c;
  const [released, late] = [b.fresh("go"), b.fresh("go")];
  if (c.terminal) b.branch(network, "ge", 0, late);
  b.must("recvfrom", [startedWrite, memory.record, recordSize, 0, 0, 0], s.result);
  b.branch(s.result, "gt", 0, released);
  b.exit(125);
  b.label(released);
  b.must("chdir", [b.text("/")]);
  b.must("openat", [k("AT_FDCWD"), b.text("/"), k("O_PATH", "O_CLOEXEC"), 0], s.rootFd);
  b.label(late);
}

/** In the init, whose payload runs: the monitor is told so, and gets the namespace for others to enter. */
export function tellReady(c: Context): void {
  if (!isEarly(c)) {
    tell(c, "ready", 0);
    return;
  }
  sendFd(c, "ready", network);
  c.b.must("close", [network]);
}
