/** Steps that mount on the new root, hide what is in it, and make it the root. */

/** Flags that only ever take something away, and that any mount may be given. */
export type RestrictingFlag = "MS_RDONLY" | "MS_NOSUID" | "MS_NODEV" | "MS_NOEXEC";

/** mount(2) flags that a plan may name. */
export type MountFlag =
  | RestrictingFlag
  | "MS_REMOUNT"
  | "MS_NOATIME"
  | "MS_NODIRATIME"
  | "MS_BIND"
  | "MS_REC"
  | "MS_PRIVATE"
  | "MS_SLAVE"
  | "MS_SHARED"
  | "MS_RELATIME"
  | "MS_STRICTATIME";

export type MountAction =
  /** Holds a lock on the directory of a volume, until the last process of the sandbox has ended. */
  | { readonly kind: "lockVolume"; readonly path: string }
  | {
      readonly kind: "mount";
      readonly source: string;
      readonly target: string;
      readonly type: string | null;
      readonly flags: readonly MountFlag[];
      readonly data: string;
      /** Where in the sandbox it will be, if it is put together on the stage. */
      readonly destination?: string;
    }
  /** Adds flags to the mount at `target`, and with `recursive` to every mount below it: mount_setattr(2). */
  | {
      readonly kind: "addMountFlags";
      readonly target: string;
      readonly flags: readonly RestrictingFlag[];
      readonly recursive: boolean;
    }
  /** The same for one mount on kernels before 5.12, which have no mount_setattr(2). */
  | {
      readonly kind: "remount";
      readonly target: string;
      readonly flags: readonly RestrictingFlag[];
    }
  /** Opens what later steps start from: the new root, the host's /dev/null, verified, and a verified procfs. */
  | { readonly kind: "openAnchors"; readonly newRoot: string }
  /** Opens the source of a bind, by a path of the host's, for the `bindSource` of the same number. */
  | { readonly kind: "openSource"; readonly number: number; readonly path: string }
  /** Binds that source on `target`, which is made: a directory or a file, as the source is. */
  | {
      readonly kind: "bindSource";
      readonly number: number;
      readonly path: string;
      readonly target: string;
      readonly recursive: boolean;
      /** Where in the sandbox it will be. */
      readonly destination: string;
    }
  /** Gives the directory or file mounted at `target`, and all below it, to these ids of the sandbox. */
  | {
      readonly kind: "chownTree";
      readonly path: string;
      readonly target: string;
      readonly uid: number;
      readonly gid: number;
    }
  /** Moves what is mounted at `staged` to a path inside the new root, which is made where it is missing. */
  | {
      readonly kind: "attach";
      readonly staged: string;
      readonly path: string;
      /** What people asked for, or know it by. */
      readonly what: string;
    }
  /**
   * Hides a file behind /dev/null and a directory behind an empty tmpfs; what is absent is passed over,
   * unless it is `required`. The path is one inside the new root; where it lies in a mount that is
   * still staged, `staged` is where.
   */
  | {
      readonly kind: "mask";
      readonly path: string;
      readonly staged: string | null;
      readonly required: boolean;
    }
  /** Makes what lies at the path read-only; what is absent is passed over. Put together at `scratch`. */
  | {
      readonly kind: "readonlyPath";
      readonly path: string;
      readonly staged: string | null;
      readonly scratch: string;
    }
  /** Changes the root, and lets go of the old one. */
  | { readonly kind: "pivotRoot"; readonly newRoot: string };
