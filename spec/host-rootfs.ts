/** What is told of a rootfs, and of the layers above it. */

/** An entry of a directory, `type` being what lstat says. */
export interface DirectoryEntry {
  readonly name: string;
  readonly type: "directory" | "file" | "symlink" | "other";
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  /** The target of a symbolic link, else absent. */
  readonly target?: string;
  /** Whether the caller may list (directory) or read (file) it. */
  readonly readable: boolean;
}

/** Files of /etc that a sandbox has of its own; the last two only where the rootfs lacks them. */
export const etcFileNames = [
  "hosts",
  "resolv.conf",
  "hostname",
  "machine-id",
  "localtime",
] as const;
export type EtcFileName = (typeof etcFileNames)[number];

/** Where a path of a rootfs leads, symbolic links meaning what they would inside. */
export interface Place {
  /** Absolute, inside, without links. */
  readonly path: string;
  readonly type: "directory" | "file" | "absent";
  /** Where nothing is there: the owner of the directory that it would have to be made in. */
  readonly owner?: number;
}

/** What was read of a rootfs before the sandbox is planned. */
export interface RootfsFacts {
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** Permission bits of the directory itself, 0 to 0o7777. */
  readonly mode: number;
  /** The text of its /etc/passwd and /etc/group, or null where there is none that can be read. */
  readonly passwd: string | null;
  readonly group: string | null;
  /** Where its own files of /etc lie or would lie; null where that cannot be told, as in a loop of links. */
  readonly etc: Readonly<Record<EtcFileName, Place | null>>;
  /**
   * The entries of the directories that a copy of the host's root has to be put together from:
   * `/` and every directory with a mount below it, by absolute path. Empty for any other rootfs.
   */
  readonly directories: Readonly<Record<string, readonly DirectoryEntry[]>>;
  /** Directories of the host's root that anyone may write to, besides /tmp. Empty for any other rootfs. */
  readonly scratch: readonly string[];
  /** Which of /tmp, /run and /var/tmp it has. */
  readonly volatile: readonly string[];
}

/** A directory that lies above the rootfs in an overlay. */
export interface LayerFacts {
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
}

/** Where the files of /etc lie that can be told. */
export function placesOf({ etc }: RootfsFacts): Place[] {
  return Object.values(etc).filter((place) => place !== null);
}
