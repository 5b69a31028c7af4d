/**
 * Profile → `RuleSet`: the conditions on capabilities, architecture and kernel are decided, as moby
 * (setupSeccomp() of profiles/seccomp) and runc (libcontainer/seccomp) decide them. Pure.
 */
import type { FilterFlag } from "../spec/actions/privileges.js";
import type { Capability } from "../spec/capabilities.js";
import { type Problem, SbxError } from "../spec/error.js";
import type { Architecture } from "../spec/host.js";
import { architectures, type SeccompArchitecture } from "./architecture.js";
import { keyOf } from "./decisions.js";
import { isMultiplexer, multiplexed } from "./multiplex.js";
import type { Profile } from "./profile.js";
import type { Filter, ProfileRule } from "./profile-rule.js";
import type { KernelVersion } from "./profile-words.js";
import type { Rule, RuleSet, Verdict } from "./rules.js";
import { isSyscallName } from "./syscalls.js";
import { actionOf, noSuchCall, userNotif } from "./verdict.js";

/** What a profile's conditions are about, and how it is taken. */
export interface Circumstances {
  /** The machine's own. */
  readonly architecture: Architecture;
  /** The bounding set of what will run under the filter. */
  readonly capabilities: readonly Capability[];
  readonly kernel: KernelVersion;
  /** Leaves the rule out that numbers newer than the profile knows get ENOSYS. */
  readonly exact?: boolean;
  /** A name that no architecture of Linux has for a system call is an error. */
  readonly strict?: boolean;
}

export interface ResolvedProfile {
  /** Without refusals. */
  readonly ruleSet: RuleSet;
  /** What people should know: names that are ignored. */
  readonly notes: readonly string[];
  /** SECCOMP_FILTER_FLAG_*, as the profile has them. */
  readonly flags: readonly FilterFlag[];
  /** Null where no rule that applies has SCMP_ACT_NOTIFY. */
  readonly listener: { readonly path: string | null; readonly metadata: string | null } | null;
}

/**
 * Fails with an `SbxError` on rules that contradict each other, and with `strict` on unknown names.
 */
export function resolveProfile(profile: Profile, circumstances: Circumstances): ResolvedProfile {
  const { defaultVerdict, flags, listenerPath: path, listenerMetadata: metadata } = profile;
  const applying = profile.rules.filter((rule) => whyNot(rule, circumstances) === null);
  const decisive = applying.filter(({ verdict }) => verdict !== defaultVerdict);
  const { listed, note } = listedArchitectures(profile, circumstances.architecture);
  const rules = decisive
    .flatMap(alternatives)
    .flatMap((rule) => (listed.includes("x86") ? [rule, ...multiplexed(rule)] : [rule]));
  const unknown = unknownNames(applying);
  const problems = [...contradictions(rules), ...(circumstances.strict ? unknown : [])];
  if (problems.length > 0) throw new SbxError(problems);
  return {
    ruleSet: {
      architectures: listed,
      defaultVerdict,
      rules,
      refusals: [],
      known: applying
        .filter(({ verdict }) => verdict === defaultVerdict)
        .flatMap(({ names }) => names),
      newerIsEnosys: !circumstances.exact && refuses(defaultVerdict),
    },
    notes: [...note, ...unknown.map(({ what, why }) => `${what}: ignored, ${why}`)],
    flags,
    listener: rules.some(({ verdict }) => verdict === userNotif) ? { path, metadata } : null,
  };
}

/** moby's words for the machines. */
const machines = { x86_64: "amd64", aarch64: "arm64" } as const satisfies Record<
  Architecture,
  string
>;

/** Why the rule does not apply, as `needs CAP_SYS_ADMIN`; null where it does. */
export function whyNot(
  { includes, excludes }: ProfileRule,
  circumstances: Circumstances,
): string | null {
  const wanting = answers(includes, circumstances).find(({ holds }) => !holds);
  const against = answers(excludes, circumstances).find(({ holds }) => holds);
  if (wanting !== undefined) return `needs ${wanting.asked}`;
  return against === undefined ? null : `is not for ${against.asked}`;
}

