/**
 * How a program gets into a sandbox that is running: `sbx exec`. What is looked at first of all, its record,
 * tells the monitor, and this has the namespaces open (launch/lower/namespaces.ts).
 *
 * Who is root inside may trace and look into every process that is dumpable, from the moment that it is in the
 * user namespace. So a process enters only when it is not: then /proc/PID/exe, fd, mem and so on are for root
 * of this machine alone. And the program is no file that anybody could execute or change (CVE-2019-5736).
 */
import type { NamespaceType } from "../../../spec/spec.js";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, minus, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { actionOf, type Context, failWithResult, s, stepOf } from "../context.js";
import { endWithMonitor } from "../handshake.js";
import { closeRecord, joinedRecord, openRecord, requireLocked } from "../joined.js";
import { namespaceFiles } from "../namespaces.js";
import { events, type PollTable } from "../poll.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { failure } from "../shared.js";
import { forgetSignals, unblockSignals } from "../signals.js";

const program = slot("programFd");
const memory = slot("memoryFd");
const seals = slot("seals");
const owner = slot("ownerFd");
const parent = slot("monitorPid");
/** A pidfd of the sandbox's monitor, negative where nobody waits for it. */
const watched = slot("watchedMonitor");
export const fdOf = (type: NamespaceType) => slot(`enteredFd.${type}`);

/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE of fcntl(2). */
const allSeals = 0xf;
const F_SEAL_WRITE = 8;

/**
 * The first step: the program goes on from a sealed copy in memory, which nobody may execute again: a command
 * or an interpreter that is a link to /proc/self/exe gives EACCES.
 */
export function moveToMemory(c: Context): void {
  const { b } = c;
  const [copy, made] = [b.fresh("memory"), b.fresh("memory")];
  const [more, moved] = [b.fresh("memory"), b.fresh("memory")];
  const flags = ["MFD_CLOEXEC", "MFD_ALLOW_SEALING"] as const;
  b.must(
    "openat",
    [k("AT_FDCWD"), b.text("/proc/self/exe"), k("O_RDONLY", "O_CLOEXEC"), 0],
    program,
  );
  b.orElse(copy, "fcntl", [program, k("F_GET_SEALS")], seals);
  b.alu("and", seals, seals, F_SEAL_WRITE);
  b.branch(seals, "ne", 0, moved);
  b.label(copy);
  b.attempt("memfd_create", [b.text("sbx"), k(...flags, "MFD_EXEC")], memory);
  b.branch(memory, "ge", 0, made);
  // MFD_EXEC is of Linux 6.3.
  b.must("memfd_create", [b.text("sbx"), k(...flags)], memory);
  b.label(made);
  b.label(more);
  b.must("sendfile", [memory, program, 0, 1 << 20], s.result);
  b.branch(s.result, "gt", 0, more);
  b.must("fcntl", [memory, k("F_ADD_SEALS"), allSeals]);
  unblockSignals(c);
  // Who looks from inside reads it: /proc/PID/cmdline is anybody's.
  b.store(8, s.argv, 0, b.text("sbx"));
  b.must("execveat", [memory, b.text(""), s.argv, s.envp, k("AT_EMPTY_PATH")]);
  b.label(moved);
  b.must("fchmod", [program, 0]);
  b.must("close", [program]);
}

/** Before any step. */
export function enterState(c: Context): void {
  if (actionOf(c, "openSandbox") !== undefined) c.b.set(joinedRecord, -1);
}

/** In the monitor's loop. */
export function watchEntered(c: Context, poll: PollTable): void {
  if (actionOf(c, "openSandbox") !== undefined) poll.watch("entered", watched, k("POLLIN"));
}

/**
 * The sandbox has ended. Where the pid namespace is its own, the kernel has killed the command; else this
 * does, as it has asked to die with the init.
 */
export function takeEntered(c: Context, poll: PollTable): void {
  if (actionOf(c, "openSandbox") === undefined) return;
  const { b } = c;
  const lives = b.fresh("entered");
  poll.happened("entered");
  b.branch(events, "eq", 0, lives);
  b.set(watched, -1);
  b.ignore("it may have ended", "kill", [s.initPid, signo("SIGKILL")]);
  b.label(lives);
}

/** In the monitor, before a failure is told: where the sandbox has ended meanwhile, that is why. */
export function blameEnd(c: Context): void {
  const { b } = c;
  const step = stepOf(c, "openSandbox");
  if (step < 0) return;
  const other = b.fresh("ended");
  b.attempt("flock", [joinedRecord, k("LOCK_SH", "LOCK_NB")], s.result);
  b.branch(s.result, "ne", 0, other);
  b.set(failure.step, step);
  b.set(failure.errno, pseudoErrno.joinedEnded);
  b.label(other);
}

