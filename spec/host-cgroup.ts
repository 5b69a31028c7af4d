/** What is told of control groups: where one can be made, and what can be limited. */

/** `hybrid`: version 1 with the controllers, and version 2 beside it without them. */
export type CgroupMode = "v2" | "hybrid" | "v1" | "none";

/** What was read of one group of version 2. */
export interface CgroupDirectory {
  /** Absolute, as the host shows it. */
  readonly path: string;
  /** The caller may write to it, to its cgroup.procs and to its cgroup.subtree_control. */
  readonly writable: boolean;
  /** What it may give on to groups below it: cgroup.controllers. */
  readonly controllers: readonly string[];
  /** Nobody is in it, or only who starts the sandbox: groups below it may get controllers. */
  readonly isVacant: boolean;
}

/** Where systemd is spoken to: over the user's bus, or by the socket that systemctl(1) uses. */
export interface ManagerSocket {
  readonly path: string;
  readonly kind: "bus" | "private";
}

/** What there is of control groups: cgroups(7). */
export interface CgroupFacts {
  readonly mode: CgroupMode;
  /** Where version 2 is mounted; null where it is not. */
  readonly mountPoint: string | null;
  /** The controllers that version 1 holds, so that version 2 lacks them. */
  readonly v1Controllers: readonly string[];
  /** Who is in a cgroup namespace cannot change the limits of its root: `nsdelegate`. */
  readonly guardsLimits: boolean;
  /** The caller's group, and those above it that systemd does not keep for itself; nearest first. */
  readonly own: readonly CgroupDirectory[];
  /** The group that was named to make the sandbox's below; null where none was, or it is not there. */
  readonly parent: CgroupDirectory | null;
  /** The user's systemd; null where it does not run, or is not reached. */
  readonly manager: {
    readonly socket: ManagerSocket;
    /** Its own group, absolute. */
    readonly path: string;
    /** The controllers that are delegated to it. */
    readonly controllers: readonly string[];
  } | null;
}

/** What limits depend on. */
export interface LimitFacts {
  /** The machine swaps: /proc/swaps names something. */
  readonly hasSwap: boolean;
  /** Those online, as lists such as `0-3,7`. */
  readonly cpus: string;
  readonly mems: string;
  /**
   * The devices that limits name, each as `8:1`, and the whole disk that it is of, itself where it is one; null where
   * there is no such device.
   */
  readonly disks: Readonly<Record<string, string | null>>;
  /** The files that this kernel's groups have of each controller, by its name; without those that cannot be seen. */
  readonly files: Readonly<Record<string, readonly string[]>>;
}
