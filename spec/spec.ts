/**
 * `Spec`: what a sandbox should be. It is the OCI runtime-spec's configuration object (v1.2,
 * config.md and config-linux.md), field names as spelled there, plus sbx's own keys under `sbx`
 * for what OCI has no word for.
 */
import type { Capability } from "./capabilities.js";
import type { LifeKeys } from "./life.js";
import type { NetworkKeys } from "./network.js";
import type { CgroupKeys, Resources } from "./resources.js";

/** A line of an id map: `size` ids from `containerID` inside are those from `hostID` outside. */
export interface Mapping {
  containerID: number;
  hostID: number;
  size: number;
}

export const rlimitNames = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
] as const;
/** In the order of their numbers, see getrlimit(2). */
export type RlimitName = (typeof rlimitNames)[number];

/** RLIM_INFINITY, see getrlimit(2). */
export const rlimInfinity = (1n << 64n) - 1n;

export interface Rlimit {
  type: RlimitName;
  /** Units as getrlimit(2) has them; `"unlimited"` is RLIM_INFINITY. */
  soft: number | "unlimited";
  hard: number | "unlimited";
}

export interface User {
  uid: number;
  gid: number;
  /** Mode bits to clear, 0 to 0o777. */
  umask?: number;
  additionalGids?: number[];
}

export interface Process {
  /** True: always a pty. False: never. Absent: a pty where stdin and stdout are terminals. */
  terminal?: boolean;
  /** Absent where `sbx.user` names the user instead. */
  user?: User;
  /** The command that runs where the program is given none as its own arguments. */
  args: string[];
  /** `K=V` settings. */
  env: string[];
  /** Absolute path inside. Absent: the user's home where it exists. */
  cwd: string;
  capabilities?: {
    bounding?: Capability[];
    effective?: Capability[];
    inheritable?: Capability[];
    permitted?: Capability[];
    ambient?: Capability[];
  };
  rlimits?: Rlimit[];
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
}

export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export const namespaceTypes = [
  "user",
  "mount",
  "pid",
  "network",
  "ipc",
  "uts",
  "cgroup",
  "time",
] as const;
export type NamespaceType = (typeof namespaceTypes)[number];

/** Seconds and nanoseconds that a clock inside is ahead of the host's. */
export interface TimeOffset {
  secs: number;
  nanosecs?: number;
}

export interface Linux {
  /** A namespace that is not listed is shared with the host. */
  namespaces: { type: NamespaceType }[];
  /** Explicit maps, with ids of the caller's own namespace as hostID. Absent: see `sbx.userns`. */
  uidMappings?: Mapping[];
  gidMappings?: Mapping[];
  timeOffsets?: { monotonic?: TimeOffset; boottime?: TimeOffset };
  sysctl?: Record<string, string>;
  resources?: Resources;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  /**
   * The profile of the system-call filter, in OCI's form or moby's: see seccomp/profile.ts, which
   * checks it. Integers may be bigints. Absent: see `sbx.seccomp`.
   */
  seccomp?: Record<string, unknown>;
}

/** How ids are mapped where no explicit map is given. */
export type UsernsMode =
  /** The caller is root inside, the subordinate ids follow from 1; `single` where there are none. */
  | { mode: "auto" }
  /** Only the caller, as root inside. */
  | { mode: "single" }
  /** The caller keeps its ids inside, or has those named here; the others are subordinate ids. */
  | { mode: "keep-id"; uid?: number; gid?: number }
  /** Only subordinate ids: the caller has no id inside. */
  | { mode: "nomap" };

/** Files of /etc that a sandbox has of its own, over those of the rootfs. */
export interface EtcFiles {
  /** False: the rootfs's /etc/hosts stays. */
  hosts: boolean;
  /** Lines of /etc/hosts besides the usual ones: an IP address or `host-gateway`, and a name for it. */
  addHosts: { address: string; name: string }[];
}

/** The kernel's overlay, fuse-overlayfs, or a bind that cannot be written to. */
export const overlayKinds = ["kernel", "fuse", "none"] as const;
export type OverlayKind = (typeof overlayKinds)[number];

/** What can be another sandbox's besides its network. */
export const joinableTypes = ["pid", "ipc", "uts"] as const satisfies NamespaceType[];

/** Namespaces of a running sandbox of the caller's, by name, in place of own ones: `linux.namespaces` lists none of them. */
export interface JoinKeys {
  sandbox: string;
  namespaces: (typeof joinableTypes)[number][];
}

/** What OCI has no word for. */
export interface SbxKeys {
  userns: UsernsMode;
  /** By which other commands know the sandbox while it runs. Absent: one is made up at each start. */
  name?: string;
  /** Absent: it is gone when its command ends, and nothing of it is kept. */
  life?: LifeKeys;
  /** Absent: only a loopback, or the host's network where that is not private. */
  network?: NetworkKeys;
  /** Absent: what `linux.namespaces` does not list is this machine's. */
  join?: JoinKeys;
  /** Absent: no control group of its own where nothing is limited. */
  cgroup?: CgroupKeys;
  /** `name|uid[:group|gid]`, resolved in the rootfs's own passwd and group files. */
  user?: string;
  /** Mode bits to clear, 0 to 0o777. Absent: those of `process.user`, else the caller's. */
  umask?: number;
  /** On top of, and taken from, the default set: names as in capabilities(7), or `ALL`. */
  capAdd?: string[];
  capDrop?: string[];
  /** Directories above `root.path` that are seen as one with it, topmost first. */
  lowers?: string[];
  /** The filter where there is no `linux.seccomp`: the default profile's, or none. */
  seccomp: "default" | "unconfined";
  /** The file that `linux.seccomp` was read from, by which errors and `explain` call it. */
  seccompFile?: string;
  /** Whether a filter lets the ioctl(2) requests through that type into a terminal. Absent: no. */
  terminalInjection?: boolean;
  /** Where writes to the rootfs go. `root.readonly` refuses them instead. */
  writes: "throw-away" | "in-place" | "upper";
  /** With `writes: "upper"`: the directory that keeps them. Its work directory is beside it, with `.work` added. */
  upper?: string;
  /** The most that throw-away writes may take of memory. */
  upperSizeBytes?: number;
  /** How layers are joined; the first that can be had where absent. */
  overlay?: OverlayKind;
  /** Directories of volumes: each is locked while the sandbox lives, against its removal. */
  volumes?: { path: string }[];
  /** Absent: all files are the rootfs's. */
  etcFiles?: EtcFiles;
  /** Runs before the command's own words; OCI images call it Entrypoint. */
  entrypoint: string[];
  /** Names of variables that are taken from the caller's environment where they are set there. */
  inheritEnv: string[];
  /** All of the caller's environment is taken. */
  inheritAllEnv: boolean;
  /** A PID 1 of sbx's own that reaps and forwards. */
  init: boolean;
  /** How many fds from 3 on reach the payload. */
  preserveFds: number;
  /** The fd on which set-up and exit are told as JSON lines. */
  statusFd?: number;
}

export interface Spec {
  ociVersion: string;
  process: Process;
  root: { path: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  /** Labels. */
  annotations?: Record<string, string>;
  mounts: Mount[];
  linux: Linux;
  sbx: SbxKeys;
}
