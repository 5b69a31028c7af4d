/**
 * What a rule set says about one call: the comment of `RuleSet`, read rule by rule. It shares nothing
 * with the compiler. Tests hold the one against the other, and `explain` shows which rule decides.
 */
import { assertNever } from "../spec/assert-never.js";
import {
  armPrivate,
  auditArch,
  narrowArchitectures,
  type SeccompArchitecture,
  x32Bit,
} from "./architecture.js";
import type { Condition, Rule, RuleSet, Verdict } from "./rules.js";
import { syscallNumber } from "./syscalls.js";
import { killProcess, mayLetThrough, noSuchCall } from "./verdict.js";

/** What a call gets, and why. */
export type Decision =
  /** The rule has no conditions, or they hold. */
  | { readonly kind: "rule"; readonly verdict: Verdict; readonly rule: Rule }
  /** `rule` is the one of `refusals`; `overruled` is what would be without it. */
  | {
      readonly kind: "refusal";
      readonly verdict: Verdict;
      readonly rule: Rule;
      readonly overruled: Decision;
    }
  /** `greatest` is the greatest number of this architecture that the profile names. */
  | { readonly kind: "newer"; readonly verdict: Verdict; readonly greatest: number }
  | { readonly kind: "default"; readonly verdict: Verdict }
  /** The architecture is not listed. */
  | { readonly kind: "unlisted"; readonly verdict: Verdict };

/**
 * `arch` and `nr` as in `struct seccomp_data`, unsigned; `args` as the kernel sees them, unsigned, 64
 * bits each; those left out are 0.
 */
export function decide(
  ruleSet: RuleSet,
  arch: number,
  nr: number,
  args: readonly bigint[],
): Decision {
  const architecture = ruleSet.architectures.find((listed) => isCallOf(listed, arch, nr));
  if (architecture === undefined) return { kind: "unlisted", verdict: killProcess };
  const named = ({ names }: Rule) => names.some((name) => syscallNumber(architecture, name) === nr);
  const bits = narrowArchitectures.has(architecture) ? 32 : 64;
  const fits = ({ conditions }: Rule) =>
    conditions.every((condition) => holds(condition, args, bits));

  const decision = decideByRules(ruleSet, architecture, nr, ruleSet.rules.filter(named), fits);
  const rule = ruleSet.refusals.filter(named).find(fits);
  return rule === undefined || !mayLetThrough(decision.verdict)
    ? decision
    : { kind: "refusal", verdict: rule.verdict, rule, overruled: decision };
}

/** `rules` are those that name the call. */
function decideByRules(
  { defaultVerdict, newerIsEnosys, rules: all, known }: RuleSet,
  architecture: SeccompArchitecture,
  nr: number,
  rules: readonly Rule[],
  fits: (rule: Rule) => boolean,
): Decision {
  const rule = rules.find(({ conditions }) => conditions.length === 0) ?? rules.find(fits);
  if (rule !== undefined) return { kind: "rule", verdict: rule.verdict, rule };
  const usual: Decision = { kind: "default", verdict: defaultVerdict };
  if (!newerIsEnosys) return usual;
  const numbers = [...all.flatMap(({ names }) => names), ...known].map(
    (name) => syscallNumber(architecture, name) ?? -1,
  );
  const ordinary = architecture === "arm" ? numbers.filter((one) => one < armPrivate) : numbers;
  const greatest = ordinary.reduce((a, b) => Math.max(a, b), -1);
  // A profile that names no call of the architecture knows of no number that could be newer.
  return greatest >= 0 && nr > greatest ? { kind: "newer", verdict: noSuchCall, greatest } : usual;
}

/**
 * As libseccomp has it, a call of x86-64 whose number is at or above x32's bit is one of x32, but for
 * -1: a tracer sets that number to skip a call.
 */
function isCallOf(architecture: SeccompArchitecture, arch: number, nr: number): boolean {
  if (auditArch[architecture] !== arch) return false;
  const isX32 = nr >= x32Bit && nr !== 0xffffffff;
  return arch !== auditArch.x32 || isX32 === (architecture === "x32");
}

function holds({ index, op, ...constants }: Condition, args: readonly bigint[], bits: number) {
  const argument = BigInt.asUintN(bits, args[index] ?? 0n);
  const value = BigInt.asUintN(bits, constants.value);
  const valueTwo = BigInt.asUintN(bits, constants.valueTwo);
  switch (op) {
    case "EQ":
      return argument === value;
    case "NE":
      return argument !== value;
    case "LT":
      return argument < value;
    case "LE":
      return argument <= value;
    case "GE":
      return argument >= value;
    case "GT":
      return argument > value;
    case "MASKED_EQ":
      return (argument & value) === (valueTwo & value);
    default:
      return assertNever(op);
  }
}
