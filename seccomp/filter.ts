/**
 * The payload's filter: a profile made into instructions for this sandbox on this host, and the steps
 * that load it. To the compiled program the filter is data.
 */
import type { FilterFlag } from "../spec/actions/privileges.js";
import type { Capability } from "../spec/capabilities.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";
import { compileFilter } from "./compile.js";
import { defaultProfile } from "./default.js";
import { isRefused, underFilter } from "./following.js";
import { encodeFilter } from "./instruction.js";
import { listenerStep } from "./listener.js";
import { type OnlyIds, watchSteps } from "./owners.js";
import { precompiledFilter } from "./precompiled.js";
import { type Profile, profileOf } from "./profile.js";
import { type Circumstances, type ResolvedProfile, resolveProfile, whyNot } from "./resolve.js";
import type { RuleSet } from "./rules.js";
import { flagVersions, lackedAction } from "./support.js";
import { terminalRefusals } from "./terminal.js";
import { actionOf, mayLetThrough } from "./verdict.js";

export interface PlannedFilter {
  /**
   * The steps that load the filter, and behind them those that follow it in the payload, whose system
   * calls it has to let through. Gives up where it is sure to refuse one of them.
   */
  readonly load: (following: readonly Step[]) => Step[];
  /** Whether it lets no call through that finds, reads or makes keys: keyrings(7). */
  readonly refusesKeys: boolean;
  readonly notes: readonly string[];
}

const unconfined: PlannedFilter = {
  load: (following) => [...following],
  refusesKeys: false,
  notes: [
    "no seccomp filter: the command may make every system call, and type into its terminal (TIOCSTI, TIOCLINUX)",
  ],
};

/**
 * `bounding` are the capabilities that the command can come to hold; `onlyIds` the only ids inside,
 * null where there are more. Throws an `SbxError` where the profile is wrong, or asks for what this
 * kernel lacks.
 */
export function planFilter(
  { linux, sbx, ociVersion }: Spec,
  host: Host,
  bounding: readonly Capability[],
  onlyIds: OnlyIds | null,
): PlannedFilter {
  if (linux.seccomp === undefined && sbx.seccomp === "unconfined") return unconfined;
  const source =
    linux.seccomp === undefined ? "the default profile" : (sbx.seccompFile ?? "linux.seccomp");
  const { architecture, kernel } = host;
  const circumstances = { architecture, kernel, capabilities: bounding };
  const read = linux.seccomp === undefined ? readDefault : readProfile;
  const { resolved, permits } = read(linux.seccomp ?? defaultProfile, source, circumstances);
  const { ruleSet, listener, notes } = resolved;
  requireActions(ruleSet, host, source);
  const flags = flagsOf(resolved, source);
  const refusals = sbx.terminalInjection === true ? [] : terminalRefusals;
  const isUsual = linux.seccomp === undefined && refusals === terminalRefusals;
  const filter =
    (isUsual ? precompiledFilter(circumstances) : null) ??
    encodeFilter(compileFilter({ ...ruleSet, refusals }));
  const steps: Step[] = [
    ...(onlyIds === null ? [] : watchSteps(onlyIds, ruleSet, host)),
    {
      role: "payload",
      phase: "seccomp",
      action: { kind: "seccomp", filter, source, flags, permits },
      hints: loadHints(flags),
    },
    ...(listener === null
      ? []
      : [listenerStep(listener, source, { ociVersion, bundle: host.rootfs.path })]),
  ];
  return {
    load: (following) => [...steps, ...following.map((step) => underFilter(step, ruleSet, source))],
    refusesKeys: ["keyctl", "add_key", "request_key"].every((call) => isRefused(ruleSet, call)),
    notes: [
      ...notes.map((note) => `seccomp: ${note}`),
      ...(refusals.length > 0
        ? []
        : ["the command may type into its terminal (TIOCSTI, TIOCLINUX)"]),
    ],
  };
}

