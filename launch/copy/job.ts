/** What is done on one side of a copy. It reaches the process on the sandbox's side as JSON. Paths are text. */

/** Writes what is at `path` as a tar archive, in which it is called `name`, what is below it `name/…`. */
export interface Pack {
  readonly kind: "pack";
  readonly path: string;
  readonly name: string;
  /** What a link at `path` leads to, not the link. A slash at the end says the same. */
  readonly follow: boolean;
  /** Times of less than a second, which not every reader of archives knows, and which take a header more. */
  readonly precise: boolean;
}

/** Reads a tar archive. */
export interface Unpack {
  readonly kind: "unpack";
  readonly path: string;
  /**
   * What the archive's first entry is to be called in `path` where that is a directory, as cp(1) has it; null
   * where all is to be put into the directory `path`, which must be there. `contents`: as the directory itself.
   */
  readonly as: { readonly name: string } | "contents" | null;
  /** What is in the way is removed, even a directory for a file. */
  readonly overwrite: boolean;
  /** Owners, and the bits set-user-ID and set-group-ID, are those of the archive; else the process's own. */
  readonly keepsOwners: boolean;
}

export type Job = Pack | Unpack;
