import * as assert from "uvu/assert";
import { architectures, auditArch, type SeccompArchitecture } from "../../seccomp/architecture.js";
import { compileFilter } from "../../seccomp/compile.js";
import { decide } from "../../seccomp/decide.js";
import { defaultProfile } from "../../seccomp/default.js";
import { encodeFilter } from "../../seccomp/instruction.js";
import { profileOf } from "../../seccomp/profile.js";
import { resolveProfile } from "../../seccomp/resolve.js";
import type { Condition, Rule, RuleSet } from "../../seccomp/rules.js";
import { simulate } from "../../seccomp/simulate.js";
import { syscallNumber, tableOf } from "../../seccomp/syscalls.js";
import { allow, errno, killProcess, killThread, log, noSuchCall } from "../../seccomp/verdict.js";
import type { Architecture } from "../../spec/host.js";
import { defaultCapabilities } from "../../userns/capabilities.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/compile");

function rule(names: string, verdict: number, conditions: Partial<Condition>[] = []): Rule {
  const complete = conditions.map((one) => ({
    index: 0,
    op: "EQ" as const,
    value: 0n,
    valueTwo: 0n,
    ...one,
  }));
  return { names: names.split(" "), verdict, conditions: complete, at: "syscalls[0]" };
}

function ruleSet(rules: Rule[], rest: Partial<RuleSet> = {}): RuleSet {
  return {
    architectures: ["x86_64"],
    defaultVerdict: errno | 1,
    rules,
    refusals: [],
    known: [],
    newerIsEnosys: false,
    ...rest,
  };
}

const verdictOf = (
  set: RuleSet,
  name: string,
  args: bigint[] = [],
  architecture: SeccompArchitecture = "x86_64",
) =>
  simulate(compileFilter(set), {
    nr: syscallNumber(architecture, name) as number,
    arch: auditArch[architecture],
    args,
  }).verdict;

test("the smallest filter, byte for byte", () => {
  const filter = compileFilter(ruleSet([rule("read", allow)], { architectures: ["aarch64"] }));
  assert.is(
    Buffer.from(encodeFilter(filter)).toString("hex"),
    [
      "2000000004000000",
      "15000100b70000c0",
      "0600000000000080",
      "2000000000000000",
      "150001003f000000",
      "0600000001000500",
      "060000000000ff7f",
    ].join(""),
  );
});

test("numbers of x32, from its bit on: killed where it is not listed, but for -1", () => {
  const [arch, args] = [auditArch.x86_64, [] as bigint[]];
  const alone = compileFilter(ruleSet([rule("read", allow)]));
  const both = compileFilter(
    ruleSet([rule("read", allow)], { architectures: ["x86_64", "x32"], newerIsEnosys: true }),
  );
  const numbers = [0x40000000, 0x40000001, 0x80000000, 0xbfffffff, 0xfffffffe, 0xffffffff];
  const verdicts = (filter: typeof alone) =>
    numbers.map((nr) => simulate(filter, { nr, arch, args }).verdict);
  assert.equal(verdicts(alone), [...Array(5).fill(killProcess), errno | 1]);
  assert.equal(verdicts(both), [allow, ...Array(5).fill(noSuchCall)]);
});

test("a condition of 64 bits, on both sides of each half", () => {
  const value = 0x1_0000_0000n;
  const values = [0n, 1n, value - 1n, value, value + 1n, value << 1n, (1n << 64n) - 1n];
  for (const op of ["EQ", "NE", "LT", "LE", "GE", "GT"] as const) {
    const set = ruleSet([rule("read", allow, [{ op, value }])]);
    for (const one of values) {
      const { verdict } = decide(set, auditArch.x86_64, 0, [one]);
      assert.is(verdictOf(set, "read", [one]), verdict, `${op} ${one}`);
    }
  }
});

test("flags in all their combinations are one test", () => {
  const flags = [0n, 8n, 0x20000n, 0x20008n];
  const set = ruleSet(flags.map((value) => rule("personality", allow, [{ value }])));
  const without = ruleSet([rule("personality", allow, [{ value: 0n }])]);
  assert.is(compileFilter(set).length, compileFilter(without).length);
  for (const value of [...flags, 1n, 16n, 0x20001n, 1n << 32n, 8n + (1n << 32n)]) {
    const { verdict } = decide(set, auditArch.x86_64, 135, [value]);
    assert.is(verdictOf(set, "personality", [value]), verdict, `${value}`);
  }
});

test("a refusal overrules what lets a call through, and nothing stricter", () => {
  const refusals = [
    rule("ioctl", errno | 1, [{ index: 1, op: "MASKED_EQ", value: 0xffffffffn, valueTwo: 5n }]),
  ];
  const allowed = ruleSet([rule("ioctl", allow)], { refusals });
  assert.is(verdictOf(allowed, "ioctl", [0n, 5n]), errno | 1);
  assert.is(verdictOf(allowed, "ioctl", [0n, 0xdead_0000_0006n]), allow);
  assert.is(verdictOf(allowed, "ioctl", [0n, 0xdead_0000_0000n + 5n]), errno | 1);
  const killed = ruleSet([rule("ioctl", killThread)], { refusals });
  assert.is(verdictOf(killed, "ioctl", [0n, 5n]), killThread);
});