interface ReadProfile {
  readonly resolved: ResolvedProfile;
  /** What the capabilities let through, in words. */
  readonly permits: readonly string[];
}

function readProfile(given: unknown, source: string, circumstances: Circumstances): ReadProfile {
  const profile = profileOf(given, (path) => (path === "" ? source : `${source}: ${path}`));
  return {
    resolved: resolveProfile(profile, circumstances),
    permits: permitsOf(profile, circumstances),
  };
}

/** The default profile as it was read last. A start from a snapshot (cmd/snapshot.ts) has it read already. */
let readLast: { readonly key: string; readonly read: ReadProfile } | null = null;

function readDefault(given: unknown, source: string, circumstances: Circumstances): ReadProfile {
  const { architecture, capabilities, kernel } = circumstances;
  const key = [architecture, kernel.major, kernel.minor, ...capabilities].join(" ");
  if (readLast?.key !== key) readLast = { key, read: readProfile(given, source, circumstances) };
  return readLast.read;
}

/** To the kernel an action that it does not know is one that kills. */
function requireActions({ rules, defaultVerdict }: RuleSet, host: Host, source: string): void {
  for (const { verdict, at } of [
    { verdict: defaultVerdict, at: `${source}: defaultAction` },
    ...rules,
  ]) {
    const action = actionOf(verdict);
    const since = lackedAction(action, host);
    if (since === null) continue;
    const hint = `Use Linux ${since} or later, or a profile without it`;
    fail(at, `this kernel's seccomp has no SCMP_ACT_${action}`, hint);
  }
}

function flagsOf({ flags, listener }: ResolvedProfile, source: string): readonly FilterFlag[] {
  if (listener === null) {
    const waits = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
    if (!flags.includes(waits)) return flags;
    fail(`${source}: flags`, `${waits} needs a rule with SCMP_ACT_NOTIFY`, "Leave it out");
  }
  return [
    ...flags,
    "SECCOMP_FILTER_FLAG_NEW_LISTENER",
    // Without it the kernel takes only one of TSYNC and NEW_LISTENER: seccomp(2).
    ...(flags.includes("SECCOMP_FILTER_FLAG_TSYNC")
      ? (["SECCOMP_FILTER_FLAG_TSYNC_ESRCH"] as const)
      : []),
  ];
}

/** What seccomp(2) says of a filter that is sound. */
function loadHints(flags: readonly FilterFlag[]): Record<string, string> {
  const unconfined = "--security-opt=seccomp=unconfined runs without a filter";
  const needs = flags.map((flag) => `${flag} needs Linux ${flagVersions[flag]}`);
  return {
    EINVAL:
      needs.length > 0
        ? `The kernel does not know one of the flags: ${needs.join(", ")}`
        : `The kernel has no filters (CONFIG_SECCOMP_FILTER): ${unconfined}`,
    ENOSYS: `The kernel has no seccomp(2), or a filter around sbx refuses it: ${unconfined}`,
    EPERM: `A filter around sbx refuses it: ${unconfined}`,
    EACCES: "Without no_new_privs it takes CAP_SYS_ADMIN: leave no-new-privileges=false out",
    ENOMEM: "The filters around sbx and this one together are too long: start sbx further out",
    EBUSY: "A filter around sbx has a listener already, and there can be only one",
    EAGAIN: "Its listener takes one process more for a moment: raise --ulimit nproc",
  };
}

/** `with CAP_SYS_CHROOT: chroot` */
function permitsOf({ rules }: Profile, circumstances: Circumstances): string[] {
  return rules.flatMap((rule) => {
    const { names, verdict, includes } = rule;
    const { caps = [] } = includes;
    return caps.length > 0 && mayLetThrough(verdict) && whyNot(rule, circumstances) === null
      ? [`with ${caps.join(" and ")}: ${names.join(", ")}`]
      : [];
  });
}
