/**
 * The monitor's side of making the inside: the clone, the id maps. docs/architecture.md draws the
 * whole exchange.
 */
import type { Mapping } from "../../spec/spec.js";
import type { ActionOf } from "../../spec/step.js";
import { at, slot } from "../machine/builder.js";
import { childFlags, k, signo } from "../machine/constants.js";
import type { Address, Slot } from "../machine/ir.js";
import { type Context, pseudoErrno, s } from "./context.js";
import { startGuard, tellGuard } from "./guard.js";
import { closeInput, openInput } from "./life/detach.js";
import { requireProc, writeProc } from "./rootfs/filesystem.js";
import { openServerSocket } from "./rootfs/server.js";
import { compose, textLength } from "./text/text.js";

const pid = slot("helperPid");
const otherPid = slot("otherHelperPid");
const mapFd = slot("mapFd");
const [ownUid, ownGid] = [slot("ownUid"), slot("ownGid")];

type MapIds = ActionOf<"mapIds">;

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

/**
 * In the stepper, who has all rights over the ids of the namespace that it is in. Where its maps are
 * not known, there is only the one id of the caller's, whatever that is there.
 */
export function mapNested(c: Context, action: MapIds): void {
  const { nested, denySetgroups } = action;
  if (nested === undefined) throw new Error("the stepper has no maps");
  if (denySetgroups) writeOf(c, s.initPid, "/setgroups", "deny");
  readOwnIds(c);
  for (const [file, id, lines, [own]] of [
    ["/uid_map", ownUid, nested.uids, action.uidMappings],
    ["/gid_map", ownGid, nested.gids, action.gidMappings],
  ] as const) {
    if (lines !== null) writeOf(c, s.initPid, file, mapText(lines));
    else writeOwn(c, s.initPid, file, id, own);
  }
}

/** Whether the program maps the ids of whoever runs it. */
const isAnybodys = ({ plan }: Context) => plan.standalone?.uid === null;

function readOwnIds({ b }: Context): void {
  b.ignore("it always succeeds", "geteuid", [], ownUid);
  b.ignore("it always succeeds", "getegid", [], ownGid);
}

/** One id inside, for the one that the program runs as. */
function writeOwn(
  c: Context,
  process: Slot | "self",
  file: string,
  id: Slot,
  own: Mapping | undefined,
): void {
  const { b, memory } = c;
  b.must("openat", [k("AT_FDCWD"), fileOf(c, process, file), k("O_WRONLY", "O_CLOEXEC"), 0], mapFd);
  requireProc(c, mapFd);
  compose(c, [b.text(`${own?.containerID ?? 0} `), { decimal: id }, b.text(" 1\n")]);
  b.must("write", [mapFd, memory.text, textLength]);
  b.must("close", [mapFd]);
}

/** newuidmap and newgidmap run at the same time: they take most of a launch's time. */
export function mapIds(c: Context, action: MapIds, process: Slot | "self"): void {
  const { b } = c;
  const { uidMappings, gidMappings, helpers } = action;
  if (helpers === null) {
    if (action.denySetgroups) writeOf(c, process, "/setgroups", "deny");
    if (isAnybodys(c)) {
      writeOwn(c, process, "/uid_map", ownUid, uidMappings[0]);
      writeOwn(c, process, "/gid_map", ownGid, gidMappings[0]);
      return;
    }
    writeOf(c, process, "/uid_map", mapText(uidMappings));
    writeOf(c, process, "/gid_map", mapText(gidMappings));
    return;
  }
  if (process === "self") throw new Error("who is to be mapped has no rights over other ids");
  spawnHelper(c, process, helpers.newuidmap, uidMappings);
  b.set(otherPid, pid);
  spawnHelper(c, process, helpers.newgidmap, gidMappings);
  awaitHelper(c);
  b.set(pid, otherPid);
  awaitHelper(c);
}

function mapText(mappings: readonly Mapping[]): string {
  return mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join("");
}

function writeOf(c: Context, process: Slot | "self", file: string, text: string): void {
  writeProc(c, fileOf(c, process, file), text);
}

/** The path of a file of the process's. */
function fileOf(c: Context, process: Slot | "self", file: string): Address {
  const { b, memory } = c;
  if (process === "self") return b.text(`/proc/self${file}`);
  compose(c, [b.text("/proc/"), { decimal: process }, b.text(file)]);
  return memory.text;
}

function spawnHelper(c: Context, process: Slot, path: string, mappings: readonly Mapping[]): void {
  const { b, memory } = c;
  const parent = b.fresh("helper");
  compose(c, [{ decimal: process }]);
  const words: (Address | number)[] = [
    b.text(path),
    memory.text,
    ...mappings.flatMap((m) => [m.containerID, m.hostID, m.size].map((id) => b.text(`${id}`))),
    0,
  ];
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], pid);
  b.branch(pid, "ne", 0, parent);
  unblockSignals(c);
  b.ignore("the exit status tells", "execve", [
    b.text(path),
    b.words(b.fresh("helperArguments"), words, false),
    b.words(b.fresh("helperEnvironment"), [0], false),
  ]);
  b.exit(127);
  b.label(parent);
}

function awaitHelper(c: Context): void {
  const { b, memory } = c;
  const succeeded = b.fresh("helped");
  const status = slot("helperStatus");
  b.must("wait4", [pid, memory.status, 0, 0]);
  b.load(4, status, memory.status);
  b.branch(status, "eq", 0, succeeded);
  b.set(s.errno, pseudoErrno.helperFailed);
  b.fail();
  b.label(succeeded);
}

/** Before anything else that uses `allSignals`. */
export function blockSignals({ b, memory }: Context): void {
  b.store(8, memory.allSignals, 0, -1);
  b.must("rt_sigprocmask", [k("SIG_SETMASK"), memory.allSignals, memory.callerSignals, 8]);
}

/** The signal mask that the caller had. */
export function unblockSignals({ b, memory }: Context): void {
  b.ignore("a valid mask is never refused", "rt_sigprocmask", [
    k("SIG_SETMASK"),
    memory.callerSignals,
    0,
    8,
  ]);
}

/** What is to run in the background ignores and blocks no signals, whatever whoever started it does. */
export function forgetSignals({ b, memory }: Context): void {
  const next = b.fresh("signals");
  const number = slot("signalNumber");
  const byDefault = b.bytes("defaultAction", new Uint8Array(32));
  b.store(8, memory.callerSignals, 0, 0);
  b.set(number, 1);
  b.label(next);
  b.ignore("SIGKILL and SIGSTOP have no other", "rt_sigaction", [number, byDefault, 0, 8]);
  b.alu("add", number, number, 1);
  b.branch(number, "le", 64, next);
}
