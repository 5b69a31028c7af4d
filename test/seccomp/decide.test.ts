import * as assert from "uvu/assert";
import { auditArch, type SeccompArchitecture } from "../../seccomp/architecture.js";
import { decide } from "../../seccomp/decide.js";
import type { Condition, Operator, Rule, RuleSet } from "../../seccomp/rules.js";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { allow, errno, killProcess, log, noSuchCall, userNotif } from "../../seccomp/verdict.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/decide");

const refused = errno | 1;
const when = (op: Operator, value: bigint, valueTwo = 0n, index = 0): Condition => ({
  index,
  op,
  value,
  valueTwo,
});
const rule = (at: string, name: string, verdict: number, ...conditions: Condition[]): Rule => ({
  names: [name],
  verdict,
  conditions,
  at,
});
const ruleSet = (rules: Rule[], rest: Partial<RuleSet> = {}): RuleSet => ({
  architectures: ["x86_64"],
  defaultVerdict: refused,
  rules,
  refusals: [],
  known: [],
  newerIsEnosys: false,
  ...rest,
});

/** The kind, and the rule's place, the greatest number or the verdict. */
function decided(
  set: RuleSet,
  call: string | number,
  args: bigint[] = [],
  architecture: SeccompArchitecture = "x86_64",
): string {
  const nr = typeof call === "number" ? call : (syscallNumber(architecture, call) ?? -1);
  const decision = decide(set, auditArch[architecture], nr, args);
  switch (decision.kind) {
    case "rule":
      return `rule ${decision.rule.at}`;
    case "refusal":
      return `refusal ${decision.rule.at} over ${decision.overruled.kind}`;
    case "newer":
      return `newer than ${decision.greatest}`;
    default:
      return `${decision.kind} ${decision.verdict}`;
  }
}

test("a rule without conditions beats those with, the first of them wins", () => {
  const set = ruleSet([
    rule("conditional", "ioctl", log, when("EQ", 1n)),
    rule("first", "ioctl", allow),
    rule("second", "ioctl", refused),
  ]);
  assert.is(decided(set, "ioctl", [1n]), "rule first");
  assert.is(decided(set, "read"), `default ${refused}`);
});

test("of rules with conditions the first decides that holds in all of them", () => {
  const set = ruleSet([
    rule("both", "ioctl", allow, when("EQ", 1n), when("EQ", 2n, 0n, 1)),
    rule("one", "ioctl", log, when("EQ", 1n)),
    rule("again", "ioctl", errno, when("LE", 1n)),
  ]);
  assert.is(decided(set, "ioctl", [1n, 2n]), "rule both");
  assert.is(decided(set, "ioctl", [1n, 3n]), "rule one");
  assert.is(decided(set, "ioctl", [0n]), "rule again");
  assert.is(decided(set, "ioctl", [2n]), `default ${refused}`);
});

test("compares 64 bits, unsigned", () => {
  const most = 2n ** 64n - 1n;
  const cases: [Condition, holds: bigint[], not: bigint[]][] = [
    [when("EQ", 2n ** 32n), [2n ** 32n], [0n, 2n ** 32n + 1n]],
    [when("NE", 0n), [2n ** 32n, most], [0n]],
    [when("LT", 2n ** 63n), [0n, 2n ** 63n - 1n], [2n ** 63n, most]],
    [when("LE", 2n ** 63n), [2n ** 63n], [2n ** 63n + 1n]],
    [when("GE", 2n ** 32n), [2n ** 32n, most], [2n ** 32n - 1n]],
    [when("GT", 2n ** 32n), [2n ** 32n + 1n], [2n ** 32n, 1n]],
    // The mask is on both sides.
    [when("MASKED_EQ", 0xf0n, 0x11n), [0x10n, 0x1fn, 2n ** 63n + 0x10n], [0x11n + 0x10n, 0n]],
  ];
  for (const [condition, holds, not] of cases) {
    const set = ruleSet([rule("it", "lseek", allow, condition)]);
    for (const value of holds) assert.is(decided(set, "lseek", [value]), "rule it");
    for (const value of not) assert.is(decided(set, "lseek", [value]), `default ${refused}`);
  }
});

