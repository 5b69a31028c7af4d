/** What a profile says about one call, and why, as text. Pure. */
import { assertNever } from "../spec/assert-never.js";
import { auditArch, type SeccompArchitecture } from "./architecture.js";
import { type Decision, decide } from "./decide.js";
import { describeConditions } from "./describe.js";
import type { Profile } from "./profile.js";
import { type Circumstances, whyNot } from "./resolve.js";
import type { Rule, RuleSet } from "./rules.js";
import { syscallName, syscallNumber } from "./syscalls.js";
import { describeVerdict } from "./verdict.js";

export interface Call {
  readonly architecture: SeccompArchitecture;
  /** As `seccomp_data.nr` has it. */
  readonly number: number;
  /** The first of them, 64 bits each; the others are not known. */
  readonly args: readonly bigint[];
}

/**
 * A line with the verdict, one with what gives it, then one for each other rule that names the call.
 * `ruleSet` is what the profile is in these circumstances.
 */
export function explainCall(
  call: Call,
  profile: Profile,
  circumstances: Circumstances,
  ruleSet: RuleSet,
): string[] {
  const { architecture, number, args } = call;
  const name = syscallName(architecture, number);
  const head = `${name === null ? `number ${number}` : `${name} (${number})`} on ${architecture}`;
  const named = ({ names }: Pick<Rule, "names">) =>
    names.some((each) => syscallNumber(architecture, each) === number);
  const rules = ruleSet.architectures.includes(architecture) ? ruleSet.rules.filter(named) : [];
  // Without conditions there is nothing to know, nor for any other rule to say.
  const conditional = rules.some(({ conditions }) => conditions.length === 0) ? [] : rules;
  const isOpen = conditional.some(({ conditions }) =>
    conditions.some(({ index }) => index >= args.length),
  );
  const decision = isOpen ? null : decide(ruleSet, auditArch[architecture], number, args);
  return [
    ...(decision === null
      ? [`${head}: depends on its arguments`, `  ${openReason(ruleSet)}`]
      : [`${head}: ${describeVerdict(decision.verdict)}`, `  ${reason(decision, architecture)}`]),
    ...conditional
      .filter((rule) => decision?.kind !== "rule" || rule !== decision.rule)
      .map(({ at, verdict, conditions }) => {
        return `  ${at}: ${describeVerdict(verdict)} if ${describeConditions(conditions)}`;
      }),
    ...profile.rules.filter(named).flatMap((rule) => {
      const why = whyNot(rule, circumstances);
      if (why !== null) return [`  ${rule.at}: does not apply, ${why}`];
      return rule.verdict === profile.defaultVerdict
        ? [`  ${rule.at}: says what the default says`]
        : [];
    }),
  ];
}

function openReason({ defaultVerdict }: RuleSet): string {
  const otherwise = describeVerdict(defaultVerdict);
  return `the first rule whose conditions hold decides, else the profile's default: ${otherwise}`;
}

function reason(decision: Decision, architecture: SeccompArchitecture): string {
  switch (decision.kind) {
    case "rule": {
      const { at, conditions } = decision.rule;
      return conditions.length === 0
        ? `${at} names it without conditions`
        : `${at} holds: ${describeConditions(conditions)}`;
    }
    case "refusal":
      return `${decision.rule.at} refuses it, whatever the profile says`;
    case "newer":
      return `newer than the profile, which knows numbers up to ${decision.greatest}`;
    case "default":
      return "no rule that names it holds: the profile's default";
    case "unlisted":
      return `the profile does not list ${architecture}`;
    default:
      return assertNever(decision);
  }
}
