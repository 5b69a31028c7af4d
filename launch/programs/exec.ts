/** `sbx exec`: one more command in a sandbox that is running. */
import { approachSteps } from "../../cgroup/place-steps.js";
import { planFilter } from "../../seccomp/filter.js";
import { fail } from "../../spec/error.js";
import { type Host, kernelAtLeast } from "../../spec/host.js";
import type { Plan } from "../../spec/plan.js";
import type { NamespaceType, Spec } from "../../spec/spec.js";
import { namespaceTypes } from "../../spec/spec.js";
import type { Step } from "../../spec/step.js";
import { capabilitySets } from "../../userns/capabilities.js";
import { requireMapped } from "../../userns/mapped.js";
import { rlimitsOf } from "../life/processes.js";
import { headOf, namespacePath, type Sandbox } from "../life/sandbox.js";
import { initGroup } from "../lower/cgroup/cgroup.js";
import { lower } from "../lower/lower.js";
import { compile } from "../machine/link.js";
import { onlyIds } from "../plan/parts.js";
import { payloadSteps } from "../plan/payload.js";
import { oomSteps, step, umaskSteps } from "../plan/steps.js";
import { runProgram } from "../process/run-program.js";

export interface Entrance {
  readonly sandbox: Sandbox;
  /** The sandbox's own, with the command's settings. */
  readonly spec: Spec;
  readonly user: Sandbox["user"];
  /** The command stays in the background. */
  readonly isDetached: boolean;
  readonly endsWithReader?: boolean;
}

/** A program that runs its arguments in the sandbox. Throws an `SbxError` where that cannot be had. */
export function compileExec(entrance: Entrance, host: Host) {
  const plan = planExec({ ...entrance, spec: withRlimits(entrance) }, host);
  return { plan, bytes: compile(lower(plan), host.architecture) };
}

/** What the spec does not set the first command has from who started it, as the monitor has. */
function withRlimits({ sandbox, spec }: Entrance): Spec {
  const { rlimits: set = [] } = spec.process;
  const rest = rlimitsOf(sandbox.monitor).filter(({ type }) =>
    set.every((one) => one.type !== type),
  );
  return { ...spec, process: { ...spec.process, rlimits: [...set, ...rest] } };
}

/**
 * The roles are those of a plan that makes a sandbox: a monitor outside, which is the caller's own process; its
 * child, which enters and reaps (`init`); and the command (`payload`), which alone is in the pid namespace.
 */
export function planExec(
  { sandbox, spec, user: asked, isDetached, endsWithReader = false }: Entrance,
  host: Host,
): Plan {
  const maps = { ...sandbox, shortages: { uid: shortage, gid: shortage } };
  const { user, notes } = requireMapped(asked, maps);
  const sets = {
    ...capabilitySets({ add: spec.sbx.capAdd ?? [], drop: spec.sbx.capDrop ?? [], uid: user.uid }),
    ...spec.process.capabilities,
  };
  const { preserveFds: preserved, statusFd = null } = spec.sbx;
  const filter = planFilter(spec, host, sets.bounding, onlyIds(maps));
  const cgroup = groupOf(sandbox);
  const steps: Step[] = [
    step("monitor", "prepare", { kind: "moveToMemory" }, memoryHints),
    step("monitor", "prepare", { kind: "tidyFds", preserved, statusFd }),
    ...(cgroup === null ? [] : approachSteps(cgroup, host)),
    ...openSteps(sandbox, host, cgroup),
    // By the host's /proc, and while its files there are its own.
    ...oomSteps(spec),
    ...(isDetached ? [step("init", "prepare", { kind: "leaveCaller" })] : []),
    ...enterSteps(sandbox),
    ...(isDetached ? [] : [step("init", "identity", { kind: "outliveMonitor" })]),
    ...terminalSteps(spec, user),
    ...umaskSteps(spec),
    step("init", "identity", { kind: "joinKeyring", mayStay: filter.refusesKeys }),
    ...payloadSteps(spec, host, {
      user,
      sets,
      denySetgroups: sandbox.denySetgroups,
      filter,
      diesAlone: !isDetached,
    }),
  ];
  return { steps, notes, warnings: [], init: true, statusFd, endsWithReader };
}

/** Nobody may be in a group that can be divided from inside, but in one below it. */
const groupOf = ({ cgroup, spec }: Sandbox): string | null =>
  cgroup !== undefined && spec.sbx.cgroup?.writable === true
    ? `${cgroup}/${initGroup}`
    : (cgroup ?? null);

/** The process that the steps after these belong to is born in the control group. */
function openSteps(sandbox: Sandbox, host: Host, cgroup: string | null): Step[] {
  const { spec } = sandbox;
  const isBornIn = cgroup !== null && kernelAtLeast(host, 5, 7) && !host.seccomp.isFiltered;
  const clone = { kind: "clone", namespaces: [], intoCgroup: isBornIn } as const;
  return [
    openSandboxStep(sandbox, host, {
      types: namespacesOf(sandbox),
      cgroup,
      watched: spec.linux.namespaces.some(({ type }) => type === "pid") ? null : sandbox.monitor,
    }),
    step("monitor", "clone", clone, cloneHints),
    ...(cgroup === null || isBornIn ? [] : [step("monitor", "cgroup", { kind: "joinCgroup" })]),
  ];
}

