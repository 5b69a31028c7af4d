/**
 * The monitor's side of making the inside: the clone, and what the two wait for. docs/architecture.md draws the
 * whole exchange.
 */
import type { ActionOf } from "../../spec/step.js";
import { at } from "../machine/builder.js";
import { childFlags, k, signo } from "../machine/constants.js";
import { type Context, s } from "./context.js";
import { startGuard, tellGuard } from "./guard.js";
import { readOwnIds } from "./id-maps.js";
import { closeInput, openInput } from "./life/detach.js";
import { openServerSocket } from "./rootfs/server.js";

type Clone = ActionOf<"clone">;

/** In the monitor, the step. */
export function cloneInit(c: Context, action: Clone): void {
  openInitEnds(c);
  if (isAnybodys(c)) readOwnIds(c);
  bearInit(c, action);
  closeInitEnds(c);
}

/** The init goes on elsewhere; with `parent` it is a child of the parent's. */
export function bearInit(
  { b }: Context,
  { namespaces, intoCgroup }: Clone,
  ...parent: "CLONE_PARENT"[]
): void {
  if (!intoCgroup) {
    b.must("clone", [childFlags(...parent, ...namespaces), 0, 0, 0, 0], s.initPid);
  } else {
    // struct clone_args of clone(2). The signal at the end is the caller's own with CLONE_PARENT; a
    // stack of 0 is the same one, as with fork.
    const place = { flags: 0, exitSignal: 32, cgroup: 80, size: 88 };
    const request = b.buffer("cloneArguments", place.size);
    b.store(8, request, place.flags, k(...parent, ...namespaces, "CLONE_INTO_CGROUP"));
    if (parent.length === 0) b.store(8, request, place.exitSignal, signo("SIGCHLD"));
    b.store(8, request, place.cgroup, s.cgroupFd);
    b.must("clone3", [request, place.size], s.initPid);
  }
  b.branch(s.initPid, "eq", 0, "init");
}

/** What both sides share comes first, so that the init inherits its ends. */
export function openInitEnds(c: Context): void {
  const { b, memory } = c;
  startGuard(c);
  openServerSocket(c);
  openInput(c);
  b.must("socketpair", [k("AF_UNIX"), k("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0, memory.pair]);
  b.load(4, s.controlOutside, memory.pair);
  b.load(4, s.controlInside, memory.pair, 4);
  b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, s.releaseRead, memory.pair);
  b.load(4, s.releaseWrite, memory.pair, 4);
  b.must("signalfd4", [-1, memory.allSignals, 8, k("SFD_CLOEXEC", "SFD_NONBLOCK")], s.signalFd);
}

/** Once there is the init. */
export function closeInitEnds(c: Context): void {
  c.b.must("close", [s.controlInside]);
  c.b.must("close", [s.releaseRead]);
  closeInput(c);
  tellGuard(c);
}

/** Whether the init writes its own id maps, and so needs nobody else before its first step. */
export const mapsItself = ({ plan }: Context): boolean =>
  plan.steps.some(({ role, action }) => role === "init" && action.kind === "mapIds");

/** In the monitor: the init goes on from `awaitMonitor`. */
export function releaseInit({ b }: Context): void {
  b.ignore("an init that died is noticed by the loop", "write", [s.releaseWrite, b.text("!"), 1]);
}

/** In the init, which the end of the pipe tells that the monitor is dead. */
export function awaitMonitor({ b, memory }: Context): void {
  const released = b.fresh("released");
  b.ignore("the result tells", "read", [s.releaseRead, memory.scratch, 1], s.result);
  b.branch(s.result, "eq", 1, released);
  b.exit(125);
  b.label(released);
}

/**
 * The kernel sends the signal when the parent ends. A monitor that died before this prctl took effect goes
 * unnoticed by it; but then the release pipe, whose only writer it was, has hung up.
 */
export function endWithMonitor({ b, memory }: Context, signal: "SIGKILL" | "SIGHUP"): void {
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo(signal), 0, 0, 0]);
  const alive = b.fresh("alive");
  b.store(4, memory.scratch, 0, s.releaseRead);
  b.store(4, memory.scratch, 4, 0);
  b.store(8, memory.scratch, 16, 0);
  b.store(8, memory.scratch, 24, 0);
  b.must("ppoll", [memory.scratch, 1, at(memory.scratch, 16), 0, 8], s.result);
  b.branch(s.result, "eq", 0, alive);
  b.exit(125);
  b.label(alive);
}

/** Whether the program maps the ids of whoever runs it. */
export const isAnybodys = ({ plan }: Context) => plan.standalone?.uid === null;
