/** Steps that are made straight from a key of the spec; none where the key is absent. */
import { rlimInfinity } from "../spec/describe.js";
import type { Rlimit, Spec } from "../spec/spec.js";
import type { Action, Phase, Role, Step } from "../spec/step.js";
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

export function sysctlSteps({ linux }: Spec): Step[] {
  return Object.entries(linux.sysctl ?? {}).map(([key, text]) =>
    step(
      "init",
      "network",
      { kind: "writeFile", path: `/proc/sys/${key.replaceAll(".", "/")}`, inside: "/proc", text },
      {
        ENOENT: `The kernel has no setting ${key}`,
        EACCES: `The kernel does not let a user namespace set ${key}`,
        EPERM: `The kernel does not let a user namespace set ${key}`,
        EINVAL: `The kernel does not take this value for ${key}`,
      },
    ),
  );
}

export function oomSteps({ process }: Spec): Step[] {
  if (process.oomScoreAdj === undefined) return [];
  return [
    step(
      "init",
      "identity",
      {
        kind: "writeFile",
        path: "/proc/self/oom_score_adj",
        inside: "/proc",
        text: `${process.oomScoreAdj}`,
      },
      {
        EACCES:
          "Without privileges it can only be raised above what it is (/proc/self/oom_score_adj)",
      },
    ),
  ];
}

export function terminalSteps({ process }: Spec, { uid }: { uid: number }): Step[] {
  if (process.terminal === false) return [];
  const when = process.terminal === true ? "always" : "auto";
  return [step("init", "filesystems", { kind: "openTerminal", when, uid })];
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

/** Steps made from within a filesystem of the sandbox's own, and back to its root. */
export function within(path: "/proc" | "/sys", steps: readonly Step[]): Step[] {
  if (steps.length === 0) return [];
  const filesystem = path === "/proc" ? "proc" : "sysfs";
  return [
    step("init", "masks", { kind: "enter", path, filesystem }),
    ...steps,
    step("init", "masks", { kind: "chdir", path: "/" }),
  ];
}
