/** Steps for the sandbox's control group: where it is made, what it limits, who may divide it. */

/** What is sent to systemd to start a scope, around the digits that end its name, and before that. */
export interface ScopeRequest {
  /** D-Bus Specification, "Authentication Protocol". */
  readonly greeting: Uint8Array;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** One write(2) to a file of a control group. */
export interface LimitWrite {
  readonly file: string;
  readonly text: string;
  /**
   * What is written instead where there is no such file; null where nothing has to be, since nothing
   * would be limited. Absent: that there is no such file is an error.
   */
  readonly otherwise?: LimitWrite | null;
}

export type CgroupAction =
  /** Has the user's systemd make a scope that is delegated, with the monitor in it. */
  | {
      readonly kind: "startScope";
      readonly socket: string;
      readonly slice: string;
      /** What its name begins with; random digits follow. */
      readonly stem: string;
      readonly request: ScopeRequest;
    }
  /**
   * Opens the control group that the sandbox's will be made in; the monitor's own where null. With
   * `leave` the monitor goes to a group below it, as nobody may be in a group that is divided.
   */
  | {
      readonly kind: "openCgroup";
      readonly path: string | null;
      readonly mountPoint: string;
      readonly leave: boolean;
    }
  /** Lets the groups below it have these controllers. */
  | { readonly kind: "enableControllers"; readonly controllers: readonly string[] }
  /** The sandbox's own group in it, by a name of `stem` and random digits; removed at the end. */
  | { readonly kind: "makeCgroup"; readonly stem: string }
  | ({ readonly kind: "limitCgroup" } & LimitWrite)
  /** Waits until the monitor has enabled these controllers as well, and made these writes. */
  | {
      readonly kind: "awaitLimits";
      readonly controllers: readonly string[];
      readonly writes: readonly LimitWrite[];
    }
  /** Moves the init into the sandbox's group. */
  | { readonly kind: "joinCgroup" }
  /** Makes that group the root of those that are seen inside: cgroup_namespaces(7). */
  | { readonly kind: "unshareCgroup" }
  /**
   * Leaves that group for one below it, so that it can be divided inside, and gives it to these ids of
   * the sandbox, unless they are the caller's.
   */
  | {
      readonly kind: "delegateCgroup";
      readonly owner: { readonly uid: number; readonly gid: number } | null;
    };
