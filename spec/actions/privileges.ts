/** Steps that take rights away: ids, capabilities, keys, system calls. What is given up here never comes back. */
import type { Capability } from "../capabilities.js";

/** The five sets of capabilities(7). */
export interface CapabilitySets {
  readonly bounding: readonly Capability[];
  readonly effective: readonly Capability[];
  readonly inheritable: readonly Capability[];
  readonly permitted: readonly Capability[];
  readonly ambient: readonly Capability[];
}

/** Flags of seccomp(2) that a plan may name. */
export type FilterFlag = `SECCOMP_FILTER_FLAG_${
  | "TSYNC"
  | "LOG"
  | "SPEC_ALLOW"
  | "NEW_LISTENER"
  | "TSYNC_ESRCH"
  | "WAIT_KILLABLE_RECV"}`;

export type PrivilegeAction =
  /** Real, effective and saved ids at once: setresgid(2), setresuid(2). */
  | { readonly kind: "setIds"; readonly uid: number; readonly gid: number }
  | { readonly kind: "setgroups"; readonly gids: readonly number[] }
  /** The kernel kills the process when its parent dies; anew after each change of ids. */
  | { readonly kind: "dieWithMonitor" }
  /** Nobody inside can trace the process or read its memory. */
  | { readonly kind: "nonDumpable" }
  /**
   * An empty session keyring, in place of the caller's with the keys in it: keyrings(7). `mayStay`: where the
   * quota of keys is used up the caller's is kept, since the payload has no system call that reaches it.
   */
  | { readonly kind: "joinKeyring"; readonly mayStay: boolean }
  | { readonly kind: "dropBounding"; readonly keep: readonly Capability[] }
  | { readonly kind: "keepCapabilities" }
  | { readonly kind: "setCapabilities"; readonly sets: CapabilitySets }
  | { readonly kind: "noNewPrivileges" }
  /**
   * Loads a filter that asks the monitor about files that are to belong to ids without one inside; it
   * lets the calls go on, and prints `message` at the end if there were any.
   */
  | { readonly kind: "watchOwners"; readonly filter: Uint8Array; readonly message: string }
  /** Loads a filter: an array of `struct sock_filter`, 8 bytes each, made from `source`. */
  | {
      readonly kind: "seccomp";
      readonly filter: Uint8Array;
      readonly source: string;
      readonly flags: readonly FilterFlag[];
      /** What it lets through because of capabilities, for people. */
      readonly permits: readonly string[];
    }
  /**
   * Sends the filter's listener to the socket at `path`, an absolute one of the host's, with a container
   * process state of the runtime-spec's config-linux.md; done when the payload has loaded the filter,
   * and before it goes on.
   */
  | {
      readonly kind: "handListener";
      readonly path: string;
      readonly metadata: string | null;
      readonly ociVersion: string;
      readonly bundle: string;
    };
