/**
 * Spec + Host → Plan. The order of set-up is the order on this page; a reviewer reads it first.
 */

import { planLoopback } from "../netns/loopback.js";
import { planDevices } from "../rootfs/devices.js";
import { planMasks } from "../rootfs/masks.js";
import { planMounts } from "../rootfs/mounts.js";
import { newRoot, planRoot } from "../rootfs/root.js";
import { rlimInfinity } from "../spec/describe.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { NamespaceType, Rlimit, Spec } from "../spec/spec.js";
import type { Action, NamespaceFlag, Phase, Plan, Role, Step } from "../spec/step.js";
import { capabilitySets } from "../userns/capabilities.js";
import { hostIdOf, planIdMaps } from "../userns/idmap.js";
import { requireMapped } from "../userns/mapped.js";
import { resolveUser } from "../userns/passwd.js";
import { type Blocker, userNamespaceBlocker } from "./blocker.js";

type Hints = Readonly<Record<string, string>>;

/** Throws an `SbxError` for what can be seen to be impossible on this host. */
export function plan(spec: Spec, host: Host): Plan {
  const blocker = userNamespaceBlocker(host);
  if (blocker?.certain === true) fail("create a user namespace", blocker.why, blocker.hint);

  const own = (type: NamespaceType) => spec.linux.namespaces.some((n) => n.type === type);
  const maps = planIdMaps(spec, host);
  const resolved = resolveUser(requestedUser(spec, host), host.rootfs.passwd, host.rootfs.group);
  const { user, notes: userNotes } = requireMapped(
    { ...resolved, additionalGids: spec.process.user?.additionalGids ?? resolved.additionalGids },
    maps,
  );
  const sets = {
    ...capabilitySets({ add: spec.sbx.capAdd ?? [], drop: spec.sbx.capDrop ?? [], uid: user.uid }),
    ...spec.process.capabilities,
  };
  const root = planRoot(spec, host, hostIdOf(maps.uidMappings, 0) === host.user.uid);
  const mounts = planMounts(spec, host, (gid) => hostIdOf(maps.gidMappings, gid) !== null);
  const { preserveFds: preserved, statusFd = null } = spec.sbx;

  const steps: Step[] = [
    // Before anything is opened: what the caller left open must not be inherited by any part of it.
    step(
      "monitor",
      "prepare",
      { kind: "tidyFds", preserved, statusFd },
      {
        EBADF:
          "That file descriptor is not open: open it for sbx (N<file), or correct --preserve-fds or --status-fd",
      },
    ),
    // The rootfs is found as the caller, with the caller's rights and the caller's view.
    ...root.prepare,

    // All at once, so that the user namespace owns the others.
    step(
      "monitor",
      "clone",
      { kind: "clone", namespaces: namespaceFlags(own) },
      cloneHints(blocker),
    ),
    // From outside, since only the caller's own uid may be mapped from within.
    step("monitor", "idmap", { kind: "mapIds", ...maps }, mapHints(host)),

    // The init's files shall belong to the sandbox's root, or, where that has no id, to the user:
    // nothing can be made by an id without one (EOVERFLOW). Ids first, as changing them takes back
    // the request to die with the monitor.
    step("init", "idmap", {
      kind: "setIds",
      uid: maps.rootMapped ? 0 : user.uid,
      gid: maps.rootMapped ? 0 : user.gid,
    }),
    step("init", "idmap", { kind: "dieWithMonitor" }),
    ...timeSteps(spec),

    // Outside paths end at pivot_root: sources are named before it, destinations after it.
    ...explainBlocked(root.mounts, blocker),
    step("init", "pivot_root", { kind: "pivotRoot", newRoot }),
    ...mounts.steps,
    // On the /dev that has just been mounted.
    ...planDevices(),
    // Last use of the host's mounts.
    step("init", "filesystems", { kind: "detachOldRoot" }),

    ...nameSteps(spec),
    ...planLoopback(spec),
    // Writes below /proc/sys come before it is made read-only.
    ...sysctlSteps(spec),
    ...oomSteps(spec),
    // Over the mounts they protect.
    ...planMasks(spec),
    ...terminalSteps(spec, user),
    ...umaskSteps(spec),
    step(
      "init",
      "identity",
      { kind: "joinKeyring" },
      {
        EDQUOT: "Your quota of keys is used up: see /proc/key-users",
      },
    ),
    // After the last write to /proc/self, whose files then belong to nobody inside.
    step("init", "identity", { kind: "nonDumpable" }),

    // The rest is the payload's own: it is no longer the init that does it.
    ...(spec.process.rlimits ?? []).map(rlimitStep),
    // While CAP_SETPCAP and CAP_SETGID are still there.
    step("payload", "capabilities", { kind: "dropBounding", keep: sets.bounding }),
    ...(maps.denySetgroups
      ? []
      : [step("payload", "identity", { kind: "setgroups", gids: user.additionalGids })]),
    ...(user.uid === 0 ? [] : [step("payload", "identity", { kind: "keepCapabilities" })]),
    step("payload", "identity", { kind: "setIds", uid: user.uid, gid: user.gid }),
    // Again, where nobody between it and the monitor would take it along.
    ...(own("pid") && spec.sbx.init
      ? []
      : [step("payload", "identity", { kind: "dieWithMonitor" })]),
    // With the payload's rights, as its user would go there.
    step("payload", "identity", { kind: "chdir", path: spec.process.cwd }, cwdHints),
    // Capabilities last of the privileges: every step before may need them.
    step("payload", "capabilities", { kind: "setCapabilities", sets }),
    ...(spec.process.noNewPrivileges === false
      ? []
      : [step("payload", "no_new_privs", { kind: "noNewPrivileges" })]),
    step("payload", "execve", executeAction(spec, user.home), executeHints(host)),
  ];

  return {
    steps,
    notes: [...maps.notes, ...userNotes, ...root.notes, ...mounts.notes, ...sharingNotes(own)],
    init: spec.sbx.init,
    statusFd,
  };
}

