/** What a rule set decides for each number of an architecture: rules by name become runs of numbers. */
import {
  armPrivate,
  narrowArchitectures,
  type SeccompArchitecture,
  x32Bit,
} from "./architecture.js";
import type { Condition, Rule, RuleSet, Verdict } from "./rules.js";
import { syscallNumber } from "./syscalls.js";
import { mayLetThrough, noSuchCall } from "./verdict.js";

export interface Case {
  /** All must hold. */
  readonly conditions: readonly Condition[];
  readonly verdict: Verdict;
}

/** The first case that holds decides, else `otherwise`. */
export interface Decision {
  readonly cases: readonly Case[];
  readonly otherwise: Verdict;
  /** The arguments have 32 bits, and so have the constants of the conditions. */
  readonly isNarrow: boolean;
  /** The same for the same decision. */
  readonly key: string;
}

/** From `start` to the next run's, or to 0xffffffff. */
export interface Run {
  readonly start: number;
  readonly decision: Decision;
}

export interface DecisionTable {
  /** The first from 0, no two neighbours alike. Those of x32 are without its bit. */
  readonly runs: readonly Run[];
  /** How many numbers have rules. */
  readonly named: number;
}

export function decisionOf(
  otherwise: Verdict,
  cases: readonly Case[] = [],
  isNarrow = false,
): Decision {
  const words = cases.map(({ conditions, verdict }) => `${keyOf(conditions)}:${verdict}`);
  const width = isNarrow && cases.length > 0 ? ["narrow"] : [];
  return { cases, otherwise, isNarrow, key: [...width, ...words, otherwise].join(" ") };
}

/** What is decided for every number of an architecture. */
export function decisionTable(ruleSet: RuleSet, architecture: SeccompArchitecture): DecisionTable {
  const bit = architecture === "x32" ? x32Bit : 0;
  const rulesOf = (rules: readonly Rule[]) => byNumber(rules, architecture, bit);
  const [rules, refusals] = [rulesOf(ruleSet.rules), rulesOf(ruleSet.refusals)];
  const known = ruleSet.known.map((name) => (syscallNumber(architecture, name) ?? -1) - bit);
  const ordinary = [...known, ...rules.keys()].filter((number) => number < armPrivate);
  const greatest = Math.max(-1, ...ordinary);
  const decide = (number: number): Decision => {
    const isNewer = ruleSet.newerIsEnosys && greatest >= 0 && number > greatest;
    const standard = isNewer ? noSuchCall : ruleSet.defaultVerdict;
    const decision = refuse(choose(rules.get(number) ?? [], standard), refusals.get(number) ?? []);
    return narrowArchitectures.has(architecture) ? narrow(decision) : decision;
  };

  const numbers = new Set([...rules.keys(), ...refusals.keys()]);
  const starts = new Set([0, greatest + 1, ...[...numbers].flatMap((one) => [one, one + 1])]);
  const runs: Run[] = [];
  for (const start of [...starts].sort((a, b) => a - b)) {
    const decision = decide(start);
    if (runs.at(-1)?.decision.key !== decision.key) runs.push({ start, decision });
  }
  return { runs, named: numbers.size };
}

/** The rules that name each number, in the order they stand. */
function byNumber(
  rules: readonly Rule[],
  architecture: SeccompArchitecture,
  bit: number,
): Map<number, Rule[]> {
  const found = new Map<number, Rule[]>();
  for (const rule of rules) {
    for (const name of rule.names) {
      const number = syscallNumber(architecture, name);
      if (number === null) continue;
      const list = found.get(number - bit);
      if (list === undefined) found.set(number - bit, [rule]);
      else list.push(rule);
    }
  }
  return found;
}

function choose(rules: readonly Rule[], standard: Verdict): Decision {
  const always = rules.find(({ conditions }) => conditions.length === 0);
  return always === undefined ? decisionOf(standard, rules) : decisionOf(always.verdict);
}

/** A refusal goes before what would let the call through, and only there. */
function refuse(decision: Decision, refusals: readonly Rule[]): Decision {
  if (refusals.length === 0) return decision;
  const guarded = ({ conditions, verdict }: Case): Case[] =>
    mayLetThrough(verdict)
      ? refusals.map((rule) => ({
          conditions: [...conditions, ...rule.conditions],
          verdict: rule.verdict,
        }))
      : [];
  const last = { conditions: [], verdict: decision.otherwise };
  return decisionOf(decision.otherwise, [
    ...decision.cases.flatMap((one) => [...guarded(one), one]),
    ...guarded(last),
  ]);
}

function narrow({ cases, otherwise }: Decision): Decision {
  const low = (number: bigint) => BigInt.asUintN(32, number);
  const narrowed = cases.map(({ conditions, verdict }) => ({
    verdict,
    conditions: conditions.map(({ value, valueTwo, ...rest }) => ({
      ...rest,
      value: low(value),
      valueTwo: low(valueTwo),
    })),
  }));
  return decisionOf(otherwise, narrowed, true);
}

/** The same for the same conditions in another order. */
export function keyOf(conditions: readonly Condition[]): string {
  return conditions
    .map(({ index, op, value, valueTwo }) =>
      op === "MASKED_EQ" ? `${index}&${value}=${valueTwo & value}` : `${index}${op}${value}`,
    )
    .sort()
    .join(",");
}
