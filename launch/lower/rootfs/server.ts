/**
 * fuse-overlayfs, and its life. It is started by the monitor, in a user namespace of its own with
 * the ids of the sandbox, so that nobody inside has rights over it (ptrace(2) asks for those in its
 * namespace) or sees it, and in a mount namespace of its own, where the layers have short names.
 * The init opens /dev/fuse, mounts it, for which both must be of one user namespace, and hands it over.
 *
 * It ends with the mount: the kernel ends the connection once the last process inside is gone, whoever
 * killed what, after it has written back what was not yet written. Before, it waits for the init on
 * a socket, whose end it sees. The monitor only waits for it, and ends the sandbox should it die.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import type { ActionOf } from "../../../spec/step.js";
import { at, slot } from "../../machine/builder.js";
import { childFlags, k, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { actionOf, type Context, s, stepOf } from "../context.js";
import { leaveCaller } from "../fds.js";
import { leaveGuard } from "../guard.js";
import { mapIds } from "../id-maps.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { failure } from "../shared.js";
import { unblockSignals } from "../signals.js";
import { makeDirectories } from "./filesystem.js";
import { arrangeLayers, fdMessage, fdOffset, fuseNumber, openPlaces } from "./served.js";

const serverPid = slot("serverPid");
/** The two ends of the socket between the server, and the monitor and init. */
const serverSide = slot("serverSide");
const clientSide = slot("clientSide");
/** What it says is kept back unless it fails. */
const saidWrite = slot("saidWrite");
const fuse = slot("fuseFd");

/** How long the monitor waits for its end. */
const patienceSeconds = 10;

type Serve = ActionOf<"serveOverlay">;
const isNeeded = (c: Context) => actionOf(c, "serveOverlay") !== undefined;

/** Before any step. */
export function serverState(c: Context): void {
  if (!isNeeded(c)) return;
  c.b.set(serverPid, 0);
  c.b.set(s.serverSaid, -1);
}

