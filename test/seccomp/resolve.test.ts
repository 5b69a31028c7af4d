import * as assert from "uvu/assert";
import { type Profile, profileOf } from "../../seccomp/profile.js";
import type { Filter } from "../../seccomp/profile-rule.js";
import { type Circumstances, resolveProfile } from "../../seccomp/resolve.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/resolve");

const here: Circumstances = {
  architecture: "x86_64",
  capabilities: ["CAP_CHOWN", "CAP_SYS_ADMIN"],
  kernel: { major: 5, minor: 10 },
};

interface Given {
  names: string[];
  action?: string;
  args?: object[];
  errnoRet?: number;
  includes?: object;
  excludes?: object;
}

/** A profile of these rules, which allow where they do not say otherwise. */
function profile(rules: Given[], rest: object = {}): Profile {
  const syscalls = rules.map((rule) => ({ action: "SCMP_ACT_ALLOW", ...rule }));
  return profileOf({ defaultAction: "SCMP_ACT_ERRNO", syscalls, ...rest }, (path) => path);
}

const resolve = (given: Profile, circumstances: Partial<Circumstances> = {}) =>
  resolveProfile(given, { ...here, ...circumstances });
const equals = (index: number, value: number) => ({ index, value, op: "SCMP_CMP_EQ" });

const conditions: [Filter, boolean][] = [
  [{}, true],
  [{ caps: ["CAP_CHOWN"] }, true],
  [{ caps: ["CAP_SYS_TIME"] }, false],
  [{ arches: ["amd64", "s390x"] }, true],
  [{ arches: ["x32", "x86", "arm64"] }, false],
  [{ minKernel: { major: 5, minor: 10 } }, true],
  [{ minKernel: { major: 5, minor: 9 } }, true],
  [{ minKernel: { major: 4, minor: 19 } }, true],
  [{ minKernel: { major: 5, minor: 11 } }, false],
  [{ minKernel: { major: 6, minor: 1 } }, false],
  [{ caps: ["CAP_CHOWN"], arches: ["amd64"], minKernel: { major: 4, minor: 8 } }, true],
];

test("includes and excludes", () => {
  const written = ({ minKernel, ...rest }: Filter) =>
    minKernel ? { ...rest, minKernel: `${minKernel.major}.${minKernel.minor}` } : rest;
  const applies = (rule: object) =>
    resolve(profile([{ names: ["read"], ...rule }])).ruleSet.rules.length === 1;
  for (const [filter, holds] of conditions) {
    const text = JSON.stringify(filter);
    assert.is(applies({ includes: written(filter) }), holds, `includes ${text}`);
    const excluded = holds && Object.keys(filter).length > 0;
    assert.is(applies({ excludes: written(filter) }), !excluded, `excludes ${text}`);
  }
  // All of includes must hold, of excludes one is enough.
  assert.not(applies({ includes: { caps: ["CAP_CHOWN", "CAP_SYS_TIME"] } }));
  assert.not(applies({ includes: { caps: ["CAP_CHOWN"], arches: ["arm64"] } }));
  assert.not(applies({ excludes: { caps: ["CAP_SYS_TIME", "CAP_CHOWN"] } }));
  assert.not(applies({ excludes: { caps: ["CAP_SYS_TIME"], arches: ["amd64"] } }));
  assert.not(applies({ includes: { caps: ["CAP_CHOWN"] }, excludes: { caps: ["CAP_SYS_ADMIN"] } }));
});

