/** Steps that make a sandbox's namespaces and give them ids, names and clocks. */
import type { Mapping, TimeOffset } from "../spec.js";

export type NamespaceFlag =
  | "CLONE_NEWUSER"
  | "CLONE_NEWNS"
  | "CLONE_NEWPID"
  | "CLONE_NEWNET"
  | "CLONE_NEWIPC"
  | "CLONE_NEWUTS"
  | "CLONE_NEWCGROUP";

/** Lines by the ids of another namespace; null is a line of one id, the caller's, whatever that is there. */
export interface NestedMaps {
  readonly uids: readonly Mapping[] | null;
  readonly gids: readonly Mapping[] | null;
}

export type NamespaceAction =
  /**
   * Clones the init, with `intoCgroup` into the sandbox's group: clone3(2). With `joinsPids` the init itself makes
   * the namespaces, while it has rights over the pid namespace that its children will be in.
   */
  | {
      readonly kind: "clone";
      readonly joinsPids?: boolean;
      readonly namespaces: readonly NamespaceFlag[];
      readonly intoCgroup: boolean;
    }
  /** Writes /proc/PID/{uid,gid}_map of the init; `helpers` are run to do it where given. */
  | {
      readonly kind: "mapIds";
      readonly uidMappings: readonly Mapping[];
      readonly gidMappings: readonly Mapping[];
      readonly helpers: { readonly newuidmap: string; readonly newgidmap: string } | null;
      /** The same by the ids of the user namespace that the stepper is in. */
      readonly nested?: NestedMaps;
      /** Written before the gid map where setgroups(2) must be given up for it. */
      readonly denySetgroups: boolean;
    }
  | {
      readonly kind: "unshareTime";
      readonly monotonic: Required<TimeOffset>;
      readonly boottime: Required<TimeOffset>;
    }
  /** Sends namespaces that the init has made to the monitor, who keeps them for others to enter. */
  | { readonly kind: "sendNamespaces"; readonly types: readonly ("cgroup" | "time")[] }
  | { readonly kind: "sethostname"; readonly name: string }
  | { readonly kind: "setdomainname"; readonly name: string };