test("many conditions that share nothing are done one after the other", () => {
  const rules = Array.from({ length: 60 }, (_, index) =>
    rule("read", errno | (index + 2), [
      { index: index % 6, op: "GT", value: BigInt(index * 7919) },
      { index: (index + 1) % 6, op: "NE", value: BigInt(index) },
    ]),
  );
  const set = ruleSet(rules);
  const filter = compileFilter(set);
  for (let seed = 1n; seed < 50n; seed += 1n) {
    const args = [seed * 7919n, seed, seed << 20n, 0n, seed * seed * 7919n, 3n];
    const { verdict } = decide(set, auditArch.x86_64, 0, args);
    assert.is(simulate(filter, { nr: 0, arch: auditArch.x86_64, args }).verdict, verdict);
  }
});

test("what holds in the end is known though it was the last that was asked", () => {
  const set = ruleSet([
    rule("read", killThread, [{ op: "NE", value: 0n }]),
    rule("read", allow, [{ op: "NE", value: 1n << 32n }]),
  ]);
  assert.is(verdictOf(set, "read", [0n]), allow);
  assert.is(verdictOf(set, "read", [1n]), killThread);
});

test("a word is loaded for what follows a question whose answer does not matter", () => {
  const set = ruleSet([rule("read", log, [{ op: "MASKED_EQ", value: 2n ** 32n }])], {
    defaultVerdict: log,
    refusals: [rule("read", errno | 1, [{ op: "GE", value: 2n ** 32n }])],
  });
  assert.is(verdictOf(set, "read", [0n]), log);
  assert.is(verdictOf(set, "read", [2n ** 32n]), errno | 1);
});

test("hundreds of values of one argument are a test each, thousands are refused", () => {
  const values = (count: number) =>
    ruleSet(
      Array.from({ length: count }, (_, index) =>
        rule("read", allow, [{ value: BigInt(3 * index + 5) }]),
      ),
    );
  const filter = compileFilter(values(500));
  assert.ok(filter.length < 500 + 30, `${filter.length}`);
  for (const value of [4n, 5n, 6n, 8n, 3n * 499n + 5n, 3n * 500n + 5n, 5n + (1n << 32n)]) {
    const { verdict } = decide(values(500), auditArch.x86_64, 0, [value]);
    assert.is(
      simulate(filter, { nr: 0, arch: auditArch.x86_64, args: [value] }).verdict,
      verdict,
      `${value}`,
    );
  }
  assert.throws(() => compileFilter(values(3000)), /the kernel admits 4096/);
});

test("scattered calls take no more tests than asking for each", () => {
  const names = [...tableOf("x86_64").keys()].filter((_, index) => index % 3 === 0);
  const filter = compileFilter(ruleSet([rule(names.join(" "), allow)]));
  // arch, number, x32 and -1 take five, the three verdicts one each.
  assert.ok(filter.length <= names.length + 5 + 3, `${filter.length} for ${names.length}`);
});

interface Reach {
  readonly instructions: number;
  /** What a call of the architecture executes at most; of the native one, if always allowed. */
  readonly worst: Partial<Record<SeccompArchitecture, number>>;
  readonly allowed: number;
  readonly allowedMean: number;
}

const reach: Record<Architecture, Reach> = {
  x86_64: {
    instructions: 180,
    worst: { x86_64: 18, x86: 18, x32: 24 },
    allowed: 11,
    allowedMean: 10.8,
  },
  aarch64: { instructions: 160, worst: { aarch64: 18, arm: 19 }, allowed: 11, allowedMean: 10.8 },
};

for (const native of ["x86_64", "aarch64"] as const) {
  test(`the default profile for ${native} is small, short, and known to the kernel's cache`, () => {
    const { ruleSet: set } = resolveProfile(
      profileOf(defaultProfile, (path) => path),
      {
        architecture: native,
        capabilities: defaultCapabilities,
        kernel: { major: 6, minor: 18 },
      },
    );
    const filter = compileFilter(set);
    const limits = reach[native];
    assert.ok(filter.length <= limits.instructions, `${filter.length} instructions`);
    const allowed: number[] = [];
    for (const architecture of architectures.filter((one) => set.architectures.includes(one))) {
      const arch = auditArch[architecture];
      let worst = 0;
      for (const [name, nr] of tableOf(architecture)) {
        const isAsked = set.rules.some(
          ({ names, conditions }) => conditions.length > 0 && names.includes(name),
        );
        for (const value of isAsked ? [0n, 1n, 8n, 0xffffffffn, 1n << 32n, 40n, 38n] : [0n]) {
          const outcome = simulate(filter, { nr, arch, args: [value] });
          const decision = decide(set, arch, nr, [value]);
          assert.is(outcome.verdict, decision.verdict, `${architecture} ${nr} ${value}`);
          worst = Math.max(worst, outcome.executed);
          const isAlways = decision.kind === "rule" && decision.rule.conditions.length === 0;
          if (!isAlways || decision.verdict !== allow || architecture === "x32") continue;
          assert.ok(outcome.cacheable, `${architecture} ${nr}`);
          if (architecture === native) allowed.push(outcome.executed);
        }
      }
      assert.ok(worst <= (limits.worst[architecture] ?? 0), `${architecture}: ${worst} executed`);
    }
    assert.ok(Math.max(...allowed) <= limits.allowed, `${Math.max(...allowed)} for allowed calls`);
    const mean = allowed.reduce((a, b) => a + b) / allowed.length;
    assert.ok(mean <= limits.allowedMean, `${mean} on average`);
  });
}

test.run();
