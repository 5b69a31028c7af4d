/**
 * Where only one id exists inside, chown(2) gives EINVAL for every other, and programs that unpack
 * files fail without saying why. A filter of its own has the monitor told of such calls; it lets all
 * of them go on, and says at the end what was missing.
 */
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Step } from "../spec/step.js";
import { compileFilter } from "./compile.js";
import { encodeFilter } from "./instruction.js";
import { precompiledOwners } from "./precompiled.js";
import type { Rule, RuleSet } from "./rules.js";
import { actionOf, allow, userNotif } from "./verdict.js";

/** The only ids inside, and what people are told who need more. */
export interface OnlyIds {
  readonly uid: number;
  readonly gid: number;
  /** One line. */
  readonly message: string;
}

/** Which argument is the uid; the gid is the next. */
const calls = [
  { names: ["chown", "fchown", "lchown", "chown32", "fchown32", "lchown32"], uidIndex: 1 },
  { names: ["fchownat"], uidIndex: 2 },
];

/** -1 leaves an owner as it is; i386 and arm have calls with ids of 16 bits too. */
const unchanged = [0xffffffffn, 0xffffn];

/** Asks about calls that give files to others than the only ids inside. */
export function ownersFilter(
  { uid, gid }: Pick<OnlyIds, "uid" | "gid">,
  architectures: RuleSet["architectures"],
): Uint8Array {
  const other = (names: readonly string[], index: number, own: number): Rule => ({
    names,
    verdict: userNotif,
    conditions: [BigInt(own), ...unchanged].map((value) => ({
      index,
      op: "NE",
      value,
      valueTwo: 0n,
    })),
    at: "owners",
  });
  const watched = compileFilter({
    architectures,
    defaultVerdict: allow,
    rules: calls.flatMap(({ names, uidIndex }) => [
      other(names, uidIndex, uid),
      other(names, uidIndex + 1, gid),
    ]),
    refusals: [],
    known: [],
    newerIsEnosys: false,
  });
  return encodeFilter(watched);
}

/**
 * The step, before `ruleSet`'s filter is loaded. None where the kernel cannot let a call go on that it
 * has asked about (before Linux 5.5), and where that would take the answer from somebody else: there
 * is one listener to a process, and no tracer or log would see the call.
 */
export function watchSteps(
  { uid, gid, message }: OnlyIds,
  { rules, defaultVerdict, architectures }: RuleSet,
  host: Host,
): Step[] {
  const others = ["NOTIFY", "TRACE", "LOG"];
  const isTaken = [defaultVerdict, ...rules.map(({ verdict }) => verdict)].some((verdict) =>
    others.includes(actionOf(verdict)),
  );
  if (isTaken || !kernelAtLeast(host, 5, 5)) return [];
  const isRoot = uid === 0 && gid === 0;
  const filter =
    (isRoot ? precompiledOwners(architectures) : null) ?? ownersFilter({ uid, gid }, architectures);
  const action = { kind: "watchOwners", filter, message } as const;
  return [{ role: "payload", phase: "seccomp", action }];
}
