/** Steps that are made straight from a key of the spec; none where the key is absent. */
import { fail } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import { type Rlimit, rlimInfinity, type Spec } from "../../spec/spec.js";
import type { Action, Phase, Role, Step } from "../../spec/step.js";
import type { Hints } from "./hints.js";

export function step(role: Role, phase: Phase, action: Action, hints?: Hints): Step {
  return hints === undefined ? { role, phase, action } : { role, phase, action, hints };
}

export function timeSteps({ linux }: Spec): Step[] {
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

/** Without a record nobody else looks for them. */
export function sendSteps({ run }: Host, types: readonly ("cgroup" | "time")[]): Step[] {
  if (run.path === null || types.length === 0) return [];
  return [step("init", "clone", { kind: "sendNamespaces", types })];
}

export function nameSteps({ hostname, domainname }: Spec): Step[] {
  return [
    ...(hostname === undefined
      ? []
      : [step("init", "network", { kind: "sethostname", name: hostname })]),
    ...(domainname === undefined
      ? []
      : [step("init", "network", { kind: "setdomainname", name: domainname })]),
  ];
}

/** `stagedAt` tells where a file below /proc lies on the stage. */
export function sysctlSteps(
  sysctl: Readonly<Record<string, string>>,
  stagedAt: (path: string) => string | null,
): Step[] {
  return Object.entries(sysctl).map(([key, text]) => {
    const path = `/proc/sys/${key.replaceAll(".", "/")}`;
    const staged = stagedAt(path);
    if (staged === null) fail(`set the sysctl ${key}`, "the sandbox has no /proc");
    return step(
      "init",
      "network",
      { kind: "writeProc", path, staged, text },
      {
        ENOENT: `The kernel has no setting ${key}`,
        EACCES: `The kernel does not let a user namespace set ${key}`,
        EPERM: `The kernel does not let a user namespace set ${key}`,
        EINVAL: `The kernel does not take this value for ${key}`,
      },
    );
  });
}

export function oomSteps({ process }: Spec): Step[] {
  if (process.oomScoreAdj === undefined) return [];
  return [
    step(
      "init",
      "identity",
      {
        kind: "writeProc",
        path: "/proc/self/oom_score_adj",
        staged: null,
        text: `${process.oomScoreAdj}`,
      },
      {
        EACCES:
          "Without privileges it can only be raised above what it is (/proc/self/oom_score_adj)",
      },
    ),
  ];
}

/** Of the devpts while it is staged, where nobody inside can put another one in its place. */
export function terminalSteps(
  { process, mounts, sbx }: Spec,
  { uid }: { uid: number },
  stageOf: (destination: string) => string | null,
): Step[] {
  if (process.terminal === false || (sbx.life !== undefined && process.terminal !== true))
    return [];
  const when = process.terminal === true ? "always" : "auto";
  const isFresh = (path: string, type: string) =>
    mounts.some((mount) => mount.destination === path && mount.type === type);
  const pts = isFresh("/dev/pts", "devpts") ? stageOf("/dev/pts") : null;
  if (pts === null) {
    fail("open a terminal", "the sandbox has no devpts of its own on /dev/pts", "Use --no-tty");
  }
  const console = isFresh("/dev", "tmpfs") ? `${stageOf("/dev")}/console` : null;
  return [step("init", "filesystems", { kind: "openTerminal", when, uid, pts, console })];
}

export function rlimitStep({ type, soft, hard }: Rlimit): Step {
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

/** Keys of the caller's stay out. */
export function keyringStep(role: "init" | "payload", mayStay: boolean): Step {
  return step(
    role,
    "identity",
    { kind: "joinKeyring", mayStay },
    {
      EDQUOT:
        "Your quota of keys is used up, of which each sandbox takes one (/proc/key-users): end some, or raise kernel.keys.maxkeys with sysctl, as root",
    },
  );
}

/** The payload's; the caller's own where none is asked for. */
export function umaskSteps({ process, sbx }: Spec): Step[] {
  const mask = sbx.umask ?? process.user?.umask;
  return mask === undefined ? [] : [step("init", "identity", { kind: "umask", mask })];
}

export function executeAction({ process, sbx, hostname }: Spec, home: string): Action {
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

/**
 * Tells of a path below /proc or /sys where it lies on the stage, by what `stageOf` says of these two;
 * null for every other path.
 */
export function kernelFiles(
  stageOf: (destination: string) => string | null,
): (path: string) => string | null {
  return (path) => {
    const [, root = "", rest = ""] = /^(\/proc|\/sys)(\/.+)$/.exec(path) ?? [];
    const staged = stageOf(root);
    return staged === null ? null : staged + rest;
  };
}

/** None where there is no place for records and no name that another command would look for. */
export function recordSteps({ sbx }: Spec, { run }: Host, known: string): Step[] {
  const { name = null } = sbx;
  if (run.path === null) {
    if (name === null) return [];
    fail(
      `name the sandbox ${name}`,
      `there is no private directory for what is running: ${run.why}`,
      "Set XDG_RUNTIME_DIR or XDG_STATE_HOME to a directory of yours, of mode 0700",
    );
  }
  const directory = `${run.path}/sandboxes`;
  const room = "Make room there, or set XDG_RUNTIME_DIR to a directory of yours, of mode 0700";
  return [
    step(
      "monitor",
      "record",
      { kind: "keepRecord", directory, base: run.base, name, required: name !== null, known },
      {
        ...(name === null
          ? {}
          : { nameTaken: `Choose another name than ${name}, or end that sandbox first` }),
        any: room,
      },
    ),
  ];
}

/** None where the sandbox stays in the foreground. */
export function lifeSteps({ sbx: { life } }: Spec): Step[] {
  if (life === undefined) return [];
  const hints = { ENOENT: "Somebody has removed it: make it anew", isRunning: "Stop it first" };
  return [step("monitor", "prepare", { kind: "detach", ...life }, hints)];
}

export function pidFileSteps({ sbx: { life } }: Spec): Step[] {
  if (life?.pidFile === undefined) return [];
  return [step("monitor", "record", { kind: "writePidFile", path: life.pidFile })];
}

export function volumeSteps({ sbx }: Spec): Step[] {
  const hints = {
    ENOENT: "There is no such volume, or no more: `sbx volume ls` shows those that there are",
    EAGAIN: "It is just being removed: start again",
  };
  return (sbx.volumes ?? []).map(({ path }) =>
    step("monitor", "prepare", { kind: "lockVolume", path }, hints),
  );
}