/** In the monitor, before the clone of the init, which inherits its end. */
export function openServerSocket(c: Context): void {
  if (!isNeeded(c)) return;
  const { b, memory } = c;
  b.must("socketpair", [k("AF_UNIX"), k("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0, memory.pair]);
  b.load(4, serverSide, memory.pair);
  b.load(4, clientSide, memory.pair, 4);
}

/** In the init: only the server shall hold its own end. */
export function leaveServer(c: Context): void {
  if (isNeeded(c)) c.b.must("close", [serverSide]);
}

/** In the monitor, once the init's ids are mapped: the step itself. */
export function serveOverlay(c: Context, action: Serve): void {
  const { b, memory } = c;
  const monitor = b.fresh("server");
  const ready = b.fresh("server");
  b.must("pipe2", [memory.pair, k("O_CLOEXEC", "O_NONBLOCK")]);
  b.load(4, s.serverSaid, memory.pair);
  b.load(4, saidWrite, memory.pair, 4);
  b.must("clone", [childFlags("CLONE_NEWUSER", "CLONE_NEWNS"), 0, 0, 0, 0], serverPid);
  b.branch(serverPid, "ne", 0, monitor);
  becomeServer(c, action);

  b.label(monitor);
  b.failTo("monitor.fail");
  b.must("close", [serverSide]);
  b.must("close", [saidWrite]);
  const maps = actionOf(c, "mapIds");
  if (maps !== undefined) mapIds(c, maps, serverPid);
  b.must("sendto", [clientSide, b.text("!"), 1, k("MSG_NOSIGNAL"), 0, 0]);
  b.comment("one byte says that it is ready, an errno that it failed");
  b.store(8, memory.scratch, 0, Number(errnoNumbers.ESRCH));
  b.must("read", [clientSide, memory.scratch, 8], s.result);
  b.must("close", [clientSide]);
  b.branch(s.result, "eq", 1, ready);
  b.load(8, s.errno, memory.scratch);
  b.fail();
  b.label(ready);
}

function becomeServer(c: Context, action: Serve): void {
  const { b, memory } = c;
  const ids = actionOf(c, "setIds");
  const gone = b.fresh("server");
  b.comment("the server");
  b.failTo("server.fail");
  // The init must see the end of the monitor; the server that of the init.
  for (const fd of [s.releaseWrite, s.controlOutside, s.signalFd, clientSide, s.serverSaid]) {
    b.must("close", [fd]);
  }
  leaveGuard(c);
  leaveCaller(c);
  for (const output of [1, 2]) b.must("dup3", [saidWrite, output, 0]);
  b.comment("wait for the id maps");
  b.must("read", [serverSide, memory.scratch, 1], s.result);
  b.branch(s.result, "ne", 1, gone);
  openPlaces(c, action);
  b.must("setresgid", [ids?.gid ?? 0, ids?.gid ?? 0, ids?.gid ?? 0]);
  b.must("setresuid", [ids?.uid ?? 0, ids?.uid ?? 0, ids?.uid ?? 0]);
  const options = arrangeLayers(c, action);
  b.must("write", [serverSide, b.text("!"), 1]);
  b.comment("wait for /dev/fuse from the init, or for its end");
  b.must("recvmsg", [serverSide, fdMessage(c, null), 0], s.result);
  b.branch(s.result, "ne", 1, gone);
  b.load(4, fuse, memory.scratch, fdOffset);
  b.must("dup3", [fuse, fuseNumber(c), 0]);
  b.must("close", [fuse]);
  unblockSignals(c);
  const words = [action.program, "-f", "-o", options, `/dev/fd/${fuseNumber(c)}`].map(b.text);
  b.ignore("the next line tells", "execve", [
    b.text(action.program),
    b.words("serverArguments", [...words, 0], false),
    b.words("serverEnvironment", [0], false),
  ]);
  const refusal = "it cannot be executed";
  b.ignore("the monitor reads it", "write", [2, b.text(refusal), refusal.length]);
  b.label(gone);
  b.exit(127);
  b.label("server.fail");
  b.store(8, memory.scratch, 0, s.errno);
  b.ignore("then the monitor is dead", "write", [serverSide, memory.scratch, 8]);
  b.exit(127);
}

/** In the init: the step itself. */
export function mountServed(c: Context, target: string): void {
  const { b, memory } = c;
  const ids = actionOf(c, "setIds");
  makeDirectories(c, target, 0o755);
  b.must("openat", [k("AT_FDCWD"), b.text("/dev/fuse"), k("O_RDWR", "O_CLOEXEC"), 0], fuse);
  b.must("dup3", [fuse, fuseNumber(c), k("O_CLOEXEC")]);
  b.must("close", [fuse]);
  b.must("mount", [
    b.text("fuse-overlayfs"),
    b.text(target),
    b.text("fuse.fuse-overlayfs"),
    k("MS_NODEV"),
    b.text(
      `fd=${fuseNumber(c)},rootmode=40000,user_id=${ids?.uid ?? 0},group_id=${ids?.gid ?? 0},allow_other,default_permissions`,
    ),
  ]);
  b.must("sendmsg", [clientSide, fdMessage(c, fuseNumber(c)), k("MSG_NOSIGNAL")]);
  b.must("close", [fuseNumber(c)]);
  b.must("close", [clientSide]);
  b.comment("wait until it serves: an error tells that it does not");
  b.must("newfstatat", [k("AT_FDCWD"), b.text(target), memory.scratch, 0]);
}

/**
 * In the monitor, for a child that has ended. With status 0 it saw the end of the mount, and the init
 * is about to end as well; else the sandbox has no files any more.
 */
export function checkServer(c: Context, pid: Slot): void {
  if (!isNeeded(c)) return;
  const { b, memory } = c;
  const other = b.fresh("server");
  b.branch(pid, "ne", serverPid, other);
  b.set(serverPid, 0);
  b.load(4, s.result, memory.status);
  b.branch(s.result, "eq", 0, other);
  b.ignore("it has just died", "kill", [s.initPid, signo("SIGKILL")]);
  blameServer(c);
  b.label(other);
}

/** For a status in `memory.status`: how it ended is why the sandbox did, if it was not well and nothing else is. */
function blameServer(c: Context): void {
  const { b, memory } = c;
  const other = b.fresh("server");
  b.load(4, s.result, memory.status);
  b.branch(s.result, "eq", 0, other);
  b.branch(failure.happened, "ne", 0, other);
  b.set(failure.happened, 1);
  b.set(failure.step, stepOf(c, "serveOverlay"));
  b.set(failure.errno, pseudoErrno.serverEnded);
  b.label(other);
}

/** In the monitor, where the set-up failed: it may be waiting for what never comes. */
export function killServer(c: Context): void {
  if (!isNeeded(c)) return;
  const { b } = c;
  const none = b.fresh("server");
  b.branch(serverPid, "eq", 0, none);
  b.ignore("it may have died by itself", "kill", [serverPid, signo("SIGKILL")]);
  b.label(none);
}

/**
 * In the monitor, at the end. Where the pid namespace is shared, what the command left behind may
 * still need it: it ends with the last of them. `isTold`: how it ended is told where nothing else
 * failed, since a command whose files are gone may die of that before we hear of the server's end.
 */
export function awaitServer(c: Context, isTold: boolean): void {
  if (!isNeeded(c)) return;
  const { b, memory } = c;
  const end = b.fresh("server");
  const ended = b.fresh("server");
  b.branch(serverPid, "eq", 0, end);
  const clone = actionOf(c, "clone");
  if (clone?.namespaces.includes("CLONE_NEWPID") === true) {
    // Its end of the pipe is closed as it ends.
    b.store(8, memory.scratch, 0, s.serverSaid);
    b.store(4, memory.scratch, 4, 0);
    b.store(8, memory.scratch, 16, patienceSeconds);
    b.store(8, memory.scratch, 24, 0);
    b.attempt("ppoll", [memory.scratch, 1, at(memory.scratch, 16), 0, 8], s.result);
    b.branch(s.result, "eq", 1, ended);
    b.ignore("it may have died by itself", "kill", [serverPid, signo("SIGKILL")]);
    b.label(ended);
    b.ignore("it is our child", "wait4", [serverPid, memory.status, 0, 0]);
    // Not where it was killed for its slowness.
    b.branch(s.result, "ne", 1, end);
    if (isTold) blameServer(c);
  }
  b.label(end);
}
