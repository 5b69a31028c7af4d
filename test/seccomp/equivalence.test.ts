/**
 * A compiled filter decides as the direct reading of its rule set. SBX_PROPERTY_RUNS is how many random
 * rule sets of each kind are tried; fast-check prints a failing one, made as small as it could.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { compileFilter } from "../../seccomp/compile.js";
import type { RuleSet } from "../../seccomp/rules.js";
import { tableOf } from "../../seccomp/syscalls.js";
import { allow, errno } from "../../seccomp/verdict.js";
import { SbxError } from "../../spec/error.js";
import { suite } from "../support/suite.js";
import { callsFor } from "./calls.js";
import { judge, naming } from "./judge.js";
import { bigRuleSet, oneCallRuleSet, profileRuleSets, randomRuleSet, runs } from "./rule-sets.js";

const test = suite("seccomp/equivalence");

const holds = (ruleSet: RuleSet) => judge(compileFilter(ruleSet), ruleSet, callsFor(ruleSet));

test("profiles", async () => {
  for (const { name, ruleSet } of await profileRuleSets(false)) naming(name, () => holds(ruleSet));
});

test("random rule sets", () => {
  fc.assert(fc.property(randomRuleSet, holds), { numRuns: runs });
});

test("random rules of one call", () => {
  const property = fc.property(oneCallRuleSet, (ruleSet) => {
    const calls = callsFor(ruleSet).filter(({ args }) => args.length > 0);
    judge(compileFilter(ruleSet), ruleSet, calls);
  });
  fc.assert(property, { numRuns: 10 * runs });
});

test("rules of hundreds of names, with jumps over 255", () => {
  let longest = 0;
  const property = fc.property(bigRuleSet, (ruleSet) => {
    holds(ruleSet);
    longest = Math.max(longest, compileFilter(ruleSet).length);
  });
  // To make one smaller would take minutes. The drawn ones may all happen to be short.
  const examples: [RuleSet][] = [[manyConditions([...tableOf("x86_64").keys()].slice(0, 40))]];
  fc.assert(property, { numRuns: Math.ceil(runs / 4), endOnFailure: true, examples });
  assert.ok(longest > 255, `the longest has ${longest} instructions`);
});

test("filters up to the 4096 instructions that the kernel takes, and none above", () => {
  const names = [...tableOf("x86_64").keys()];
  const lengths = [50, 100, 150, 200, 250, 300, 350].map((count) => {
    const ruleSet = manyConditions(names.slice(0, count));
    try {
      const program = compileFilter(ruleSet);
      const some = callsFor(ruleSet).filter((_, index) => index % 100 === 0);
      judge(program, ruleSet, some);
      return program.length;
    } catch (error) {
      if (error instanceof SbxError) return null;
      throw error;
    }
  });
  assert.ok(
    lengths.some((length) => length !== null && length > 3000),
    `${lengths}`,
  );
  assert.is(lengths.at(-1), null);
});

/** Ten values of its own for each name, so that no two calls are decided alike. */
function manyConditions(names: readonly string[]): RuleSet {
  const values = Array.from({ length: 10 }, (_, index) => index);
  return {
    architectures: ["x86_64"],
    defaultVerdict: errno | 1,
    rules: names.flatMap((name, place) =>
      values.map((index) => ({
        names: [name],
        verdict: allow,
        conditions: [{ index: 0, op: "EQ", value: BigInt(1000 * place + 7 * index), valueTwo: 0n }],
        at: "here",
      })),
    ),
    refusals: [],
    known: [],
    newerIsEnosys: false,
  };
}

test.run();