test("compares the low halves where arguments have 32 bits", () => {
  const architectures: SeccompArchitecture[] = ["x86_64", "x86", "x32"];
  const set = ruleSet([rule("it", "lseek", allow, when("EQ", 2n ** 32n + 1n))], { architectures });
  assert.is(decided(set, "lseek", [1n], "x86_64"), `default ${refused}`);
  assert.is(decided(set, "lseek", [1n], "x86"), "rule it");
  assert.is(decided(set, "lseek", [2n ** 33n + 1n], "x32"), "rule it");
});

test("tells x32 by its bit, and -1 from it", () => {
  const both = ruleSet([rule("it", "read", allow)], { architectures: ["x86_64", "x32"] });
  assert.is(decided(both, 0x40000000), "rule it");
  assert.is(decided(both, 0xffffffff), `default ${refused}`);
  const one = ruleSet([rule("it", "read", allow)]);
  for (const nr of [0x40000000, 0x40000001, 0x80000000, 0xfffffffe]) {
    assert.is(decided(one, nr), `unlisted ${killProcess}`);
  }
  assert.is(decided(one, 0x3fffffff), `default ${refused}`);
  assert.is(decided(one, 0xffffffff), `default ${refused}`);
});

test("kills on an architecture that is not listed, whatever the default", () => {
  const set = ruleSet([rule("it", "read", allow)], { defaultVerdict: allow });
  assert.is(decided(set, "read", [], "x86"), `unlisted ${killProcess}`);
  assert.is(decided(set, "read", [], "aarch64"), `unlisted ${killProcess}`);
});

test("has ENOSYS for numbers above all that the profile names on the architecture", () => {
  const architectures: SeccompArchitecture[] = ["x86_64", "x86"];
  const rules = [rule("it", "read", allow), rule("last", "clone3", allow, when("EQ", 1n))];
  const set = ruleSet(rules, { architectures, newerIsEnosys: true, known: ["openat2"] });
  assert.is(decided(set, 436), `default ${refused}`);
  assert.is(decided(set, 437), `default ${refused}`, "openat2 is known");
  assert.is(decided(set, 438), "newer than 437");
  assert.is(decide(set, auditArch.x86_64, 438, []).verdict, noSuchCall);
  assert.is(decided(set, 0xffffffff), "newer than 437");
  const onlyHere = ruleSet([rule("it", "arch_prctl", allow)], {
    architectures: ["aarch64"],
    newerIsEnosys: true,
  });
  assert.is(decided(onlyHere, 5000, [], "aarch64"), `default ${refused}`, "nothing is named");
});

test("does not count the private calls of arm", () => {
  const rules = [rule("it", "read", allow), rule("own", "set_tls", allow)];
  const set = ruleSet(rules, { architectures: ["aarch64", "arm"], newerIsEnosys: true });
  assert.is(decided(set, 4, [], "arm"), "newer than 3");
  assert.is(decided(set, "set_tls", [], "arm"), "rule own");
});

test("refuses what would be let through, and nothing else", () => {
  const refusals = [rule("no", "ioctl", refused, when("MASKED_EQ", 0xffffffffn, 0x5412n, 1))];
  const injection = [0n, 2n ** 63n + 0x5412n];
  const over = (verdict: number) =>
    decided(ruleSet([rule("it", "ioctl", verdict)], { refusals }), "ioctl", injection);
  assert.is(over(allow), "refusal no over rule");
  assert.is(over(log), "refusal no over rule");
  assert.is(over(userNotif), "refusal no over rule");
  assert.is(over(errno | 5), "rule it");
  assert.is(over(killProcess), "rule it");
  const open = ruleSet([], { defaultVerdict: allow, refusals });
  assert.is(decided(open, "ioctl", injection), "refusal no over default");
  assert.is(decided(open, "ioctl", [0n, 0x5413n]), `default ${allow}`);
});

test.run();
