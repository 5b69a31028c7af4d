/** The rules of a profile, `syscalls` in its JSON; and how an action and an errno make a verdict. */
import type { Capability } from "../spec/capabilities.js";
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
export const notifyHint = "Whoever hands the listener over has to write before anyone answers";

export const rule: Check<Omit<ProfileRule, "at">> = (value, at, report) => {
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
    verdict: verdictOf(
      action,
      { at: `${at}.errnoRet`, errno: raw.errnoRet },
      { at: `${at}.errno`, errno: raw.errno },
      report,
    ),
    conditions: args.map(({ index, op, value, valueTwo = 0n }) => ({ index, op, value, valueTwo })),
    includes: raw.includes ?? {},
    excludes: raw.excludes ?? {},
  };
};

/** An errno, where it is given, and the path that it is given at. */
interface Given {
  readonly at: string;
  readonly errno: number | undefined;
}

/** Of two errnos podman takes the named one, and others only know the number: they must not differ. */
export function verdictOf(action: Action, number: Given, named: Given, report: Report): Verdict {
  const { at, errno } = number.errno === undefined ? named : number;
  if (named.errno !== undefined && errno !== named.errno) {
    report(at, `is ${errno}, but the named errno is ${named.errno}`);
  }
  // Undefined where it was wrong.
  if (errno !== undefined && action !== undefined && !takesErrno(action)) {
    report(at, `has no meaning with SCMP_ACT_${action}`);
  }
  // EPERM where none is given: config-linux.md.
  return (actions[action] | (takesErrno(action) ? (errno ?? 1) : 0)) >>> 0;
}
