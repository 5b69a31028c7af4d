/** Steps that make the root of layers: overlays, of the kernel's or of fuse-overlayfs, and where they put writes. */

/** What is written down in the work directory of a kept upper: that it is one, and for `sbx diff`. */
export interface UpperRecord {
  /** The directories below it, absolute, topmost first. */
  lowers: string[];
  /** Which overlay wrote it: fuse-overlayfs may mark what is deleted by files named `.wh.NAME`. */
  overlay: "kernel" | "fuse";
}

/** Where an overlay puts writes. */
export interface Upper {
  readonly path: string;
  readonly work: string;
  /** Makes both directories, `path` with this mode; null where they are there. */
  readonly mode: number | null;
  /** Nothing needs to outlast a crash. */
  readonly volatile: boolean;
}

/** What fuse-overlayfs is started with. */
export interface Server {
  /** fuse-overlayfs, absolute. */
  readonly program: string;
  /** Absolute, topmost first. */
  readonly lowers: readonly string[];
  /** Paths inside the last layer that are shown empty, with their modes. */
  readonly hidden: readonly (readonly [path: string, mode: number])[];
  /**
   * `tmpfs`: a new directory in memory. `kept`: a directory, and the work directory beside it.
   */
  readonly upper:
    | { readonly kind: "tmpfs"; readonly mode: number; readonly sizeBytes: number | null }
    | { readonly kind: "kept"; readonly path: string }
    | null;
  /** Show every file as root's. */
  readonly squash: boolean;
}

export type LayerAction =
  /**
   * Makes a directory below `parent` for throw-away uppers, once there is the janitor, which removes
   * it at the end. Its mode is 0700, or 0777 where root inside is not the caller.
   */
  | { readonly kind: "makeUpperStore"; readonly parent: string; readonly mode: number }
  /** Shows that directory at `target`. */
  | { readonly kind: "bindUpperStore"; readonly target: string }
  /**
   * Makes the directories of a kept upper where they are missing, `path` with `mode`, and locks it
   * until the sandbox is gone.
   */
  | {
      readonly kind: "openUpper";
      readonly path: string;
      readonly record: UpperRecord;
      readonly work: string;
      readonly mode: number;
    }
  /** Opens a directory as `fd`, for an overlay to name it by. */
  | { readonly kind: "openLayer"; readonly path: string; readonly fd: number }
  /** Closes what `openLayer` opened. */
  | { readonly kind: "closeLayers"; readonly first: number; readonly last: number }
  /**
   * One view of `lowers`, topmost first, and of `upper`, which takes the writes. Names are relative
   * to the working directory. Makes `target`.
   */
  | {
      readonly kind: "overlay";
      readonly lowers: readonly string[];
      readonly upper: Upper | null;
      readonly target: string;
    }
  /**
   * Starts fuse-overlayfs outside, in a user namespace of its own with the same ids, so that nobody
   * inside has rights over it; waits until it has its layers.
   */
  | ({ readonly kind: "serveOverlay" } & Server)
  /** Mounts the filesystem that fuse-overlayfs serves. */
  | { readonly kind: "mountServed"; readonly target: string };
