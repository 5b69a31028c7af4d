/** Calls under a filter, and what must come of them. */
import { auditArch, type SeccompArchitecture } from "../../seccomp/architecture.js";
import { compileFilter } from "../../seccomp/compile.js";
import { decide } from "../../seccomp/decide.js";
import type { Condition, Rule, RuleSet } from "../../seccomp/rules.js";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { allow } from "../../seccomp/verdict.js";
import type { Attempt, AttemptedCall, Outcome, ProgramArchitecture } from "../support/calls.js";

export interface Trial extends Attempt {
  /** For each of the calls. */
  readonly expected: readonly Outcome[];
}

/** A call by name, by number, or as it is; what must come of it; its arguments. */
export type Step = readonly [string | number | AttemptedCall, Outcome, ...bigint[]];

export function trial(
  program: ProgramArchitecture,
  rules: RuleSet,
  ...steps: readonly Step[]
): Trial {
  return {
    program,
    filter: compileFilter(rules),
    calls: steps.map(([call, , ...args]) => {
      if (typeof call === "object") return call;
      return { number: typeof call === "number" ? call : numberOf(program, call), args };
    }),
    expected: steps.map(([, outcome]) => outcome),
  };
}

/** Calls by name, of which must come what a reading of the rules says; they allow or have an errno. */
export function judged(
  program: ProgramArchitecture,
  rules: RuleSet,
  calls: readonly (readonly [string, ...bigint[]])[],
): Trial {
  const steps = calls.map(([name, ...given]) => {
    const args = given.map((arg) => asArgument(program, arg));
    const { verdict } = decide(rules, auditArch[program], numberOf(program, name), args);
    return [name, verdict === allow ? "returned" : `errno ${verdict & 0xffff}`, ...args] as const;
  });
  return trial(program, rules, ...steps);
}

/** What a call of the architecture can hand over of a number. */
export function asArgument(architecture: SeccompArchitecture, value: bigint): bigint {
  const is32bit = architecture === "x86" || architecture === "arm";
  return BigInt.asUintN(is32bit ? 32 : 64, value);
}

export function numberOf(architecture: SeccompArchitecture, name: string): number {
  const number = syscallNumber(architecture, name);
  if (number === null) throw new Error(`${architecture} has no ${name}`);
  return number;
}

/** All that no rule names is allowed. */
export function allowing(program: ProgramArchitecture, ...rules: readonly Rule[]): RuleSet {
  return {
    architectures: [program],
    defaultVerdict: allow,
    rules,
    refusals: [],
    known: [],
    newerIsEnosys: false,
  };
}

export function rule(names: string, verdict: number, ...conditions: readonly Condition[]): Rule {
  return { names: names.split(" "), verdict, conditions, at: names };
}

export function condition(
  index: number,
  op: Condition["op"],
  value: bigint,
  valueTwo = 0n,
): Condition {
  return { index, op, value, valueTwo };
}
