/**
 * Steps: what a plan consists of. Each is one thing that a role of the compiled program does, in
 * the words of the field; `describeStep` gives the text that `explain` prints and errors name.
 */
import type { Capability } from "./capabilities.js";
import type { Architecture } from "./host.js";
import type { LifeKeys } from "./life.js";
import type { Mapping, NamespaceType, RlimitName, TimeOffset } from "./spec.js";

/**
 * Who runs a step: the monitor outside, the init (PID 1) inside, or the payload before execve. The
 * stepper is a process of the monitor's that makes the init from within another user namespace. And of the
 * holder of the networks, where it has to be started, the keeper outside and the answerer inside.
 */
export type Role = "monitor" | "stepper" | "init" | "payload" | "keeper" | "answerer";

/** Which part of the set-up a step belongs to. The order of steps is that of launch/plan.ts. */
export type Phase =
  | "prepare"
  | "cgroup"
  | "clone"
  | "idmap"
  | "record"
  | "mounts"
  | "pivot_root"
  | "filesystems"
  | "masks"
  | "network"
  | "identity"
  | "capabilities"
  | "no_new_privs"
  | "seccomp"
  | "execve";

export type NamespaceFlag =
  | "CLONE_NEWUSER"
  | "CLONE_NEWNS"
  | "CLONE_NEWPID"
  | "CLONE_NEWNET"
  | "CLONE_NEWIPC"
  | "CLONE_NEWUTS"
  | "CLONE_NEWCGROUP";

/** mount(2) flags that a plan may name. */
export type MountFlag =
  | "MS_RDONLY"
  | "MS_NOSUID"
  | "MS_NODEV"
  | "MS_NOEXEC"
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

/** Flags that only ever take something away, and that any mount may be given. */
export type RestrictingFlag = Extract<
  MountFlag,
  "MS_RDONLY" | "MS_NOSUID" | "MS_NODEV" | "MS_NOEXEC"
>;

/** Flags of seccomp(2) that a plan may name. */
export type FilterFlag = `SECCOMP_FILTER_FLAG_${
  | "TSYNC"
  | "LOG"
  | "SPEC_ALLOW"
  | "NEW_LISTENER"
  | "TSYNC_ESRCH"
  | "WAIT_KILLABLE_RECV"}`;

/** The five sets of capabilities(7). */
export interface CapabilitySets {
  readonly bounding: readonly Capability[];
  readonly effective: readonly Capability[];
  readonly inheritable: readonly Capability[];
  readonly permitted: readonly Capability[];
  readonly ambient: readonly Capability[];
}

/** What is written down in the work directory of a kept upper: that it is one, and for `sbx diff`. */
export interface UpperRecord {
  /** The directories below it, absolute, topmost first. */
  lowers: string[];
  /** Which overlay wrote it: fuse-overlayfs may mark what is deleted by files named `.wh.NAME`. */
  overlay: "kernel" | "fuse";
}

/** Lines by the ids of another namespace; null is a line of one id, the caller's, whatever that is there. */
export interface NestedMaps {
  readonly uids: readonly Mapping[] | null;
  readonly gids: readonly Mapping[] | null;
}

/** Namespaces of somebody else's. */
export type JoinedNamespaces =
  /** Those of a running sandbox: where its record is, how that begins, and the paths of the namespaces; whose owner is to be entered, is first. */
  | {
      readonly kind: "sandbox";
      readonly name: string;
      readonly record: string;
      readonly head: string;
      readonly namespaces: readonly { readonly type: NamespaceType; readonly path: string }[];
    }
  /** A network namespace. */
  | { readonly kind: "path"; readonly path: string };

/** Where an overlay puts writes. */
export interface Upper {
  readonly path: string;
  readonly work: string;
  /** Makes both directories, `path` with this mode; null where they are there. */
  readonly mode: number | null;
  /** Nothing needs to outlast a crash. */
  readonly volatile: boolean;
}