/** What is opened of a running sandbox besides its record. */
interface Opened {
  readonly types: readonly NamespaceType[];
  readonly cgroup: string | null;
  readonly watched: number | null;
}

export function openSandboxStep(
  sandbox: Sandbox,
  { run }: Host,
  { types, cgroup, watched }: Opened,
): Step {
  if (run.path === null) fail(`find the sandbox ${sandbox.name}`, run.why);
  return step(
    "monitor",
    "clone",
    {
      kind: "openSandbox",
      name: sandbox.name,
      record: `${run.path}/sandboxes/${sandbox.name}`,
      head: headOf(sandbox),
      namespaces: types.map((type) => ({ type, path: namespacePath(sandbox, type) })),
      cgroup,
      watched,
    },
    openHints,
  );
}

/** As the sandbox's root, or where that has no id, as the user of its first command. */
function enterSteps(sandbox: Sandbox): Step[] {
  const { spec, user, uidMappings, gidMappings } = sandbox;
  const isRootMapped = [uidMappings, gidMappings].every((lines) =>
    lines.some(({ containerID }) => containerID === 0),
  );
  const { uid, gid } = isRootMapped ? { uid: 0, gid: 0 } : user;
  return [
    // Before it can be seen from inside.
    step("init", "identity", { kind: "nonDumpable" }),
    step(
      "init",
      "clone",
      { kind: "enterSandbox", namespaces: namespacesOf(sandbox), joined: joinedTypes(spec) },
      enterHints,
    ),
    step("init", "idmap", { kind: "setIds", uid, gid }),
    // Changing ids may have made it dumpable as the kernel likes (fs.suid_dumpable).
    step("init", "identity", { kind: "nonDumpable" }, pidHints),
  ];
}

const namespacesOf = ({ namespaces }: Sandbox) =>
  namespaceTypes.filter((type) => namespaces[type] !== undefined);

/** The texts of these files in the sandbox, as it is now; null for those that are not there. */
export async function readInside(
  sandbox: Sandbox,
  host: Host,
  environment: NodeJS.ProcessEnv,
  paths: readonly string[],
): Promise<(string | null)[]> {
  const steps = [
    step("monitor", "prepare", { kind: "moveToMemory" }, memoryHints),
    step("monitor", "prepare", { kind: "tidyFds", preserved: 0, statusFd: null }),
    ...openSteps(sandbox, host, null),
    ...enterSteps(sandbox),
    step("init", "identity", { kind: "dieWithMonitor" }),
    step("payload", "execve", { kind: "readFiles", paths }),
  ];
  const plan = { steps, notes: [], warnings: [], init: true, statusFd: null };
  const bytes = compile(lower(plan), host.architecture);
  const what = `read ${paths.join(" and ")} of the sandbox ${sandbox.name}`;
  const { status, error, stdout, stderr } = await runProgram(bytes, host, environment, {
    stdio: ["ignore", "pipe", "pipe"],
    timeoutMs: 10_000,
  });
  if (error !== undefined) fail(what, error.message);
  if (status !== 0) fail(what, `${stderr}`.trim() || `it ended with status ${status}`);
  const texts: (string | null)[] = [];
  for (let at = 0; at < stdout.length; ) {
    const size = Number(stdout.readBigInt64LE(at));
    at += 8;
    texts.push(size < 0 ? null : stdout.toString("utf8", at, at + size));
    at += Math.max(size, 0);
  }
  return texts;
}

/** The namespaces that another sandbox has made, or somebody else; whose owner is entered, is first. */
function joinedTypes({ sbx }: Spec): NamespaceType[] {
  const mode = sbx.network?.from.mode;
  const isOthers = mode === "sandbox" || mode === "path";
  return [...(isOthers ? ["network" as const] : []), ...(sbx.join?.namespaces ?? [])];
}

function terminalSteps({ process }: Spec, { uid }: Sandbox["user"]): Step[] {
  if (process.terminal === false) return [];
  const when = process.terminal === true ? "always" : "auto";
  return [
    step(
      "init",
      "filesystems",
      { kind: "openTerminal", when, uid, pts: null, console: null },
      { any: "The command can do without a terminal: --no-tty" },
    ),
  ];
}

const shortage = {
  why: null,
  hint: "Start the sandbox with more ids: `sbx check` tells which you have",
};
const memoryHints = {
  EACCES:
    "vm.memfd_noexec=2 forbids it, and what enters a sandbox must be out of its reach: set that sysctl to 1, as root",
};
const ended = "Start it again";
const openHints = {
  ENOENT: ended,
  joinedEnded: ended,
  notUp: "Try again in a moment",
  EACCES: "Its monitor is not to be looked into: were file capabilities or another user involved?",
};
const pidHints = {
  ENOMEM: "The sandbox has just ended: start it again",
  EAGAIN: "A limit of processes is reached",
};
const cloneHints = {
  EAGAIN:
    "A limit of processes is reached: that of the sandbox (--pids-limit), or yours (`ulimit -u`)",
  EACCES:
    "Nobody gets into its control group but who may write to it, and to the group that both are in: start sbx inside of what is delegated to you, as `systemd-run --user --scope` does; with --cgroup-writable, the sandbox's root must be you",
  EBUSY: "Its control group was divided from inside: nobody may be in it itself",
};
export const enterHints = {
  EPERM: "It was started from another user namespace, or by another user: enter it from there",
};