function step(role: Role, phase: Phase, action: Action, hints?: Hints): Step {
  return hints === undefined ? { role, phase, action } : { role, phase, action, hints };
}

/** By name or number as `--user` has it; who keeps its ids is that user inside, as with podman. */
function requestedUser({ process, sbx, linux }: Spec, host: Host): string | undefined {
  if (sbx.user !== undefined) return sbx.user;
  if (process.user !== undefined) return `${process.user.uid}:${process.user.gid}`;
  const isExplicit = linux.uidMappings !== undefined || linux.gidMappings !== undefined;
  if (sbx.userns.mode !== "keep-id" || isExplicit) return undefined;
  return `${sbx.userns.uid ?? host.user.uid}:${sbx.userns.gid ?? host.user.gid}`;
}

const flagOf = {
  user: "CLONE_NEWUSER",
  mount: "CLONE_NEWNS",
  pid: "CLONE_NEWPID",
  network: "CLONE_NEWNET",
  ipc: "CLONE_NEWIPC",
  uts: "CLONE_NEWUTS",
  cgroup: "CLONE_NEWCGROUP",
  // Only children of who unshares it get into a time namespace whose offsets can be set.
  time: null,
} as const satisfies Record<NamespaceType, NamespaceFlag | null>;

function namespaceFlags(own: (type: NamespaceType) => boolean): NamespaceFlag[] {
  return Object.entries(flagOf).flatMap(([type, flag]) =>
    flag !== null && own(type as NamespaceType) ? [flag] : [],
  );
}

const cloneHints = (blocker: Blocker | null): Hints => ({
  EPERM:
    blocker?.hint ??
    "The kernel refuses user namespaces here, as container runtimes and security modules make it: `sbx check` tells which",
  ENOSPC: "A limit of /proc/sys/user/max_*_namespaces is reached: raise it with sysctl, as root",
  EUSERS: "User namespaces are nested too deep (32 levels)",
  EINVAL: "The kernel lacks one of these namespaces: `sbx check` tells which",
  EAGAIN: "The limit of processes is reached: see `ulimit -u`",
});

/** AppArmor lets the namespace be created, and takes the rights in it away: the first mount fails. */
function explainBlocked(steps: readonly Step[], blocker: Blocker | null): Step[] {
  if (blocker === null) return [...steps];
  const why = `${blocker.why[0]?.toUpperCase()}${blocker.why.slice(1)}. ${blocker.hint}`;
  return steps.map((each) => ({ ...each, hints: { EPERM: why, EACCES: why, ...each.hints } }));
}

/** newuidmap tells its own reasons on stderr; this is what most often lies behind them. */
function mapHints({ newuidmap, newgidmap, user }: Host): Hints {
  const plain = [newuidmap, newgidmap].find((helper) => helper !== null && !helper.setuidRoot);
  return {
    helperFailed:
      plain != null
        ? `${plain.path} is not set-user-ID root; unless it has file capabilities (getcap), mend it as root: chmod u+s ${plain.path}, or use --userns=single`
        : `The ranges must be in /etc/subuid and /etc/subgid for ${user.name ?? user.uid}: \`sbx check\` shows them; --userns=single needs none`,
    EPERM:
      "The kernel refuses this id map: map only your own id (--userns=single), or ids that are yours",
    EINVAL: "The kernel refuses this id map: ranges must not overlap, and have at most 340 lines",
  };
}