test("the machine's own architecture is listed, first", () => {
  const listed = (rest: object, circumstances: Partial<Circumstances> = {}) => {
    const { ruleSet, notes } = resolve(profile([], rest), circumstances);
    return `${ruleSet.architectures.join(" ")}${notes.length > 0 ? " !" : ""}`;
  };
  const archMap = [
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_ARM"] },
  ];
  const given = (...names: string[]) => ({
    architectures: names.map((name) => `SCMP_ARCH_${name}`),
  });
  assert.is(listed({}), "x86_64");
  assert.is(listed({ archMap }), "x86_64 x86 x32");
  assert.is(listed({ archMap }, { architecture: "aarch64" }), "aarch64 arm");
  assert.is(listed({ archMap: archMap.slice(0, 1) }), "x86_64 !");
  assert.is(listed(given("X86", "X86_64")), "x86_64 x86");
  assert.is(listed(given("X32")), "x86_64 x32");
  assert.is(listed(given("NATIVE", "MIPS64")), "x86_64");
  assert.is(listed(given("MIPS64", "S390X")), "x86_64 !");
  assert.is(listed(given("X86_64", "AARCH64", "ARM")), "x86_64 aarch64 arm");
});

test("a rule whose action is the default's is dropped, but what it names is known", () => {
  const { rules, known } = resolve(
    profile([
      { names: ["read"], action: "SCMP_ACT_ERRNO" },
      { names: ["read"] },
      { names: ["bpf"], action: "SCMP_ACT_ERRNO", errnoRet: 1, args: [equals(0, 1)] },
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
      { names: ["mseal"], action: "SCMP_ACT_ERRNO", includes: { caps: ["CAP_SYS_TIME"] } },
    ]),
  ).ruleSet;
  assert.equal(
    rules.map(({ names, verdict }) => [...names, verdict]),
    [
      ["read", 0x7fff0000],
      ["clone3", 0x00050026],
    ],
  );
  assert.equal(known, ["read", "bpf"]);
});

test("newer numbers get ENOSYS only where the default refuses", () => {
  const newer = (defaultAction: string, rest: object = {}, circumstances = {}) =>
    resolve(profile([], { defaultAction, ...rest }), circumstances).ruleSet.newerIsEnosys;
  for (const action of ["ERRNO", "KILL", "KILL_PROCESS", "TRAP"]) {
    assert.is(newer(`SCMP_ACT_${action}`), true, action);
    assert.is(newer(`SCMP_ACT_${action}`, {}, { exact: true }), false, action);
  }
  for (const action of ["ALLOW", "LOG", "TRACE"]) {
    assert.is(newer(`SCMP_ACT_${action}`), false, action);
  }
  assert.is(newer("SCMP_ACT_ERRNO", { defaultErrnoRet: 38 }), false);
});

test("an argument that is asked about twice makes each condition a rule", () => {
  const args = [equals(0, 1), equals(1, 2), equals(0, 3)];
  const { rules } = resolve(profile([{ names: ["fcntl"], args }])).ruleSet;
  assert.equal(
    rules.map((rule) => rule.conditions.map(({ index, value }) => [index, value])),
    [[[0, 1n]], [[1, 2n]], [[0, 3n]]],
  );
  assert.is(
    resolve(profile([{ names: ["fcntl"], args: args.slice(0, 2) }])).ruleSet.rules.length,
    1,
  );
});

test("two actions for one condition contradict each other", () => {
  const rule = (names: string[], args: object[], errnoRet?: number): Given =>
    errnoRet ? { names, args, action: "SCMP_ACT_ERRNO", errnoRet } : { names, args };
  const masked = (value: number, valueTwo: number) => ({
    index: 0,
    value,
    valueTwo,
    op: "SCMP_CMP_MASKED_EQ",
  });
  const clash =
    (...rules: Given[]) =>
    () =>
      resolve(profile(rules));
  assert.throws(
    clash(rule(["read", "open"], [equals(0, 1)]), rule(["open", "close"], [equals(0, 1)], 5)),
    /syscalls\[1\]: gives open another action than syscalls\[0\] for the same condition\. Keep one/,
  );
  // Their order says nothing, nor do the bits that a mask takes away.
  assert.throws(
    clash(
      rule(["read"], [equals(0, 1), equals(2, 3)]),
      rule(["read"], [equals(2, 3), equals(0, 1)], 5),
    ),
    /syscalls\[1\]/,
  );
  assert.throws(
    clash(rule(["read"], [masked(12, 5)]), rule(["read"], [masked(12, 6)], 5)),
    /syscalls/,
  );
  assert.not.throws(clash(rule(["read"], [masked(12, 5)]), rule(["read"], [masked(12, 8)], 5)));
  // The same action, another call, and no conditions at all.
  assert.not.throws(clash(rule(["read"], [equals(0, 1)], 5), rule(["read"], [equals(0, 1)], 5)));
  assert.not.throws(clash(rule(["read"], [equals(0, 1)]), rule(["open"], [equals(0, 1)], 5)));
  assert.not.throws(clash(rule(["read"], []), rule(["read"], [], 5)));
  // A rule without conditions settles it.
  const both = [rule(["read"], [equals(0, 1)]), rule(["read"], [equals(0, 1)], 5)];
  assert.not.throws(clash(...both, rule(["read"], [])));
});

