/**
 * `Host`: what this kernel, user and machine can do, as data. The probe fills it in; everything
 * between probe and run only reads it, so that a plan can be made and tested for any machine.
 */
import type { JoinedNamespaces } from "./actions/enter.js";
import type { CgroupFacts, LimitFacts } from "./host-cgroup.js";
import type { LayerFacts, RootfsFacts } from "./host-rootfs.js";
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

/** Where running sandboxes are kept track of: a directory of the caller's own that is gone with the boot. */
export type RunDirectory =
  /** Absolute. What is below `base`, which is there, may have to be made. */
  | { readonly path: string; readonly base: string }
  /** There is no place for it, and why. */
  | { readonly path: null; readonly why: string };

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

/** Whether the kernel is at least `major.minor`. */
export function kernelAtLeast(host: Pick<Host, "kernel">, major: number, minor: number): boolean {
  return host.kernel.major > major || (host.kernel.major === major && host.kernel.minor >= minor);
}