function timeSteps({ linux }: Spec): Step[] {
  const { timeOffsets, namespaces } = linux;
  if (!namespaces.some(({ type }) => type === "time")) return [];
  return [
    step(
      "init",
      "clone",
      {
        kind: "unshareTime",
        monotonic: { secs: 0, nanosecs: 0, ...timeOffsets?.monotonic },
        boottime: { secs: 0, nanosecs: 0, ...timeOffsets?.boottime },
      },
      {
        EINVAL: "The kernel has no time namespaces (Linux 5.6 has): leave --time-offset out",
        ERANGE: "The clock must not become negative, nor pass 146 years: choose a smaller offset",
      },
    ),
  ];
}

function nameSteps({ hostname, domainname }: Spec): Step[] {
  return [
    ...(hostname === undefined
      ? []
      : [step("init", "network", { kind: "sethostname", name: hostname })]),
    ...(domainname === undefined
      ? []
      : [step("init", "network", { kind: "setdomainname", name: domainname })]),
  ];
}

function sysctlSteps({ linux }: Spec): Step[] {
  return Object.entries(linux.sysctl ?? {}).map(([key, text]) =>
    step(
      "init",
      "network",
      { kind: "writeFile", path: `/proc/sys/${key.replaceAll(".", "/")}`, text },
      {
        ENOENT: `The kernel has no setting ${key}`,
        EACCES: `The kernel does not let a user namespace set ${key}`,
        EPERM: `The kernel does not let a user namespace set ${key}`,
        EINVAL: `The kernel does not take this value for ${key}`,
      },
    ),
  );
}

function oomSteps({ process }: Spec): Step[] {
  if (process.oomScoreAdj === undefined) return [];
  return [
    step(
      "init",
      "identity",
      { kind: "writeFile", path: "/proc/self/oom_score_adj", text: `${process.oomScoreAdj}` },
      {
        EACCES:
          "Without privileges it can only be raised above what it is (/proc/self/oom_score_adj)",
      },
    ),
  ];
}

function terminalSteps({ process }: Spec, { uid }: { uid: number }): Step[] {
  if (process.terminal === false) return [];
  const when = process.terminal === true ? "always" : "auto";
  return [step("init", "filesystems", { kind: "openTerminal", when, uid })];
}

function rlimitStep({ type, soft, hard }: Rlimit): Step {
  const number = (value: number | "unlimited") =>
    value === "unlimited" ? rlimInfinity : BigInt(value);
  return step(
    "payload",
    "identity",
    { kind: "setrlimit", type, soft: number(soft), hard: number(hard) },
    {
      EPERM: "A hard limit cannot be raised above the caller's: see `ulimit -H -a`",
    },
  );
}

/** The payload's; the caller's own where none is asked for. */
function umaskSteps({ process, sbx }: Spec): Step[] {
  const mask = sbx.umask ?? process.user?.umask;
  return mask === undefined ? [] : [step("init", "identity", { kind: "umask", mask })];
}

const cwdHints: Hints = {
  ENOENT: "Make it in the rootfs, or choose another with --workdir",
  ENOTDIR: "Choose a directory with --workdir",
  EACCES: "The user inside may not enter it: choose another with --workdir, or another --user",
};

function executeAction({ process, sbx, hostname }: Spec, home: string): Action {
  const set = (name: string) => process.env.some((setting) => setting.startsWith(`${name}=`));
  return {
    kind: "execve",
    prefix: sbx.entrypoint,
    fallback: process.args,
    environment: [
      ...process.env,
      ...(set("HOME") ? [] : [`HOME=${home}`]),
      ...(set("HOSTNAME") || hostname === undefined ? [] : [`HOSTNAME=${hostname}`]),
    ],
    inherited: sbx.inheritEnv,
    inheritAll: sbx.inheritAllEnv,
  };
}

function executeHints({ architecture }: Host): Hints {
  return {
    ENOENT:
      "It is not in the sandbox: give a path inside the rootfs, or a name that PATH there leads to",
    ENOTDIR: "A part of its path is not a directory inside the rootfs",
    EACCES:
      "It is not an executable file for the user inside, or its filesystem is noexec: chmod +x, or another --user",
    ENOEXEC: `It is no program for ${architecture}: built for another machine, or a script without #! line`,
    noInterpreter:
      "Install the library or interpreter (ldd, or its #! line, names it) in the rootfs",
    E2BIG: "Arguments and environment together are too long",
  };
}

function sharingNotes(own: (type: NamespaceType) => boolean): string[] {
  if (own("pid")) return [];
  return ["the pid namespace is the host's: what the command leaves in the background outlives it"];
}
