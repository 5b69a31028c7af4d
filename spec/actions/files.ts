/** Steps that make directories and files, write to them, and go to them. */

export type FileAction =
  /** A directory and its parents; one that is there already is left as it is, but where it `isNew`. */
  | {
      readonly kind: "mkdir";
      readonly path: string;
      readonly mode: number;
      readonly isNew?: true;
    }
  /** An empty file to mount on; the same holds for one that is there already. */
  | {
      readonly kind: "touch";
      readonly path: string;
      readonly mode: number;
      readonly isNew?: true;
    }
  /** A file of that text, where there is none. */
  | {
      readonly kind: "makeFile";
      readonly path: string;
      readonly mode: number;
      readonly text: string;
    }
  | { readonly kind: "symlink"; readonly target: string; readonly path: string }
  /**
   * Adds a line of hosts(5) to the file for each address that packets `towards` these would come from, with
   * `names`, separated by blanks; that of the loopback where there is none.
   */
  | {
      readonly kind: "nameOwnAddress";
      readonly path: string;
      readonly towards: readonly string[];
      readonly names: string;
    }
  /** Writes to a file of a procfs, which is verified to be one, where it lies on the stage if anywhere. */
  | {
      readonly kind: "writeProc";
      readonly path: string;
      readonly staged: string | null;
      readonly text: string;
      /** Where there is no such file, there is nothing to be set. */
      readonly isOptional?: true;
    }
  /** chdir(2) to a path of the host's. */
  | { readonly kind: "chdir"; readonly path: string }
  /** fchdir(2) to a path inside the root, which no link leads out of. */
  | { readonly kind: "enterWorkdir"; readonly path: string };
