/**
 * `Profile`: what a seccomp profile says, checked, while its conditions on capabilities, architecture
 * and kernel are still open. There are two forms, read as one: `linux.seccomp` of the OCI runtime-spec
 * (v1.2, config-linux.md), and what moby and podman have in files, with `archMap`, `includes`,
 * `excludes` and names of errnos (profiles/seccomp of github.com/moby/moby, pkg/seccomp of
 * github.com/containers/common).
 */
import type { Capability } from "../spec/capabilities.js";
import { type Problem, SbxError } from "../spec/error.js";
import {
  type Check,
  list,
  nonEmptyText,
  object,
  optional,
  type Report,
  text,
  whole,
} from "../spec/shape.js";
import * as words from "./profile-words.js";
import type { Condition, Verdict } from "./rules.js";
import { type Action, actions, takesErrno } from "./verdict.js";

/** When a rule applies: `includes`, or does not: `excludes`. */
export interface Filter {
  caps?: Capability[];
  /** In moby's words: amd64, arm64. */
  arches?: string[];
  /** This version and all after it. */
  minKernel?: words.KernelVersion;
}

export interface ProfileRule {
  readonly names: readonly string[];
  readonly verdict: Verdict;
  /** In the order of the file; an index may occur more than once. */
  readonly conditions: readonly Condition[];
  readonly includes: Filter;
  readonly excludes: Filter;
  /** For people: `profile.json:12:5: syscalls[3]`. */
  readonly at: string;
}

export interface ArchMapEntry {
  architecture: string;
  subArchitectures?: string[];
}

export interface Profile {
  readonly defaultVerdict: Verdict;
  /** SCMP_ARCH_*, as given; one of the two is empty. */
  readonly architectures: readonly string[];
  readonly archMap: readonly ArchMapEntry[];
  /** SECCOMP_FILTER_FLAG_*, see seccomp(2). */
  readonly flags: readonly string[];
  /** The socket that gets the fd for what SCMP_ACT_NOTIFY is asked about. */
  readonly listenerPath: string | null;
  readonly listenerMetadata: string | null;
  readonly rules: readonly ProfileRule[];
}

const filter = object<Filter>({
  caps: optional(list(words.capability)),
  arches: optional(list(words.machine)),
  minKernel: optional(words.kernelVersion),
});

type RawCondition = Omit<Condition, "valueTwo"> & { valueTwo?: bigint };

interface RawRule {
  names?: string[];
  /** In older files, in the stead of names. */
  name?: string;
  action: Action;
  args?: RawCondition[];
  errnoRet?: number;
  errno?: number;
  comment?: string;
  includes?: Filter;
  excludes?: Filter;
}

const rawRule = object<RawRule>({
  names: optional(list(nonEmptyText, 1)),
  name: optional(text),
  action: words.action,
  args: optional(
    list(
      object<RawCondition>({
        index: whole(0, 5),
        op: words.operator,
        value: words.word64,
        valueTwo: optional(words.word64),
      }),
    ),
  ),
  errnoRet: optional(words.errno),
  errno: optional(words.errnoName),
  comment: optional(text),
  includes: optional(filter),
  excludes: optional(filter),
});

/** runc refuses the same: it tells its parent of the listener by a write. */
const notifyHint = "Whoever hands the listener over has to write before anyone answers";

const rule: Check<Omit<ProfileRule, "at">> = (value, at, report) => {
  const raw = rawRule(value, at, report);
  if (raw === undefined) return undefined;
  const { action, name, names = [], args = [] } = raw;
  if (name && names.length > 0) report(`${at}.name`, "excludes names", "Give one of the two");
  if (!name && !Object.hasOwn(value as object, "names")) report(`${at}.names`, "is missing");
  const all = name ? [name] : names;
  if (action === "NOTIFY" && all.includes("write")) {
    report(`${at}.action`, "must not be SCMP_ACT_NOTIFY for write", notifyHint);
  }
  return {
    names: all,
    verdict: verdictOf(action, raw.errnoRet, raw.errno, (why) => report(`${at}.errnoRet`, why)),
    conditions: args.map(({ index, op, value, valueTwo = 0n }) => ({ index, op, value, valueTwo })),
    includes: raw.includes ?? {},
    excludes: raw.excludes ?? {},
  };
};

interface RawProfile {
  defaultAction: Action;
  defaultErrnoRet?: number;
  defaultErrno?: number;
  architectures?: string[];
  archMap?: ArchMapEntry[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: Omit<ProfileRule, "at">[];
  comment?: string;
}

const rawProfile = object<RawProfile>({
  defaultAction: words.action,
  defaultErrnoRet: optional(words.errno),
  defaultErrno: optional(words.errnoName),
  architectures: optional(list(words.architecture)),
  archMap: optional(
    list(
      object<ArchMapEntry>({
        architecture: words.architecture,
        subArchitectures: optional(list(words.architecture)),
      }),
    ),
  ),
  flags: optional(list(words.flag)),
  listenerPath: optional(text),
  listenerMetadata: optional(text),
  syscalls: optional(list(rule)),
  comment: optional(text),
});

/**
 * The profile in a JSON value, whose integers may be bigints. A key with null is as good as none, as in
 * Go, which profiles are written for. `place` says where the value at a path such as
 * `syscalls[3].action` stands, for people. Fails with all that is wrong, one problem each.
 */
export function profileOf(value: unknown, place: (path: string) => string): Profile {
  const problems: Problem[] = [];
  const report: Report = (path, why, hint) =>
    problems.push({ what: place(path), why, ...(hint === undefined ? {} : { hint }) });
  const raw = rawProfile(withoutNulls(value), "", report);
  const profile = raw === undefined ? undefined : assembled(raw, place, report);
  // Wrong values are left out of what was checked: it is of use only where there is none.
  if (profile === undefined || problems.length > 0) throw new SbxError(problems);
  return profile;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutNulls(each)]));
}

function assembled(raw: RawProfile, place: (path: string) => string, report: Report): Profile {
  const { defaultAction, architectures = [], archMap = [], listenerPath, listenerMetadata } = raw;
  if (architectures.length > 0 && archMap.length > 0) {
    report("archMap", "excludes architectures", "Give one of the two");
  }
  if (defaultAction === "NOTIFY") {
    report("defaultAction", "must not be SCMP_ACT_NOTIFY, which would cover write", notifyHint);
  }
  if (listenerMetadata && !listenerPath) report("listenerMetadata", "needs a listenerPath");
  return {
    defaultVerdict: verdictOf(defaultAction, raw.defaultErrnoRet, raw.defaultErrno, (why) =>
      report("defaultErrnoRet", why),
    ),
    architectures,
    archMap,
    flags: raw.flags ?? [],
    listenerPath: listenerPath || null,
    listenerMetadata: listenerMetadata || null,
    rules: (raw.syscalls ?? []).map((each, index) => ({
      ...each,
      at: place(`syscalls[${index}]`),
    })),
  };
}

/** Of two errnos podman takes the named one, and others only know the number: they must not differ. */
function verdictOf(
  action: Action,
  number: number | undefined,
  named: number | undefined,
  report: (why: string) => void,
): Verdict {
  const data = number ?? named;
  if (number !== undefined && named !== undefined && number !== named) {
    report(`is ${number}, but the named errno is ${named}`);
  }
  // Undefined where it was wrong.
  if (data !== undefined && action !== undefined && !takesErrno(action)) {
    report(`has no meaning with SCMP_ACT_${action}`);
  }
  // EPERM where none is given: config-linux.md.
  return (actions[action] | (takesErrno(action) ? (data ?? 1) : 0)) >>> 0;
}
