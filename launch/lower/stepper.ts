/**
 * The stepper: a process of the monitor's that shares its memory and its fds, and enters another user
 * namespace to make the init there, as one of that namespace's children. The monitor waits meanwhile.
 * The init is the monitor's child all the same, and the stepper ends before it is released.
 */
import type { Action } from "../../spec/step.js";
import { constant, slot } from "../builder.js";
import { k, minus, signo } from "../constants.js";
import { lowerSteps } from "./action.js";
import { type Context, s } from "./context.js";
import { bearInit, closeInitEnds, openInitEnds } from "./handshake.js";
import { closeNetworks } from "./network.js";

const stepper = slot("stepperPid");

/** In the monitor, the step: all of the stepper's own. */
export function startStepper(c: Context): void {
  const { b, memory } = c;
  const [monitor, done] = [b.fresh("stepper"), b.fresh("stepper")];
  openInitEnds(c);
  // Unless it says why it failed: somebody has killed it.
  b.set(s.errno, constant("ESRCH", -minus("ESRCH").value));
  const flags = k("CLONE_VM", "CLONE_VFORK", "CLONE_FILES");
  b.must(
    "clone",
    [constant(`${flags.text}|SIGCHLD`, flags.value | signo("SIGCHLD").value), 0, 0, 0, 0],
    stepper,
  );
  b.branch(stepper, "ne", 0, monitor);
  b.failTo("stepper.fail");
  lowerSteps(c, "stepper");
  b.exit(0);
  b.label("stepper.fail");
  b.exit(125);

  b.label(monitor);
  b.failTo("monitor.fail");
  b.ignore("it is our child", "wait4", [stepper, memory.status, 0, 0]);
  b.load(4, s.result, memory.status);
  b.branch(s.result, "eq", 0, done);
  b.comment("it has left the step that failed and the errno in the slots");
  b.fail();
  b.label(done);
  closeInitEnds(c);
  closeNetworks(c);
  leaveJoined(c);
}

/** In the stepper, the step; it goes on in the network namespace to be joined, with rights over it. */
export function enterJoined({ b }: Context): void {
  const own = b.fresh("entered");
  b.branch(s.joinedUser, "lt", 0, own);
  b.must("setns", [s.joinedUser, k("CLONE_NEWUSER")]);
  // Where who made it is not the caller, the kernel has taken that away, and the ids of the init
  // could not be mapped: proc_pid(5).
  b.must("prctl", [k("PR_SET_DUMPABLE"), 1, 0, 0, 0]);
  b.label(own);
  b.must("setns", [s.joinedNetwork, k("CLONE_NEWNET")]);
}

/** In the monitor, when the stepper has ended, and in the init. */
export function leaveJoined({ b, plan }: Context): void {
  if (!plan.steps.some(({ action }) => action.kind === "enterJoined")) return;
  b.ignore("it is -1 where it is the caller's own", "close", [s.joinedUser]);
  b.must("close", [s.joinedNetwork]);
}

/** In the stepper, the step: the init, which is the monitor's child. */
export function stepInit(c: Context, action: Extract<Action, { kind: "clone" }>): void {
  bearInit(c, action, "CLONE_PARENT");
}
