/**
 * The guard: where there is no init of ours between monitor and payload, the payload itself could
 * take back the request to die with the monitor. So a process outside, which nobody inside sees,
 * waits for the monitor's end and kills PID 1 then, and with it all that is inside.
 */
import { slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import { type Context, s } from "./context.js";
import { leaveCaller } from "./fds.js";
import { closePorts } from "./netns/ports.js";

const guardPid = slot("guardPid");
const guardRead = slot("guardRead");
const guardWrite = slot("guardWrite");
const target = slot("guardedPid");
const bytes = slot("bytes");
const fd = slot("fd");

const needed = ({ plan }: Context) => !plan.init;

export function guardState(c: Context): void {
  if (needed(c)) c.b.set(guardPid, 0);
}

/**
 * In the monitor, before the fds that it shares with the inside are open: the guard holds none whose
 * end someone waits for. The monitor keeps the write end of the pipe for life.
 */
export function startGuard(c: Context): void {
  if (!needed(c)) return;
  const { b, memory } = c;
  const monitor = b.fresh("guard");
  b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, guardRead, memory.pair);
  b.load(4, guardWrite, memory.pair, 4);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], guardPid);
  b.branch(guardPid, "ne", 0, monitor);

  b.comment("the guard");
  b.failTo("guard.end");
  b.must("close", [guardWrite]);
  leaveCaller(c);
  closePorts(c);
  b.comment("first the pid of PID 1, as the monitor sees it; then the pipe's end");
  b.must("read", [guardRead, memory.scratch, 8], bytes);
  b.branch(bytes, "ne", 8, "guard.end");
  b.load(8, target, memory.scratch);
  // From here on the number stands for that process, whoever gets it next.
  b.attempt("pidfd_open", [target, 0], fd);
  b.must("read", [guardRead, memory.scratch, 8], bytes);
  const byPid = b.fresh("guard");
  b.branch(fd, "lt", 0, byPid);
  b.must("pidfd_send_signal", [fd, signo("SIGKILL"), 0, 0]);
  b.exit(0);
  b.comment("before Linux 5.3 there are no pidfds");
  b.label(byPid);
  b.must("kill", [target, signo("SIGKILL")]);
  b.label("guard.end");
  b.exit(0);
  b.label(monitor);
  b.failTo("monitor.fail");
  b.must("close", [guardRead]);
}

/** In the monitor, after the clone and before PID 1 is released. */
export function tellGuard(c: Context): void {
  if (!needed(c)) return;
  const { b, memory } = c;
  b.store(8, memory.scratch, 0, s.initPid);
  b.must("write", [guardWrite, memory.scratch, 8]);
}

/** In every other process that the monitor makes: the pipe must end with the monitor alone. */
export function leaveGuard(c: Context): void {
  if (needed(c)) c.b.must("close", [guardWrite]);
}

/** In the monitor, once the sandbox is gone. */
export function dismissGuard(c: Context): void {
  if (!needed(c)) return;
  const { b, memory } = c;
  const none = b.fresh("guard");
  b.branch(guardPid, "eq", 0, none);
  b.ignore("it may have been killed", "kill", [guardPid, signo("SIGKILL")]);
  b.ignore("it is our child", "wait4", [guardPid, memory.status, 0, 0]);
  b.label(none);
}
