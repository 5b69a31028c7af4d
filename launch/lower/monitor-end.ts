/** The end of the monitor: what is left of the sandbox is put in order, and how it ended is told. */
import { slot } from "../machine/builder.js";
import { signo } from "../machine/constants.js";
import { startAgain } from "./again.js";
import { endCgroup } from "./cgroup/cgroup.js";
import { readOom, tellOfOom } from "./cgroup/oom.js";
import { type Context, s } from "./context.js";
import { payloadStatus, received } from "./control.js";
import { dismissGuard } from "./guard.js";
import { blameEnd } from "./life/enter.js";
import { lifeOf } from "./life/life.js";
import { endFailed, endRun } from "./life/restart.js";
import { signal } from "./monitor.js";
import { leaveMounts } from "./namespaces.js";
import { endUplink } from "./netns/connect.js";
import { drain, type Relay } from "./payload/relay.js";
import { removeRecord } from "./record/name.js";
import { exitTold } from "./record/record.js";
import { awaitJanitor } from "./rootfs/janitor.js";
import { tellOfOwners } from "./rootfs/owners.js";
import { awaitServer, killServer } from "./rootfs/server.js";
import { failure, readFailure } from "./shared.js";
import { exitStatus, reportFailure, tellStatus } from "./text/report.js";

/** Ends the program. */
export function finish(c: Context, relay: Relay | null): void {
  const { b } = c;
  b.comment("the sandbox is gone: what it said last");
  const saidAll = b.fresh("finish");
  const saying = b.fresh("finish");
  b.label(saying);
  b.branch(s.controlOutside, "lt", 0, saidAll);
  b.call("control.receive");
  b.branch(received, "gt", 0, saying);
  b.label(saidAll);
  if (relay !== null) {
    drain(c, relay);
    b.call("terminal.leave");
  }
  tellOfOwners(c);
  leaveMounts(c);
  dismissGuard(c);
  endUplink(c);
  awaitServer(c, true);
  awaitJanitor(c);
  readOom(c);
  endCgroup(c);
  if (lifeOf(c) === undefined) removeRecord(c);

  readFailure(c);
  b.branch(failure.happened, "ne", 0, "monitor.report");
  const own = b.fresh("finish");
  b.branch(payloadStatus, "ge", 0, own);
  b.comment("the init itself was killed, or there is none");
  b.set(payloadStatus, initStatus);
  b.label(own);
  tellOfOom(c, payloadStatus);
  const signalled = b.fresh("finish");
  b.alu("and", signal, payloadStatus, 0x7f);
  b.branch(signal, "ne", 0, signalled);
  b.alu("shr", code, payloadStatus, 8);
  b.alu("and", code, code, 0xff);
  if (lifeOf(c) !== undefined) {
    const ended = b.fresh("finish");
    b.jump(ended);
    b.label(signalled);
    b.alu("add", code, signal, exitStatus.signalled);
    b.label(ended);
    endRun(c, code, signal);
    return;
  }
  tellStatus(c, ['{"event":"exit","exitCode":', { decimal: code }, "}"]);
  b.jump("monitor.exit");
  b.label(signalled);
  b.alu("add", code, signal, exitStatus.signalled);
  tellStatus(c, [
    '{"event":"exit","signal":',
    { decimal: signal },
    ',"exitCode":',
    { decimal: code },
    "}",
  ]);
  b.label("monitor.exit");
  exitTold(c, code);
}

/** Where a step of the monitor's goes that fails: what was begun is ended, and the failure told. */
export function monitorFailure(c: Context): void {
  const { b, memory } = c;
  const nobody = b.fresh("fail");
  b.label("monitor.fail");
  b.branch(s.initPid, "eq", 0, nobody);
  b.ignore("it may have died by itself", "kill", [s.initPid, signo("SIGKILL")]);
  b.ignore("it is our child", "wait4", [s.initPid, memory.status, 0, 0]);
  b.label(nobody);
  killServer(c);
  b.set(failure.step, s.step);
  b.set(failure.errno, s.errno);
  leaveMounts(c);
  dismissGuard(c);
  endUplink(c);
  awaitServer(c, false);
  awaitJanitor(c);
  endCgroup(c);
  if (lifeOf(c) === undefined) removeRecord(c);
  b.label("monitor.report");
  startAgain(c);
  blameEnd(c);
  reportFailure(c, code);
  if (lifeOf(c) !== undefined) endFailed(c, code);
  else b.jump("monitor.exit");
}
export const initStatus = slot("initStatus");
export const code = slot("exitCode");
