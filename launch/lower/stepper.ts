/**
 * The stepper: a process of the monitor's that shares its memory and its fds, and enters another user
 * namespace to make the init there, as one of that namespace's children. The monitor waits meanwhile.
 * The init is the monitor's child all the same, and the stepper ends before it is released.
 */
import type { NamespaceType } from "../../spec/spec.js";
import type { ActionOf } from "../../spec/step.js";
import { constant, slot } from "../machine/builder.js";
import { childFlags, k, minus } from "../machine/constants.js";
import { actionOf, type Context, s } from "./context.js";
import { bearInit, closeInitEnds, openInitEnds } from "./handshake.js";
import { joinedFd, joinedTypes } from "./joined.js";
import { namespaceFiles } from "./namespaces.js";
import { closeNetworks } from "./netns/network.js";
import { closeCopies } from "./rootfs/copies.js";
import { getShared } from "./shared.js";
import { lowerSteps } from "./steps.js";

const stepper = slot("stepperPid");

/** In the monitor, the step: all of the stepper's own. */
export function startStepper(c: Context): void {
  openInitEnds(c);
  visit(c, "stepper", () => lowerSteps(c, "stepper"));
  closeNetworks(c);
  leaveJoined(c);
  closeCopies(c);
}

/** In the monitor: `act` is done by a process that shares its memory and its fds, and waited for. */
export function visit({ b, memory }: Context, name: string, act: () => void): void {
  const [monitor, done] = [b.fresh(name), b.fresh(name)];
  // Unless it says why it failed: somebody has killed it.
  b.set(s.errno, constant("ESRCH", -minus("ESRCH").value));
  b.must("clone", [childFlags("CLONE_VM", "CLONE_VFORK", "CLONE_FILES"), 0, 0, 0, 0], stepper);
  b.branch(stepper, "ne", 0, monitor);
  b.failTo(`${name}.fail`);
  act();
  b.exit(0);
  b.label(`${name}.fail`);
  b.exit(125);

  b.label(monitor);
  b.failTo("monitor.fail");
  b.ignore("it is our child", "wait4", [stepper, memory.status, 0, 0]);
  b.load(4, s.result, memory.status);
  b.branch(s.result, "eq", 0, done);
  b.comment("it has left the step that failed and the errno in the slots");
  b.fail();
  b.label(done);
}

/** In the stepper, the step; it goes on in the namespaces to be joined, with rights over them. */
export function enterJoined(c: Context): void {
  const { b } = c;
  const own = b.fresh("entered");
  b.branch(s.joinedUser, "lt", 0, own);
  b.must("setns", [s.joinedUser, k("CLONE_NEWUSER")]);
  // Where who made it is not the caller, the kernel has taken that away, and the ids of the init
  // could not be mapped: proc_pid(5).
  b.must("prctl", [k("PR_SET_DUMPABLE"), 1, 0, 0, 0]);
  b.label(own);
  for (const type of joinedTypes(c)) if (type !== "pid") enter(c, type);
}

function enter({ b }: Context, type: NamespaceType): void {
  b.must("setns", [joinedFd(type), k(namespaceFiles[type][1])]);
}

/** In the monitor, when the stepper has ended, and in the init. */
export function leaveJoined(c: Context): void {
  const { b } = c;
  if (actionOf(c, "enterJoined") === undefined) return;
  b.ignore("it is -1 where it is the caller's own", "close", [s.joinedUser]);
  for (const type of joinedTypes(c)) b.must("close", [joinedFd(type)]);
}

/** In the stepper, the step: the init, which is the monitor's child. */
export function stepInit(c: Context, action: ActionOf<"clone">): void {
  const { b, memory } = c;
  const namespaces = action.joinsPids ? [] : action.namespaces;
  bearInit(c, { ...action, namespaces }, "CLONE_PARENT");
  closeInitEnds(c);
  if (!action.joinsPids) return;
  const made = b.fresh("made");
  b.ignore("its end says so too", "read", [s.controlOutside, memory.scratch, 1], s.result);
  b.branch(s.result, "eq", 1, made);
  getShared(c, "errno", s.errno);
  b.fail();
  b.label(made);
}

/**
 * In the init, before all else. Whoever is in the pid namespace could see how the sandbox is put together, and
 * root there would have rights over that. So the init stays outside, and only its children are in it. A child of
 * the user namespace that owns it has no rights over it any more, hence the order.
 */
export function enterPids(c: Context): void {
  const { b } = c;
  const clone = actionOf(c, "clone");
  if (!clone?.joinsPids) return;
  enter(c, "pid");
  b.must("unshare", [k(...clone.namespaces)]);
  b.must("write", [s.controlInside, b.text("!"), 1]);
}