/** A link of a sandbox's to a network. IPv4 addresses are numbers, those of IPv6 16 bytes. */
export interface Attachment {
  readonly network: string;
  /** The first is 0. */
  readonly number: number;
  /** What it is called inside. */
  readonly interface: string;
  readonly bridge: string;
  readonly gateway: number;
  readonly prefixBits: number;
  /** The first and the last address that a sandbox may have. */
  readonly first: number;
  readonly last: number;
  /** The one that was asked for. */
  readonly ip: number | null;
  readonly six: {
    readonly gateway: Uint8Array;
    readonly prefixBits: number;
    /** What the last four bytes of an address are added to, and the number of the subnet's own IPv4 address. */
    readonly base: Uint8Array;
    readonly subnet: number;
    readonly ip: Uint8Array | null;
  } | null;
  /** Null: made of the IPv4 address. */
  readonly mac: Uint8Array | null;
  /** By which the sandbox is known on this network. */
  readonly names: readonly string[];
  /** All that is not for a network goes this way. */
  readonly isDefault: boolean;
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

/** The programs that connect a network namespace with the host's network, without privileges. */
export const uplinkHelpers = ["pasta", "slirp4netns"] as const;
export type UplinkHelper = (typeof uplinkHelpers)[number];

/** Consecutive ports of the host's, forwarded to as many of the sandbox's. */
export interface PortRange {
  readonly protocol: "tcp" | "udp";
  /** Null: all addresses, of both kinds where the host has IPv6. */
  readonly hostIp: string | null;
  /** Null: one that is free, found at each start; `count` is 1 then. */
  readonly hostPort: number | null;
  readonly containerPort: number;
  readonly count: number;
}

/** A piece of a word that is put together at run time. */
export type UplinkPiece =
  | string
  /** The pid of a process in the namespaces that are to be connected, in decimal. */
  | { readonly kind: "target" }
  /** The fd of a pipe that ends with who starts the helper. */
  | { readonly kind: "starterFd" }
  /** The first host port of the range with that index. */
  | { readonly kind: "hostPort"; readonly range: number };

/** What a helper is started with, and asked for once it is ready. */
export interface Uplink {
  readonly helper: UplinkHelper;
  /** Absolute. */
  readonly program: string;
  /** Its words without the name. It says on fd 0 that it is ready. */
  readonly words: readonly (readonly UplinkPiece[])[];
  readonly ports: readonly PortRange[];
  /** Requests to its socket, each a JSON object, once it is ready. */
  readonly requests: readonly (readonly UplinkPiece[])[];
  /** Where that socket is; null where there is none. Below /proc/TARGET/root/sys, which is gone with that process. */
  readonly socket: readonly UplinkPiece[] | null;
}

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

export type Action =
  /** Connects to the monitor of a sandbox in the background; the directory is the sandbox's. */
  | { readonly kind: "connectSandbox"; readonly name: string; readonly directory: string }
  /** Executes the program of such a sandbox, and is connected to its monitor. */
  | { readonly kind: "startSandbox"; readonly name: string; readonly program: string }
  /** Goes on in a process of its own, in the background, which holds the lock of the sandbox's directory. */
  | ({ readonly kind: "detach" } & LifeKeys)
  /** Writes the init's pid to a file. */
  | { readonly kind: "writePidFile"; readonly path: string }
  /** Makes fds 0 to 2 open and closes all others but the first `preserved` after them and `statusFd`. */
  | { readonly kind: "tidyFds"; readonly preserved: number; readonly statusFd: number | null }
  /** chdir(2) to a path of the host's. */
  | { readonly kind: "chdir"; readonly path: string }
  /** Holds a lock on the directory of a volume, until the last process of the sandbox has ended. */
  | { readonly kind: "lockVolume"; readonly path: string }
  /**
   * Makes a directory below `parent` for throw-away uppers, once there is the janitor, which removes
   * it at the end. Its mode is 0700, or 0777 where root inside is not the caller.
   */
  | { readonly kind: "makeUpperStore"; readonly parent: string; readonly mode: number }
  /** Shows that directory at `target`. */
  | { readonly kind: "bindUpperStore"; readonly target: string }
  /** Opens these, and the user namespace that owns the first. */
  | { readonly kind: "openJoined"; readonly from: JoinedNamespaces }
  /** Clones mounts of the sandbox whose user and mount namespace are open, without those below them: open_tree(2). */
  | { readonly kind: "copyMounts"; readonly name: string; readonly paths: readonly string[] }
  /** Puts one of them in its place. */
  | { readonly kind: "moveMount"; readonly path: string; readonly target: string }
  /** In the stepper: enters that user namespace, and all of the others that the stepper itself may be in. */
  | { readonly kind: "enterJoined" }
  /** Lets the stepper do its steps, which make the init. */
  | { readonly kind: "startStepper" }
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
  /**
   * Clones the init, with `intoCgroup` into the sandbox's group: clone3(2). With `joinsPids` the init itself makes
   * the namespaces, while it has rights over the pid namespace that its children will be in.
   */
  | {
      readonly kind: "clone";
      readonly joinsPids?: boolean;
      readonly namespaces: readonly NamespaceFlag[];
      readonly intoCgroup: boolean;
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
    }
  /** Writes /proc/PID/{uid,gid}_map of the init; `helpers` are run to do it where given. */
  | {
      readonly kind: "mapIds";
      readonly uidMappings: readonly Mapping[];
      readonly gidMappings: readonly Mapping[];
      readonly helpers: { readonly newuidmap: string; readonly newgidmap: string } | null;
      /** The same by the ids of the user namespace that the stepper is in. */
      readonly nested?: NestedMaps;
      /** Written before the gid map where setgroups(2) must be given up for it. */
      readonly denySetgroups: boolean;
    }
  /**
   * Writes down below `directory` that the sandbox is running, under `name` or one made up, for other
   * commands to find it, while the init sets up. What cannot be written down is an
   * error only where it is `required`. `base` is there, the rest of the path is made.
   */
  | {
      readonly kind: "keepRecord";
      readonly directory: string;
      readonly base: string;
      readonly name: string | null;
      readonly required: boolean;
      /** The members of the JSON object that are known before it runs, without the braces. */
      readonly known: string;
    }
  /** From here on the monitor may write it, where it is to wait for that. */
  | { readonly kind: "askRecord" }
  /** Waits until it is written. */
  | { readonly kind: "awaitRecord" }
  /**
   * Gets the namespaces that hold the caller's networks from who keeps them, and starts that where nobody
   * does. `base` is there, the rest of the path of the run directory is made.
   */
  | { readonly kind: "openHolder"; readonly directory: string; readonly base: string }
  /** Makes these namespaces, and the process in them. */
  | { readonly kind: "holdNetworks" }
  /** setns(2) into both namespaces of the holder. */
  | { readonly kind: "enterHolder" }
  /** Puts the sandbox on a network, whose bridge is made where it is missing. */
  | ({ readonly kind: "joinNetwork" } & Attachment)
  /** Starts the way out that all networks share. */
  | ({ readonly kind: "startSharedUplink" } & Uplink)
  /** Becomes the answerer for names, which asks these IP addresses what it does not know. */
  | {
      readonly kind: "answerNames";
      readonly architecture: Architecture;
      readonly upstreams: readonly string[];
    }
  /** Takes the sandbox off a network. */
  | { readonly kind: "leaveNetwork"; readonly network: string; readonly interface: string }
  /** Removes the bridge of a network, if it is there. */
  | { readonly kind: "removeBridge"; readonly bridge: string }
  /** Loads the rules of netns/filter.ts. */
  | { readonly kind: "loadRules" }
  /** Real, effective and saved ids at once: setresgid(2), setresuid(2). */
  | { readonly kind: "setIds"; readonly uid: number; readonly gid: number }
  /** The kernel kills the process when its parent dies; anew after each change of ids. */
  | { readonly kind: "dieWithMonitor" }
  | {
      readonly kind: "unshareTime";
      readonly monotonic: Required<TimeOffset>;
      readonly boottime: Required<TimeOffset>;
    }
  /** Goes on from a copy of the program in memory that nobody can change, nor execute again. */
  | { readonly kind: "moveToMemory" }
  /** Opens the namespaces of a running sandbox, and its control group, if it is to be entered too. */
  | {
      readonly kind: "openSandbox";
      readonly name: string;
      /** Where its record is, and how that begins. */
      readonly record: string;
      readonly head: string;
      readonly namespaces: readonly { readonly type: NamespaceType; readonly path: string }[];
      readonly cgroup: string | null;
      /** The pid of its monitor, where nothing else ends the command with the sandbox. */
      readonly watched: number | null;
    }
  /** In the init: enters them all. Those that are `joined` belong to another user namespace than its own. */
  | {
      readonly kind: "enterSandbox";
      readonly namespaces: readonly NamespaceType[];
      readonly joined: readonly NamespaceType[];
    }
  /**
   * Opens the root of the sandbox that `openSandbox` has opened, for what is executed; `isAlone`: as it is without all
   * that is mounted below it.
   */
  | { readonly kind: "openRoot"; readonly isAlone: boolean }
  /** In the payload, which executes nothing, and ends with its input. */
  | { readonly kind: "awaitEnd" }
  /** Writes these files of the sandbox's to standard output: launch/lower/rootfs/read-files.ts. */
  | { readonly kind: "readFiles"; readonly paths: readonly string[] }
  /** In the init: nothing of the caller's input and output is left; the monitor ends when the payload runs. */
  | { readonly kind: "leaveCaller" }
  /** In an init outside of the pid namespace: kills the payload when the monitor ends, and reaps it. */
  | { readonly kind: "outliveMonitor" }
  /** Sends namespaces that the init has made to the monitor, who keeps them for others to enter. */
  | { readonly kind: "sendNamespaces"; readonly types: readonly ("cgroup" | "time")[] }
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
  | { readonly kind: "mountServed"; readonly target: string }
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
  | { readonly kind: "symlink"; readonly target: string; readonly path: string }
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
  | { readonly kind: "pivotRoot"; readonly newRoot: string }
  /** fchdir(2) to a path inside the root, which no link leads out of. */
  | { readonly kind: "enterWorkdir"; readonly path: string }
  | { readonly kind: "sethostname"; readonly name: string }
  | { readonly kind: "setdomainname"; readonly name: string }
  | { readonly kind: "loopbackUp" }
  /** The payload's process begins before the sandbox is there, with what takes the kernel longest. */
  | { readonly kind: "startPayload" }
  /** The payload's own network namespace, with its loopback up. */
  | { readonly kind: "makeNetwork" }
  /** The init enters it, as soon as it is made. */
  | { readonly kind: "enterNetwork" }
  /** The payload goes on once the init is done with all of its steps. */
  | { readonly kind: "awaitInit" }
  /** Finds out, by binding them, that the host's ports can be had; they are held until the helper takes them. */
  | {
      readonly kind: "reservePorts";
      readonly range: number;
      readonly ports: PortRange;
      readonly ipv6: boolean;
    }
  /** Starts what connects the sandbox's network namespace with the host's network. */
  | ({ readonly kind: "startUplink" } & Uplink)
  /** Waits until it is ready. */
  | { readonly kind: "awaitUplink"; readonly helper: UplinkHelper }
  /**
   * An empty session keyring, in place of the caller's with the keys in it: keyrings(7). `mayStay`: where the
   * quota of keys is used up the caller's is kept, since the payload has no system call that reaches it.
   */
  | { readonly kind: "joinKeyring"; readonly mayStay: boolean }
  /** Nobody inside can trace the process or read its memory. */
  | { readonly kind: "nonDumpable" }
  /** Writes to a file of a procfs, which is verified to be one, where it lies on the stage if anywhere. */
  | {
      readonly kind: "writeProc";
      readonly path: string;
      readonly staged: string | null;
      readonly text: string;
      /** Where there is no such file, there is nothing to be set. */
      readonly isOptional?: true;
    }
  /**
   * A pty from the sandbox's devpts at `pts`, or at its /dev/pts once it was entered, owned by `uid`, shown as the file `console` too;
   * `auto`: where stdin and stdout are terminals.
   */
  | {
      readonly kind: "openTerminal";
      readonly when: "auto" | "always";
      readonly uid: number;
      readonly pts: string | null;
      readonly console: string | null;
    }
  | {
      readonly kind: "setrlimit";
      readonly type: RlimitName;
      readonly soft: bigint;
      readonly hard: bigint;
    }
  | { readonly kind: "umask"; readonly mask: number }
  | { readonly kind: "setgroups"; readonly gids: readonly number[] }
  | { readonly kind: "dropBounding"; readonly keep: readonly Capability[] }
  | { readonly kind: "keepCapabilities" }
  | { readonly kind: "setCapabilities"; readonly sets: CapabilitySets }
  | { readonly kind: "noNewPrivileges" }
  /**
   * Loads a filter that asks the monitor about files that are to belong to ids without one inside; it
   * lets the calls go on, and prints `message` at the end if there were any.
   */
  | { readonly kind: "watchOwners"; readonly filter: Uint8Array; readonly message: string }
  /** Loads a filter: an array of `struct sock_filter`, 8 bytes each, made from `source`. */
  | {
      readonly kind: "seccomp";
      readonly filter: Uint8Array;
      readonly source: string;
      readonly flags: readonly FilterFlag[];
      /** What it lets through because of capabilities, for people. */
      readonly permits: readonly string[];
    }
  /**
   * Sends the filter's listener to the socket at `path`, an absolute one of the host's, with a container
   * process state of the runtime-spec's config-linux.md; done when the payload has loaded the filter,
   * and before it goes on.
   */
  | {
      readonly kind: "handListener";
      readonly path: string;
      readonly metadata: string | null;
      readonly ociVersion: string;
      readonly bundle: string;
    }
  /** Runs the program's own arguments, after `prefix`; `fallback` where it was given none. */
  | {
      readonly kind: "execve";
      readonly prefix: readonly string[];
      readonly fallback: readonly string[];
      /** `K=V` settings, and names whose values are taken from the caller at run time. */
      readonly environment: readonly string[];
      readonly inherited: readonly string[];
      readonly inheritAll: boolean;
    };

export interface Step {
  readonly role: Role;
  readonly phase: Phase;
  readonly action: Action;
  /** How to mend it, by the name of the errno that the kernel gave; `any` for every other. */
  readonly hints?: Readonly<Record<string, string>>;
}

/** What a plan tells its reader besides the steps: rungs taken, things that will not work inside. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
  /** Notes that the user must see without asking for them. */
  readonly warnings: readonly string[];
  /** The init reaps and forwards as PID 1; without it the payload is PID 1 itself. */
  readonly init: boolean;
  readonly statusFd: number | null;
  /** All ends when nobody has the other end of the status fd any more, which is a pipe. */
  readonly endsWithReader?: boolean;
  /** Of a program that `sbx compile` makes. */
  readonly standalone?: Standalone;
}

/** What a program that may be started anywhere, by anyone, tells of itself and looks at when it starts. */
export interface Standalone {
  /** What it prints for `--sbx-info`. */
  readonly info: string;
  /** Who may start it; null for anyone, whose ids are the only ones inside then. */
  readonly uid: number | null;
  /** The programs that it runs: absolute paths. */
  readonly helpers: readonly string[];
  /** The oldest kernel that the same plan would be made for. */
  readonly kernel: { readonly major: number; readonly minor: number };
}

export function assertNever(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
