/**
 * `Host`: what this kernel, user and machine can do, as data. The probe fills it in; everything
 * between probe and run only reads it, so that a plan can be made and tested for any machine.
 */
import type { JoinedNamespaces } from "./actions/enter.js";
import type { Network } from "./network.js";
import type { JoinKeys, Mapping, Spec } from "./spec.js";

/** Architectures by the names that uname(2) gives them. */
export type Architecture = "x86_64" | "aarch64";

/** `size` consecutive ids from `start`, ids as the caller's user namespace numbers them. */
export interface IdRange {
  readonly start: number;
  readonly size: number;
}

/** newuidmap or newgidmap, as found in PATH. */
export interface IdHelper {
  readonly path: string;
  /** The set-user-ID bit and owner root. False may still mean file capabilities, as on Fedora. */
  readonly setuidRoot: boolean;
}

/** One line of /proc/self/mountinfo, see proc_pid_mountinfo(5). */
export interface HostMount {
  readonly mountPoint: string;
  readonly type: string;
  /** Per-mount options: `ro`, `nosuid`, `nodev`, `noexec`, `relatime` and so on. */
  readonly options: readonly string[];
}

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

/** Where running sandboxes are kept track of: a directory of the caller's own that is gone with the boot. */
export type RunDirectory =
  /** Absolute. What is below `base`, which is there, may have to be made. */
  | { readonly path: string; readonly base: string }
  /** There is no place for it, and why. */
  | { readonly path: null; readonly why: string };

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

/** What connects a network namespace with the host's network, as far as this machine has it. */
export interface UplinkFacts {
  /** As found in PATH, with those of its options that not every version has. */
  readonly pasta: { readonly path: string; readonly options: readonly PastaOption[] } | null;
  readonly slirp4netns: { readonly path: string } | null;
  /** /dev/net/tun may be opened for reading and writing. */
  readonly tun: boolean;
  /** The kernel has IPv6. */
  readonly ipv6: boolean;
  /** Default routes: of IPv4 by its gateway, 0.0.0.0 for one that has none. */
  readonly routes: { readonly ipv4: string | null; readonly ipv6: boolean };
}

/** Options that passt got after the version of Debian 12 (2023-03). */
export const pastaOptions = ["map-guest-addr", "host-lo-to-ns-lo"] as const;
export type PastaOption = (typeof pastaOptions)[number];
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

/** The id maps of a user namespace that another one is made in, with ids of the caller's own as hostID. */
export interface ParentIds {
  readonly uidMappings: readonly Mapping[];
  readonly gidMappings: readonly Mapping[];
  /** setgroups(2) is given up there, and so in every one below it. */
  readonly denySetgroups: boolean;
}

/** A running sandbox of which another one joins namespaces. */
export interface JoinedSandbox {
  readonly name: string;
  readonly spec: Spec;
  readonly types: readonly ("network" | JoinKeys["namespaces"][number])[];
  readonly from: JoinedNamespaces;
  /** Those of its filesystems that the other one is to show, by where they are mounted. */
  readonly copies: readonly string[];
  /** Of the user namespace that these belong to; null where they are not known. */
  readonly ids: ParentIds | null;
}

/** Everything a plan depends on besides the spec. */
export interface Host {
  readonly architecture: Architecture;
  readonly kernel: { readonly release: string; readonly major: number; readonly minor: number };
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    /** Null where the uid has no entry in the user database. */
    readonly name: string | null;
    /** Home directory, absolute. */
    readonly home: string;
  };
  /** May write any id map: real root, holding CAP_SETUID and CAP_SETGID. */
  readonly mapsAnyId: boolean;
  /** The subordinate ids of the caller, in file order, without overlaps. */
  readonly subuids: readonly IdRange[];
  readonly subgids: readonly IdRange[];
  /**
   * The first id from 100000 on that is above every range of /etc/subuid, or of /etc/subgid, whoever
   * has it: where a range for one more user can begin.
   */
  readonly freeSubids: { readonly uid: number; readonly gid: number };
  /** The ids that exist in the caller's own user namespace: /proc/self/uid_map and gid_map. */
  readonly namespaceIds: { readonly uids: readonly IdRange[]; readonly gids: readonly IdRange[] };
  /** setgroups(2) is given up in the caller's own user namespace, and so in every one below it. */
  readonly setgroupsDenied: boolean;
  /** The caller's no_new_privs, see prctl(2): set-user-ID programs gain no rights. */
  readonly noNewPrivileges: boolean;
  readonly seccomp: {
    /** The actions that filters may take, by the kernel's names; null where it does not say. */
    readonly actions: readonly string[] | null;
    /** A filter is around the caller already: of a container, or of an outer sandbox. */
    readonly isFiltered: boolean;
  };
  readonly newuidmap: IdHelper | null;
  readonly newgidmap: IdHelper | null;
  /** Each is null where the kernel has no such setting. */
  readonly userNamespaces: {
    /** /proc/sys/user/max_user_namespaces */
    readonly max: number | null;
    /** /proc/sys/kernel/unprivileged_userns_clone (Debian and Ubuntu kernels) */
    readonly unprivilegedClone: boolean | null;
    /** /proc/sys/kernel/apparmor_restrict_unprivileged_userns (Ubuntu 23.10 and later) */
    readonly apparmorRestricted: boolean | null;
  };
  readonly mounts: readonly HostMount[];
  /** The machine's own name and files of /etc; a text is empty where there is no such file. */
  readonly etc: {
    readonly hostname: string;
    readonly hosts: string;
    readonly resolvConf: string;
    /** What systemd-resolved asks itself, where resolvConf names its stub: systemd-resolved.service(8). */
    readonly resolvConfBehindStub: string;
    readonly machineId: string;
    /** The file that /etc/localtime leads to, absolute; null where there is none. */
    readonly localtime: string | null;
  };
  readonly rootfs: RootfsFacts;
  /** The layers above the rootfs, topmost first. */
  readonly lowers: readonly LayerFacts[];
  /** The first mount strictly inside the rootfs or a layer above it; null where there is none. */
  readonly mountInLayer: { readonly mountPoint: string; readonly layer: string } | null;
  /** The directory that keeps what is written, absolute and without links; it need not be there yet. */
  readonly upper: string | null;
  readonly cgroup: CgroupFacts;
  readonly fuse: {
    /** /dev/fuse may be opened for reading and writing. */
    readonly device: boolean;
    /** fuse-overlayfs, as found in PATH. */
    readonly overlayfs: string | null;
  };
  /** Null where nothing is to be limited. */
  readonly limits: LimitFacts | null;
  /** Those of `sbx network create` that the sandbox is to be on. */
  readonly networks: readonly Network[];
  readonly uplinks: UplinkFacts;
  /** A private directory on disk where a throw-away upper may be made. */
  readonly upperStore: string;
  readonly run: RunDirectory;
  /** Null where no sandbox is joined. */
  readonly joined: JoinedSandbox | null;
}

/** Where the files of /etc lie that can be told. */
export function placesOf({ etc }: RootfsFacts): Place[] {
  return Object.values(etc).filter((place) => place !== null);
}

/** Whether the kernel is at least `major.minor`. */
export function kernelAtLeast(host: Pick<Host, "kernel">, major: number, minor: number): boolean {
  return host.kernel.major > major || (host.kernel.major === major && host.kernel.minor >= minor);
}
