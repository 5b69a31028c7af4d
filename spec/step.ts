/**
 * Steps: what a plan consists of. Each is one thing that a role of the compiled program does, in the words of the
 * field. The actions are in actions/, by what they serve; one without a comment is the system call of its
 * name. `describe` gives the text that `explain` prints and errors name.
 */
import type { CgroupAction } from "./actions/cgroup.js";
import type { EnterAction } from "./actions/enter.js";
import type { FileAction } from "./actions/files.js";
import type { LayerAction } from "./actions/layers.js";
import type { LifeAction } from "./actions/life.js";
import type { MountAction } from "./actions/mounts.js";
import type { NamespaceAction } from "./actions/namespaces.js";
import type { NetworksAction } from "./actions/networks.js";
import type { PayloadAction } from "./actions/payload.js";
import type { PrivilegeAction } from "./actions/privileges.js";
import type { UplinkAction } from "./actions/uplink.js";

/**
 * Who runs a step: the monitor outside, the init (PID 1) inside, or the payload before execve. The
 * stepper is a process of the monitor's that makes the init from within another user namespace. And of the
 * holder of the networks, where it has to be started, the keeper outside and the answerer inside.
 */
export type Role = "monitor" | "stepper" | "init" | "payload" | "keeper" | "answerer";

/** Which part of the set-up a step belongs to. The order of steps is that of launch/plan.ts. */
export type Phase =
  | "prepare"
  | "cgroup"
  | "clone"
  | "idmap"
  | "record"
  | "mounts"
  | "pivot_root"
  | "filesystems"
  | "masks"
  | "network"
  | "identity"
  | "capabilities"
  | "no_new_privs"
  | "seccomp"
  | "execve";

export type Action =
  | LifeAction
  | EnterAction
  | NamespaceAction
  | CgroupAction
  | LayerAction
  | MountAction
  | FileAction
  | NetworksAction
  | UplinkAction
  | PrivilegeAction
  | PayloadAction;

/** The action of that kind. */
export type ActionOf<K extends Action["kind"]> = Extract<Action, { kind: K }>;

export interface Step {
  readonly role: Role;
  readonly phase: Phase;
  readonly action: Action;
  /** How to mend it, by the name of the errno that the kernel gave; `any` for every other. */
  readonly hints?: Readonly<Record<string, string>>;
}