/** What a filter asks for, and whether that is so. */
function answers({ caps = [], arches = [], minKernel }: Filter, circumstances: Circumstances) {
  const { architecture, capabilities, kernel } = circumstances;
  const all = caps.map((name) => ({ asked: name as string, holds: capabilities.includes(name) }));
  if (arches.length > 0) {
    all.push({ asked: arches.join(" or "), holds: arches.includes(machines[architecture]) });
  }
  if (minKernel !== undefined) {
    const asked = `Linux ${minKernel.major}.${minKernel.minor} or later`;
    all.push({ asked, holds: isAtLeast(kernel, minKernel) });
  }
  return all;
}

export function isAtLeast(kernel: KernelVersion, least: KernelVersion): boolean {
  return kernel.major === least.major ? kernel.minor >= least.minor : kernel.major > least.major;
}

/**
 * Where an argument is asked about twice, each condition is a rule of its own: runc's matchCall(), for
 * profiles that were written when it always was so.
 */
function alternatives({ names, verdict, conditions, at }: ProfileRule): Rule[] {
  const indices = new Set(conditions.map(({ index }) => index));
  return indices.size === conditions.length
    ? [{ names, verdict, conditions, at }]
    : conditions.map((condition) => ({ names, verdict, conditions: [condition], at }));
}

/**
 * libseccomp refuses them with EEXIST. Of rules without conditions the first counts, and nothing else
 * about its calls.
 */
function contradictions(rules: readonly Rule[]): Problem[] {
  const unconditional = rules.filter(({ conditions }) => conditions.length === 0);
  const settled = new Set(unconditional.flatMap(({ names }) => names));
  const seen = new Map<string, Rule>();
  return rules.flatMap((rule) => {
    const key = keyOf(rule.conditions);
    const against = rule.names.flatMap((name) => {
      const first = seen.get(`${name} ${key}`);
      if (first === undefined) seen.set(`${name} ${key}`, rule);
      const isSame = first === undefined || first.verdict === rule.verdict;
      return isSame || settled.has(name) ? [] : [{ name, first }];
    });
    const [one] = against;
    if (one === undefined) return [];
    const names = against.map(({ name }) => name).join(", ");
    const why = `gives ${names} another action than ${one.first.at} for the same condition`;
    const hint = isMultiplexer(one.name)
      ? `A filter for x86 sees no arguments there: name ${one.name} in a rule without conditions`
      : "Keep one of the two";
    return [{ what: rule.at, why, hint }];
  });
}

function unknownNames(rules: readonly ProfileRule[]): Problem[] {
  return rules.flatMap(({ at, names }) => {
    const unknown = names.filter((name) => !isSyscallName(name));
    if (unknown.length === 0) return [];
    return [{ what: at, why: `no system call of Linux: ${unknown.join(", ")}` }];
  });
}

/** `listed` as `RuleSet` wants it: the machine's own, then what else of ours the profile lists. */
function listedArchitectures(
  { architectures: given, archMap }: Profile,
  native: Architecture,
): { listed: SeccompArchitecture[]; note: string[] } {
  const own = `SCMP_ARCH_${native.toUpperCase()}`;
  // Of an archMap the machine's own entry is meant.
  const entry = archMap.find(({ architecture }) => architecture === own);
  const words = entry ? [own, ...(entry.subArchitectures ?? [])] : given;
  const ours = words.flatMap((word) =>
    word === "SCMP_ARCH_NATIVE"
      ? [native]
      : architectures.filter((name) => word === `SCMP_ARCH_${name.toUpperCase()}`),
  );
  const isForeign = ours.length === 0 && given.length + archMap.length > 0;
  return {
    listed: [...new Set([native, ...ours])],
    note: isForeign
      ? [`only other machines' architectures are listed: the rules are taken for ${native}`]
      : [],
  };
}

/**
 * runc (patchbpf) lets LOG and TRACE answer for newer numbers as ALLOW does. Where the default is
 * ENOSYS already there is nothing to add.
 */
function refuses(verdict: Verdict): boolean {
  const passing: readonly string[] = ["ALLOW", "LOG", "TRACE"];
  return !passing.includes(actionOf(verdict)) && verdict !== noSuchCall;
}
