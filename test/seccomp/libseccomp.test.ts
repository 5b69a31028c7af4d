/** Our filters decide as those that libseccomp makes of the same rules, and are no longer. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { compileFilter } from "../../seccomp/compile.js";
import type { Instruction } from "../../seccomp/instruction.js";
import type { RuleSet } from "../../seccomp/rules.js";
import { type Call, simulate } from "../../seccomp/simulate.js";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { describeVerdict } from "../../seccomp/verdict.js";
import { libseccompFilter } from "../support/libseccomp.js";
import { suite } from "../support/suite.js";
import { callsFor } from "./calls.js";
import { describeCall, naming } from "./judge.js";
import { profileRuleSets, runs, singleRuleSet } from "./rule-sets.js";

const test = suite("seccomp/libseccomp");

/** What libseccomp 2.5.4 does not know of what the profiles name; the last is none of Linux. */
const unknownToIt = (
  "getxattrat listmount listxattrat lsm_get_self_attr lsm_list_modules lsm_set_self_attr mseal " +
  "removexattrat riscv_hwprobe setxattrat statmount uretprobe no_such_call"
).split(" ");
/** It has map_shadow_stack for x86-64 alone; Linux 6.6 and later have it for x32 as well. */
const lacking = syscallNumber("x32", "map_shadow_stack");

function agree(
  ours: readonly Instruction[],
  theirs: readonly Instruction[],
  calls: readonly Call[],
): void {
  for (const call of calls) {
    const [our, their] = [simulate(ours, call).verdict, simulate(theirs, call).verdict];
    if (our === their || call.nr === lacking) continue;
    const [is, should] = [our, their].map(describeVerdict);
    assert.unreachable(`${describeCall(call)} gets ${is}, not libseccomp's ${should}`);
  }
}

test.needs("libseccomp", "profiles are decided alike, and by fewer instructions", async () => {
  for (const { name, ruleSet, unmultiplexed } of await profileRuleSets(true)) {
    naming(name, () => {
      const [linear, tree] = [
        libseccompFilter(unmultiplexed, "linear"),
        libseccompFilter(unmultiplexed, "tree"),
      ];
      assert.equal(linear.refused, []);
      assert.equal(
        linear.unknown.filter((one) => !unknownToIt.includes(one)),
        [],
      );
      const known = withoutNames(ruleSet, linear.unknown);
      const filter = compileFilter(known);
      for (const { program } of [linear, tree]) agree(filter, program, callsFor(known));
      assert.ok(filter.length <= linear.program.length, `${filter.length} instructions`);
    });
  }
});

// With several conditional rules libseccomp's filters do not do what the rules say: docs/seccomp.md.
test.needs("libseccomp", "a random rule is decided alike", () => {
  const property = fc.property(singleRuleSet, (ruleSet) => {
    const [filter, calls] = [compileFilter(ruleSet), callsFor(ruleSet)];
    for (const form of ["linear", "tree"] as const) {
      const { program, refused } = libseccompFilter(ruleSet, form);
      assert.equal(refused, []);
      agree(filter, program, calls);
    }
  });
  fc.assert(property, { numRuns: runs });
});

function withoutNames(ruleSet: RuleSet, unknown: readonly string[]): RuleSet {
  const rules = ruleSet.rules.map((rule) => ({
    ...rule,
    names: rule.names.filter((name) => !unknown.includes(name)),
  }));
  return { ...ruleSet, rules };
}

test.run();
