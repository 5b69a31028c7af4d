/** Steps into what a running sandbox has: for one more command in it, and for a sandbox that shares namespaces with it. */
import type { NamespaceType } from "../spec.js";

/** A running sandbox, as it was found. */
export interface RunningSandbox {
  readonly name: string;
  /** Where its record is, and how that begins: another sandbox may have the name by the time that it is opened. */
  readonly record: string;
  readonly head: string;
  /** What is entered, by paths. */
  readonly namespaces: readonly { readonly type: NamespaceType; readonly path: string }[];
}

/** Namespaces of somebody else's. */
export type JoinedNamespaces =
  /** Of the namespaces the one whose owner is to be entered is first. */
  | ({ readonly kind: "sandbox" } & RunningSandbox)
  /** A network namespace. */
  | { readonly kind: "path"; readonly path: string };

export type EnterAction =
  /** Goes on from a copy of the program in memory that nobody can change, nor execute again. */
  | { readonly kind: "moveToMemory" }
  /** Opens the namespaces of a running sandbox, and its control group, if it is to be entered too. */
  | ({
      readonly kind: "openSandbox";
      readonly cgroup: string | null;
      /** The pid of its monitor, where nothing else ends the command with the sandbox. */
      readonly watched: number | null;
    } & RunningSandbox)
  /** In the init: enters them all. Those that are `joined` belong to another user namespace than its own. */
  | {
      readonly kind: "enterSandbox";
      readonly namespaces: readonly NamespaceType[];
      readonly joined: readonly NamespaceType[];
    }
  /**
   * Opens the root of the sandbox that `openSandbox` has opened, for what is executed; `isAlone`: as it is without all
   * that is mounted below it.
   */
  | { readonly kind: "openRoot"; readonly isAlone: boolean }
  /** Writes these files of the sandbox's to standard output: launch/lower/rootfs/read-files.ts. */
  | { readonly kind: "readFiles"; readonly paths: readonly string[] }
  /** In the payload, which executes nothing, and ends with its input. */
  | { readonly kind: "awaitEnd" }
  /** In the init: nothing of the caller's input and output is left; the monitor ends when the payload runs. */
  | { readonly kind: "leaveCaller" }
  /** In an init outside of the pid namespace: kills the payload when the monitor ends, and reaps it. */
  | { readonly kind: "outliveMonitor" }
  /** Opens these, and the user namespace that owns the first. */
  | { readonly kind: "openJoined"; readonly from: JoinedNamespaces }
  /** Lets the stepper do its steps, which make the init. */
  | { readonly kind: "startStepper" }
  /** In the stepper: enters that user namespace, and all of the others that the stepper itself may be in. */
  | { readonly kind: "enterJoined" }
  /** Clones mounts of the sandbox whose user and mount namespace are open, without those below them: open_tree(2). */
  | { readonly kind: "copyMounts"; readonly name: string; readonly paths: readonly string[] }
  /** Puts one of them in its place. */
  | { readonly kind: "moveMount"; readonly path: string; readonly target: string };
