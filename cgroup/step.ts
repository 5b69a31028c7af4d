/** Who takes the steps for control groups, and how to mend what fails. */
import type { Action, Step } from "../spec/step.js";
import { managerRestart } from "./mode.js";

const inside = new Set<Action["kind"]>(["unshareCgroup", "delegateCgroup", "awaitLimits"]);

/** Of the monitor or the init. */
export function step(action: Action, hints?: Step["hints"]): Step {
  const role = inside.has(action.kind) ? "init" : "monitor";
  return { role, phase: "cgroup", action, ...(hints && { hints }) };
}

/** Of a process that goes to another group. */
export const moveHints = {
  EACCES:
    "Nobody moves a process but who may write to the group that both groups are in: start sbx inside of what is delegated to you, as `systemd-run --user --scope -p Delegate=yes` does",
  EPERM:
    "Processes cannot be moved across a cgroup namespace that is delegated (nsdelegate): start sbx inside of it",
  EBUSY: "The group gives controllers to others below it: nobody may be in it itself",
};

/** Of controllers that groups below get. */
export const enableHints = {
  EBUSY:
    "Somebody else is in that group: start sbx in a group of its own, as `systemd-run --user --scope -p Delegate=yes sbx run …` does",
  ENOENT: `A controller is not delegated to that group any more, or your systemd started before it was: log in anew, or where you linger: ${managerRestart}`,
};

export const makeHints = {
  EAGAIN: "A limit of groups is reached: cgroup.max.descendants of a group above",
  ENOSPC: "The kernel has no more room for groups: end some sandboxes",
};

export const limitHints = {
  ENOENT:
    "This kernel has no such limit, or its controller is not delegated to you: `sbx check` tells which are",
  EINVAL: "The kernel does not take this value",
  ERANGE: "The kernel does not take this value",
  ENODEV: "There is no such disk",
  EOPNOTSUPP: "This disk's scheduler has no such limit",
  EBUSY: "More than that is in use already",
};
