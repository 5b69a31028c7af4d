/**
 * Plan → Program. The order on this page is the order in which a sandbox comes to be.
 */
import type { Plan } from "../../spec/plan.js";
import { landmarks, type Program } from "../machine/ir.js";
import { type Again, skipOptions } from "./again.js";
import { cgroupState } from "./cgroup/cgroup.js";
import { scopeState } from "./cgroup/dbus.js";
import { actionOf, type Context, context, preservedFds, s } from "./context.js";
import { closeFrom } from "./fds.js";
import { guardState } from "./guard.js";
import { initLoop, lowerInit } from "./init.js";
import { lifeState } from "./life/detach.js";
import { lifeOf } from "./life/life.js";
import { initialState, monitorLoop } from "./monitor.js";
import { monitorFailure } from "./monitor-end.js";
import { holderState } from "./netns/holder.js";
import { lowerKeeper } from "./netns/keeper.js";
import { networkSubroutines } from "./netns/link-text.js";
import { netlinkSubroutines } from "./netns/netlink.js";
import { networkState } from "./netns/network.js";
import { detectTerminal, terminalMemory, terminalSubroutines } from "./payload/terminal.js";
import { recordSubroutine } from "./record/name.js";
import { recordState } from "./record/place.js";
import { keepRecord } from "./record/record.js";
import { messageSubroutine } from "./rights.js";
import { typeSubroutine } from "./rootfs/file-type.js";
import { janitorState, startJanitor } from "./rootfs/janitor.js";
import { serverState } from "./rootfs/server.js";
import { treeSubroutine } from "./rootfs/tree.js";
import { shareMemory } from "./shared.js";
import { blockSignals } from "./signals.js";
import { startStandalone } from "./standalone.js";
import { readArguments, refuseForeignStart } from "./start.js";
import { lowerSteps } from "./steps.js";
import { failureTextSubroutines, failureTexts } from "./text/failure-texts.js";
import { drawId } from "./text/id.js";
import { tellStatus } from "./text/report.js";
import { textSubroutines } from "./text/text.js";

/** What is to be known before any step can fail, in the foreground once, else before each run. */
function stateOfRun(c: Context): void {
  initialState(c);
  guardState(c);
  janitorState(c);
  serverState(c);
  drawId(c);
  recordState(c);
  holderState(c);
  networkState(c);
  cgroupState(c);
  scopeState(c);
}

/** The program that carries the plan out; its arguments are the payload's, `again` has those of the cache. */
export function lower(plan: Plan, again: Again | null = null): Program {
  const c = context(plan, again);
  const { b } = c;

  b.comment("monitor");
  b.failTo("monitor.fail");
  readArguments(c);
  skipOptions(c);
  refuseForeignStart(c);
  startStandalone(c);
  lifeState(c);
  const life = lifeOf(c) !== undefined;
  if (life) b.call("monitor.states");
  else stateOfRun(c);
  b.set(s.step, 0);
  blockSignals(c);
  const terminal = actionOf(c, "openTerminal");
  if (terminal !== undefined) detectTerminal(c, terminal.when);
  shareMemory(c);
  lowerSteps(c, "monitor");
  startJanitor(c);
  keepRecord(c);
  b.comment("what only the payload may hold open is closed out here");
  if (preservedFds(c) > 0) closeFrom(c, 3, 2 + preservedFds(c));
  tellStatus(c, ['{"event":"pid","pid":', { decimal: s.initPid }, "}"]);
  const own = c.relays ? terminalMemory(c) : null;
  b.jump(landmarks.resident);
  monitorFailure(c);
  recordSubroutine(c);

  if (life) {
    b.label("monitor.states");
    stateOfRun(c);
    b.return();
  }

  b.comment("init");
  lowerInit(c);

  lowerKeeper(c);
  if (own !== null) terminalSubroutines(c, own);
  networkSubroutines(c);
  netlinkSubroutines(c);
  textSubroutines(c);
  failureTextSubroutines(c);
  treeSubroutine(c);
  typeSubroutine(c);

  b.comment("what the monitor and the init need while the payload runs");
  b.label(landmarks.resident);
  monitorLoop(c);
  if (plan.init) initLoop(c);
  messageSubroutine(c);
  failureTexts(c);
  return b.finish();
}