/** In the init, while the host's /dev is there. */
export function leaveCaller(c: Context): void {
  const { b } = c;
  forgetSignals(c);
  b.must("openat", [k("AT_FDCWD"), b.text("/dev/null"), k("O_RDWR", "O_CLOEXEC"), 0], owner);
  for (const standard of [0, 1, 2]) b.must("dup3", [owner, standard, 0]);
  b.must("close", [owner]);
}

/**
 * In the init. It must not be killed with the monitor: the payload would be left to whoever reaps orphans
 * out here. Where nobody does, as in a container without an init, the sandbox could never end, for the
 * kernel waits until all that was in its pid namespace has been reaped.
 */
export function outliveMonitor(c: Context): void {
  endWithMonitor(c, "SIGHUP");
  c.b.ignore("it always succeeds", "getppid", [], parent);
}

/** In the loop of the init, after any signal. */
export function endPayload(c: Context, payload: Slot): void {
  if (actionOf(c, "outliveMonitor") === undefined) return;
  const { b } = c;
  const lives = b.fresh("outlive");
  b.ignore("it always succeeds", "getppid", [], s.result);
  b.branch(s.result, "eq", parent, lives);
  b.ignore("it may have ended", "kill", [payload, signo("SIGKILL")]);
  b.label(lives);
}

/** In the monitor: it goes on with all that `enterSandbox` needs, of the sandbox that the plan was made for. */
export function openSandbox(
  c: Context,
  { record, head, namespaces, cgroup, watched: pid }: ActionOf<"openSandbox">,
): void {
  const { b } = c;
  const opened = (path: string, to: Slot) => {
    const [there, refused] = [b.fresh("entered"), b.fresh("entered")];
    b.attempt("openat", [k("AT_FDCWD"), b.text(path), k("O_RDONLY", "O_CLOEXEC"), 0], to);
    b.branch(to, "ge", 0, there);
    b.set(s.result, to);
    b.branch(to, "ne", minus("ENOENT"), refused);
    b.set(s.result, -pseudoErrno.joinedEnded);
    b.label(refused);
    failWithResult(b);
    b.label(there);
  };
  openRecord(c, { record, head });
  for (const { type, path } of namespaces) opened(path, fdOf(type));
  if (cgroup !== null) opened(cgroup, s.cgroupFd);
  b.set(watched, -1);
  // Before Linux 5.3 there are no pidfds, and the command goes on.
  if (pid !== null) b.attempt("pidfd_open", [pid, 0], watched);
  requireLocked(c);
  const isUp = b.fresh("entered");
  b.attempt("ioctl", [fdOf("mount"), k("NS_GET_NSTYPE"), 0], s.result);
  b.branch(s.result, "eq", k("CLONE_NEWNS"), isUp);
  b.set(s.errno, pseudoErrno.notUp);
  b.fail();
  b.label(isUp);
}

/**
 * In the init, which stays outside of the pid namespace: its child, the payload, is in there. What belongs to
 * the namespaces of others is entered before the sandbox's own user namespace, which has no rights over it.
 */
export function enterSandbox(c: Context, { namespaces, joined }: ActionOf<"enterSandbox">): void {
  const { b } = c;
  const enter = (type: NamespaceType) => {
    b.must("setns", [fdOf(type), k(namespaceFiles[type][1])]);
    b.must("close", [fdOf(type)]);
  };
  const [first] = joined;
  if (first !== undefined) enterOwner(c, first);
  for (const type of joined) enter(type);
  enter("user");
  for (const type of namespaces) if (type !== "user" && !joined.includes(type)) enter(type);
  if ((actionOf(c, "openSandbox")?.cgroup ?? null) !== null) b.must("close", [s.cgroupFd]);
  closeRecord(c);
  b.must("openat", [k("AT_FDCWD"), b.text("/"), k("O_PATH", "O_CLOEXEC"), 0], s.rootFd);
}

/** The user namespace that a namespace belongs to, unless that is the caller's own. */
function enterOwner({ b }: Context, type: NamespaceType): void {
  const [foreign, own] = [b.fresh("entered"), b.fresh("entered")];
  b.must("ioctl", [fdOf(type), k("NS_GET_USERNS"), 0], owner);
  b.attempt("setns", [owner, k("CLONE_NEWUSER")], s.result);
  b.branch(s.result, "eq", 0, foreign);
  // It is the one that the process is in.
  b.branch(s.result, "eq", minus("EINVAL"), own);
  failWithResult(b);
  b.label(foreign);
  b.label(own);
  b.must("close", [owner]);
}
