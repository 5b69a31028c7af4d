/** Rule sets to hold filters to: those of the profiles in profiles/ and the default one, and random ones. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import type { SeccompArchitecture } from "../../seccomp/architecture.js";
import { keyOf } from "../../seccomp/decisions.js";
import { readProfile } from "../../seccomp/read.js";
import { type Circumstances, resolveProfile } from "../../seccomp/resolve.js";
import { type Condition, operators, type Rule, type RuleSet } from "../../seccomp/rules.js";
import { tableOf } from "../../seccomp/syscalls.js";
import { actions } from "../../seccomp/verdict.js";
import { type Capability, capabilityNames } from "../../spec/capabilities.js";
import { defaultCapabilities } from "../../userns/capabilities.js";

/** How many random rule sets of a kind are tried. */
export const runs = Number(process.env.SBX_PROPERTY_RUNS ?? 20);
fc.configureGlobal({ includeErrorInReport: true });

export interface NamedRuleSet {
  readonly name: string;
  readonly ruleSet: RuleSet;
  /** The same without what is added for i386's socketcall and ipc. */
  readonly unmultiplexed: RuleSet;
}

const kernel = { major: 6, minor: 12 };
const holdings: Record<string, readonly Capability[]> = {
  "default capabilities": defaultCapabilities,
  "all capabilities": capabilityNames,
};

/** Each profile on each machine, with few capabilities and with all where that makes a difference. */
export async function profileRuleSets(exact: boolean): Promise<NamedRuleSet[]> {
  const directory = join(import.meta.dirname, "profiles");
  const files = readdirSync(directory).filter((name) => name.endsWith(".json"));
  const paths = ["../../../seccomp/default.json", ...files].map((name) => join(directory, name));
  const profiles = await Promise.all(
    paths.map(async (path) => {
      const name = basename(path);
      return { name, profile: await readProfile(readFileSync(path, "utf8"), name) };
    }),
  );
  const seen = new Set<string>();
  return profiles.flatMap(({ name, profile }) =>
    (["x86_64", "aarch64"] as const).flatMap((architecture) =>
      Object.entries(holdings).flatMap(([held, capabilities]) => {
        const circumstances: Circumstances = { architecture, capabilities, kernel, exact };
        const { ruleSet } = resolveProfile(profile, circumstances);
        const native = resolveProfile(
          { ...profile, architectures: [], archMap: [] },
          circumstances,
        );
        const unmultiplexed = { ...ruleSet, rules: native.ruleSet.rules };
        const text = JSON.stringify(ruleSet, (_, value) =>
          typeof value === "bigint" ? `${value}` : value,
        );
        if (seen.has(text)) return [];
        seen.add(text);
        return [{ name: `${name}, ${architecture}, ${held}`, ruleSet, unmultiplexed }];
      }),
    ),
  );
}

const half = fc.constantFrom(0n, 1n, 2n, 3n, 2n ** 31n, 2n ** 32n - 1n);
/** Mostly of few halves, so that rules meet. */
const value = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(half, half).map(([high, low]) => (high << 32n) | low) },
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const condition: fc.Arbitrary<Condition> = fc.record({
  index: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0, 1) }, fc.nat(5)),
  op: fc.constantFrom(...operators),
  value,
  valueTwo: value,
});
const conditions = fc.uniqueArray(condition, { selector: ({ index }) => index, maxLength: 3 });
const anyVerdict = fc.constantFrom(
  ...Object.values(actions),
  actions.ERRNO | 1,
  actions.ERRNO | 38,
  actions.ERRNO | 4095,
  actions.TRACE | 0xffff,
);
/** Lists as a machine has them, the native one first. */
const listed = fc.oneof(
  fc
    .subarray<SeccompArchitecture>(["x86", "x32"])
    .map((others): SeccompArchitecture[] => ["x86_64", ...others]),
  fc
    .subarray<SeccompArchitecture>(["arm"])
    .map((others): SeccompArchitecture[] => ["aarch64", ...others]),
);
/** A few that meet often; names of one architecture only, and of none. */
const meeting = ["read", "ioctl", "personality", "socket", "socketcall", "clone3"];
const special = ["set_tls", "_llseek", "arch_prctl", "fchmodat2", "no_such_call"];
const every = [...new Set([...tableOf("x86_64").keys(), ...tableOf("arm").keys()])];
const name = fc.oneof(fc.constantFrom(...meeting), fc.constantFrom(...special, ...every));

function ruleSets(
  names: fc.Arbitrary<string[]>,
  verdict: fc.Arbitrary<number>,
  most: number,
): fc.Arbitrary<RuleSet> {
  const rule = fc.record({ names, verdict, conditions, at: fc.constant("here") });
  return fc.record({
    architectures: listed,
    defaultVerdict: verdict,
    rules: fc.array(rule, { maxLength: most }).map(consistent),
    refusals: fc.array(rule, { maxLength: 2 }).map(refusing),
    known: fc.array(name, { maxLength: 3 }),
    newerIsEnosys: fc.boolean(),
  });
}

/** Rules as a profile may have them, any number of the calls conditional in many ways. */
export const randomRuleSet = ruleSets(
  fc.array(name, { minLength: 1, maxLength: 4 }),
  anyVerdict,
  12,
);

/** Rules of one call, whose verdicts are few, so that ways end alike. */
export const oneCallRuleSet = ruleSets(
  fc.constant(["read"]),
  fc.constantFrom(actions.ALLOW, actions.ERRNO | 1),
  5,
);

/** Hundreds of names to a rule: filters in which jumps go further than 255. */
export const bigRuleSet = ruleSets(fc.subarray(every, { minLength: 100 }), anyVerdict, 4);

/** A single rule with conditions, beside some without. */
export const singleRuleSet: fc.Arbitrary<RuleSet> = fc.record({
  architectures: listed,
  defaultVerdict: fc.constant(actions.ERRNO | 1),
  rules: conditions.map((one) => [
    { names: ["read", "getpid"], verdict: actions.ALLOW, conditions: [], at: "here" },
    { names: ["ioctl"], verdict: actions.ERRNO | 25, conditions: one, at: "here" },
  ]),
  refusals: fc.constant([]),
  known: fc.constant([]),
  newerIsEnosys: fc.constant(false),
});

/** Two actions for one condition would be an error. */
function consistent(rules: readonly Rule[]): Rule[] {
  const verdicts = new Map<string, number>();
  return rules.map((rule) => {
    if (rule.conditions.length === 0) return rule;
    const key = keyOf(rule.conditions);
    const first = verdicts.get(key) ?? rule.verdict;
    verdicts.set(key, first);
    return { ...rule, verdict: first };
  });
}

function refusing(rules: readonly Rule[]): Rule[] {
  return rules.map((rule) => ({ ...rule, verdict: actions.ERRNO | 1 }));
}
