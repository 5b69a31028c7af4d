/** The init: PID 1 of the sandbox. Sets it up, starts the payload, then reaps and forwards. */
import { slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import { leaveCgroup } from "./cgroup/cgroup.js";
import { actionOf, type Context, preservedFds, s, stepOf } from "./context.js";
import { giveBackInInit, giveBackSoon, untilGiveBack } from "./give-back.js";
import { leaveGuard } from "./guard.js";
import { awaitMonitor, mapsItself } from "./handshake.js";
import { ownStandard, takeStandard } from "./life/detach.js";
import { endPayload } from "./life/enter.js";
import { tell } from "./messages.js";
import { leaveNetworks } from "./netns/network.js";
import { closePorts } from "./netns/ports.js";
import { begunSteps, payload, releasePayload, startedRead, tellReady } from "./payload/early.js";
import { executeSubroutines, prepareExecute } from "./payload/execute.js";
import { adoptTerminal } from "./payload/terminal.js";
import { attachSubroutine } from "./rootfs/attach.js";
import { maskSubroutines } from "./rootfs/masks.js";
import { resolveSubroutine } from "./rootfs/resolve.js";
import { leaveServer } from "./rootfs/server.js";
import { openUpperStore } from "./rootfs/upper-store.js";
import { leaveFailure } from "./shared.js";
import { unblockSignals } from "./signals.js";
import { enterPids, leaveJoined } from "./stepper.js";
import { lowerSteps } from "./steps.js";
import { rename } from "./text/rename.js";

const signal = slot("signal");
const pid = slot("reapedPid");
const target = slot("target");

/** The status that wait4(2) gives of a child that goes on after a stop. */
const continued = 0xffff;

/** Signals that a terminal sends to a whole job, and that are passed on likewise. */
const forTheJob = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTSTP", "SIGCONT"];

export function lowerInit(c: Context): void {
  const { b, plan } = c;
  b.label("init");
  b.failTo("inside.fail");
  const first = plan.steps.findIndex(({ role }) => role === "init");
  if (!actionOf(c, "clone")?.joinsPids) b.set(s.step, first);
  b.must("close", [s.controlOutside]);
  b.must("close", [s.releaseWrite]);
  leaveGuard(c);
  leaveServer(c);
  enterPids(c);
  leaveJoined(c);
  closePorts(c);
  leaveNetworks(c);
  leaveCgroup(c);
  b.must("close", [s.signalFd]);
  takeStandard(c);
  if (plan.statusFd !== null) b.must("close", [plan.statusFd]);
  b.ignore("umask(2) always succeeds", "umask", [0], s.payloadUmask);
  b.must("setsid", []);
  const mapped = stepOf(c, "mapIds");
  lowerSteps(c, "init", (number) => number < mapped);
  if (!mapsItself(c)) {
    b.comment("wait for the id maps");
    awaitMonitor(c);
  }
  openUpperStore(c);
  lowerSteps(c, "init", (number) => number >= mapped);

  if (!plan.init) {
    lowerPayload(c, false);
  } else {
    releasePayload(c);
    startInitLoop(c);
    lowerPayload(c, true);
  }

  b.label("inside.fail");
  leaveFailure(c);
  b.exit(125);
  maskSubroutines(c);
  if (actionOf(c, "attach") !== undefined) attachSubroutine(c);
  const executes = actionOf(c, "execve") !== undefined;
  if (executes || actionOf(c, "attach") !== undefined) resolveSubroutine(c);
  if (executes) executeSubroutines(c);
}

function startInitLoop(c: Context): void {
  const { b, memory } = c;
  b.must("close", [s.rootFd]);
  // PID 1 is seen inside: its name and arguments shall not tell where the program lies outside.
  rename(c, "sbx-init");
  for (let preserved = 3; preserved < 3 + preservedFds(c); preserved++) {
    b.ignore("it was checked to be open", "close", [preserved]);
  }
  b.comment("the pipe closes as the payload's execve succeeds");
  b.ignore("nobody writes to it", "read", [startedRead, memory.scratch, 1]);
  b.must("close", [startedRead]);
  b.jump("init.ready");
}

/** What is left of the init once the payload runs: behind what it gives back, of which it must not use anything. */
export function initLoop(c: Context): void {
  const { b, memory } = c;
  b.label("init.ready");
  tellReady(c);
  giveBackSoon(c);
  b.label("init.loop");
  b.ignore(
    "all signals are blocked, so nothing interrupts it",
    "rt_sigtimedwait",
    [memory.allSignals, 0, untilGiveBack, 8],
    signal,
  );
  endPayload(c, payload);
  b.branch(signal, "eq", signo("SIGCHLD"), "init.reap");
  b.branch(signal, "le", 0, "init.idle");
  b.set(target, payload);
  for (const name of forTheJob) b.branch(signal, "eq", signo(name), "init.job");
  b.label("init.forward");
  b.ignore("it has just died", "kill", [target, signal]);
  b.jump("init.loop");
  b.label("init.job");
  b.alu("sub", target, 0, payload);
  b.jump("init.forward");

  b.label("init.idle");
  giveBackInInit(c);
  b.jump("init.loop");

  b.label("init.reap");
  const status = slot("childStatus");
  const reason = slot("stopReason");
  b.attempt("wait4", [-1, memory.status, k("WNOHANG", "WUNTRACED", "WCONTINUED"), 0], pid);
  b.branch(pid, "le", 0, "init.loop");
  b.branch(pid, "ne", payload, "init.reap");
  b.load(4, status, memory.status);
  b.alu("and", reason, status, 0xff);
  b.branch(reason, "eq", 0x7f, "init.stopped");
  b.branch(status, "eq", continued, "init.continued");
  tell(c, "exited", status);
  b.exit(0);
  b.label("init.stopped");
  b.alu("shr", reason, status, 8);
  tell(c, "stopped", reason);
  b.jump("init.reap");
  b.label("init.continued");
  tell(c, "continued", 0);
  b.jump("init.reap");
}

/** From the clone, or in the init itself where there is to be none, to execve. */
function lowerPayload(c: Context, ownProcess: boolean): void {
  const { b, plan } = c;
  if (ownProcess) {
    b.label("payload");
    b.must("setpgid", [0, 0]);
  }
  prepareExecute(c);
  // With its signals blocked.
  const begun = begunSteps(plan);
  lowerSteps(c, "payload", (number) => number < begun);
  if (c.terminal) adoptTerminal(c, ownProcess);
  b.ignore("umask(2) always succeeds", "umask", [s.payloadUmask]);
  unblockSignals(c);
  ownStandard(c);
  lowerSteps(c, "payload", (number) => number >= begun);
}