test("on x86 a rule about a socket or ipc call is one about socketcall and ipc", () => {
  const args = [equals(0, 16), equals(2, 9)];
  const given = [
    { names: ["read", "socket", "recv"], args },
    { names: ["shmctl"], errnoRet: 0 },
  ];
  const rules = (...names: string[]) => {
    const architectures = names.map((name) => `SCMP_ARCH_${name}`);
    const actions = given.map((rule) => ({ ...rule, action: "SCMP_ACT_TRACE" }));
    return resolve(profile(actions, { architectures })).ruleSet.rules;
  };
  assert.is(rules("X86_64", "X32").length, 2);
  // As with libseccomp, two families of socket cannot have two actions where neither is seen.
  const families: Given[] = [
    { names: ["socket"], args: [equals(0, 1)] },
    { names: ["socket"], args: [equals(0, 2)], action: "SCMP_ACT_ERRNO", errnoRet: 97 },
  ];
  const x86 = { architectures: ["SCMP_ARCH_X86"] };
  assert.throws(
    () => resolve(profile(families, x86)),
    /syscalls\[1\]: gives socketcall another action .* name socketcall in a rule without/,
  );
  assert.not.throws(() => resolve(profile([...families, { names: ["socketcall"] }], x86)));
  assert.equal(
    rules("X86").map(({ names, conditions, verdict }) => [
      names.join(" "),
      conditions.map(({ index, value }) => `${index}=${value}`).join(" "),
      verdict & 0xffff,
    ]),
    [
      ["read socket recv", "0=16 2=9", 1],
      ["socketcall", "0=1 2=9", 1],
      ["socketcall", "0=10 2=9", 1],
      ["shmctl", "", 0],
      ["ipc", "0=24", 0],
    ],
  );
});

test("unknown names are noted, and with strict an error; those of other machines are known", () => {
  const given = profile([{ names: ["read", "raed", "s390_pci_mmio_read", "breakpoint", "nope"] }]);
  const { ruleSet, notes } = resolve(given);
  assert.equal(notes, ["syscalls[0]: ignored, no system call of Linux: raed, nope"]);
  assert.equal(ruleSet.rules[0]?.names, given.rules[0]?.names);
  assert.throws(
    () => resolve(given, { strict: true }),
    /syscalls\[0\]: no system call of Linux: raed, nope/,
  );
  const other = profile([{ names: ["nope"], includes: { arches: ["s390x"] } }]);
  assert.equal(resolve(other, { strict: true }).notes, []);
});

test("flags, and a listener where a rule that applies asks it", () => {
  const rest = {
    flags: ["SECCOMP_FILTER_FLAG_LOG"],
    listenerPath: "/run/agent",
    listenerMetadata: "box",
  };
  const notify = { names: ["mount"], action: "SCMP_ACT_NOTIFY" };
  const { flags, listener } = resolve(profile([notify], rest));
  assert.equal(flags, ["SECCOMP_FILTER_FLAG_LOG"]);
  assert.equal(listener, { path: "/run/agent", metadata: "box" });
  assert.equal(resolve(profile([notify])).listener, { path: null, metadata: null });
  const elsewhere = { ...notify, includes: { caps: ["CAP_SYS_TIME"] } };
  assert.is(resolve(profile([elsewhere], rest)).listener, null);
});

test.run();
