/**
 * Steps as ops. A failure goes to the label that the role's `failTo` set, with the step's number
 * and the errno in slots.
 */
import { describe } from "../../spec/describe.js";
import type { Action, ActionOf, Role } from "../../spec/step.js";
import { cgroupSteps } from "./actions/cgroup.js";
import { enterSteps } from "./actions/enter.js";
import { fileSteps } from "./actions/files.js";
import { layerSteps } from "./actions/layers.js";
import { lifeSteps } from "./actions/life.js";
import { mountSteps } from "./actions/mounts.js";
import { namespaceSteps } from "./actions/namespaces.js";
import { networksSteps } from "./actions/networks.js";
import { payloadSteps } from "./actions/payload.js";
import { privilegeSteps } from "./actions/privileges.js";
import { uplinkSteps } from "./actions/uplink.js";
import { type Context, s } from "./context.js";

/** What puts the actions of a group down as ops, by their kinds. */
export type Lowering<A extends Action> = {
  readonly [K in A["kind"]]: (c: Context, action: ActionOf<K>, role: Role) => void;
};

/**
 * The monitor hands a listener on whenever it comes (launch/lower/payload/listener.ts), and keeps the record
 * after what has no step of its own (launch/lower/lower.ts).
 */
export type DoneElsewhere = ActionOf<"handListener" | "keepRecord">;

function isDoneElsewhere(action: Action): action is DoneElsewhere {
  return action.kind === "handListener" || action.kind === "keepRecord";
}

const lowering: Lowering<Exclude<Action, DoneElsewhere>> = {
  ...lifeSteps,
  ...enterSteps,
  ...namespaceSteps,
  ...cgroupSteps,
  ...layerSteps,
  ...mountSteps,
  ...fileSteps,
  ...networksSteps,
  ...uplinkSteps,
  ...privilegeSteps,
  ...payloadSteps,
};

/** The steps of a role, in plan order, each after a comment with its number. */
export function lowerSteps(
  c: Context,
  role: Role,
  isWanted = (_number: number): boolean => true,
): void {
  for (const [number, step] of c.plan.steps.entries()) {
    const { action } = step;
    if (step.role !== role || isDoneElsewhere(action) || !isWanted(number)) continue;
    c.b.comment(`${role}, step ${number}: ${describe(action)}`);
    c.b.set(s.step, number);
    // That the function is the one for this action is more than the compiler can follow.
    (lowering[action.kind] as (c: Context, action: Action, role: Role) => void)(c, action, role);
  }
}
