/**
 * `Profile`: what a seccomp profile says, checked, while its conditions on capabilities, architecture
 * and kernel are still open. There are two forms, read as one: `linux.seccomp` of the OCI runtime-spec
 * (v1.2, config-linux.md), and what moby and podman have in files, with `archMap`, `includes`,
 * `excludes` and names of errnos (profiles/seccomp of github.com/moby/moby, pkg/seccomp of
 * github.com/containers/common).
 */
import type { FilterFlag } from "../spec/actions/privileges.js";
import { type Problem, SbxError } from "../spec/error.js";
import { list, object, optional, type Report, text } from "../spec/shape.js";
import { notifyHint, type ProfileRule, rule, verdictOf } from "./profile-rule.js";
import * as words from "./profile-words.js";
import type { Verdict } from "./rules.js";
import type { Action } from "./verdict.js";

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
  readonly flags: readonly FilterFlag[];
  /** The socket that gets the fd for what SCMP_ACT_NOTIFY is asked about. */
  readonly listenerPath: string | null;
  readonly listenerMetadata: string | null;
  readonly rules: readonly ProfileRule[];
}

interface RawProfile {
  defaultAction: Action;
  defaultErrnoRet?: number;
  defaultErrno?: number;
  architectures?: string[];
  archMap?: ArchMapEntry[];
  flags?: FilterFlag[];
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
    defaultVerdict: verdictOf(
      defaultAction,
      { at: "defaultErrnoRet", errno: raw.defaultErrnoRet },
      { at: "defaultErrno", errno: raw.defaultErrno },
      report,
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
