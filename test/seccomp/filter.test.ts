/** What is planned for a profile, on a machine that may lack something. */
import * as assert from "uvu/assert";
import { planFilter } from "../../seccomp/filter.js";
import type { Instruction } from "../../seccomp/instruction.js";
import { simulate } from "../../seccomp/simulate.js";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { defaultSpec } from "../../spec/default.js";
import type { Host } from "../../spec/host.js";
import type { SbxKeys } from "../../spec/spec.js";
import type { Action } from "../../spec/step.js";
import { failureOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/filter");
const base = defaultSpec("/srv/debian");
const execve = {
  role: "payload",
  phase: "execve",
  action: {
    kind: "execve",
    prefix: [],
    fallback: [],
    environment: [],
    inherited: [],
    inheritAll: false,
  },
} as const;

/** The plan for a profile that allows what it says nothing of. */
function planned(profile: object | null, keys: Partial<SbxKeys> = {}, host: Partial<Host> = {}) {
  const seccomp =
    profile === null ? {} : { seccomp: { defaultAction: "SCMP_ACT_ALLOW", ...profile } };
  const spec = { ...base, linux: { ...base.linux, ...seccomp }, sbx: { ...base.sbx, ...keys } };
  const { load, notes, refusesKeys } = planFilter(spec, hostOf(host), ["CAP_SYS_CHROOT"], null);
  return { steps: load([execve]), notes, refusesKeys };
}

const action = <K extends Action["kind"]>(steps: ReturnType<typeof planned>["steps"], kind: K) =>
  steps.map(({ action }) => action).find((each) => each.kind === kind) as Extract<
    Action,
    { kind: K }
  >;

const asks = { names: ["mount"], action: "SCMP_ACT_NOTIFY" };

test("unconfined is no step, and a note", () => {
  const { steps, notes } = planned(null, { seccomp: "unconfined" });
  assert.equal(steps, [execve]);
  assert.match(notes.join(), /no seccomp filter.*TIOCSTI/);
});

test("keys are out of reach where no call for them gets through, whatever its arguments", () => {
  const refuse = (...names: string[]) => ({ names, action: "SCMP_ACT_ERRNO" });
  const all = ["keyctl", "add_key", "request_key"];
  assert.is(planned(null).refusesKeys, true);
  assert.is(planned(null, { seccomp: "unconfined" }).refusesKeys, false);
  assert.is(planned({ syscalls: [refuse(...all)] }).refusesKeys, true);
  assert.is(planned({ syscalls: [refuse("keyctl", "add_key")] }).refusesKeys, false);
  const sometimes = { ...refuse(...all), args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }] };
  assert.is(planned({ syscalls: [sometimes] }).refusesKeys, false);
  assert.is(planned({ syscalls: [{ names: all, action: "SCMP_ACT_LOG" }] }).refusesKeys, false);
});

test("the default profile is one step, which says what capabilities open", () => {
  const { steps, notes } = planned(null);
  assert.equal(notes, []);
  assert.is(steps.length, 2);
  const { source, flags, permits, filter } = action(steps, "seccomp");
  assert.equal(
    [source, flags, permits],
    ["the default profile", [], ["with CAP_SYS_CHROOT: chroot"]],
  );
  assert.is(filter.length % 8, 0);
  assert.equal(steps[1], execve);
});

test("terminal injection is refused whatever the profile allows", () => {
  const verdict = (keys: Partial<SbxKeys>, request: bigint) => {
    const { filter } = action(planned({}, keys).steps, "seccomp");
    const view = new DataView(filter.buffer, filter.byteOffset);
    const instructions: Instruction[] = Array.from({ length: filter.length / 8 }, (_, index) => ({
      code: view.getUint16(8 * index, true),
      jt: view.getUint8(8 * index + 2),
      jf: view.getUint8(8 * index + 3),
      k: view.getUint32(8 * index + 4, true),
    }));
    const nr = syscallNumber("x86_64", "ioctl") ?? -1;
    return simulate(instructions, { arch: 0xc000003e, nr, args: [0n, request] }).verdict;
  };
  const [eperm, allow] = [0x00050001, 0x7fff0000];
  for (const request of [0x5412n, 0x541cn, 0xffff_ffff_0000_5412n]) {
    assert.is(verdict({}, request), eperm);
    assert.is(verdict({ terminalInjection: true }, request), allow);
  }
  assert.is(verdict({}, 0x5401n), allow);
  assert.match(planned({}, { terminalInjection: true }).notes.join(), "TIOCSTI");
});

test("names that Linux does not have are a note", () => {
  const { notes } = planned({ syscalls: [{ names: ["frobnicate"], action: "SCMP_ACT_ERRNO" }] });
  assert.match(notes.join(), /^seccomp: linux\.seccomp: syscalls\[0\]: .*frobnicate$/);
});

test("flags, with those that a listener needs", () => {
  const flags = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"];
  assert.equal(action(planned({ flags }).steps, "seccomp").flags, flags);
  const listening = planned({ flags, listenerPath: "/run/agent", syscalls: [asks] });
  assert.equal(action(listening.steps, "seccomp").flags, [
    ...flags,
    "SECCOMP_FILTER_FLAG_NEW_LISTENER",
    "SECCOMP_FILTER_FLAG_TSYNC_ESRCH",
  ]);
  assert.equal(action(listening.steps, "handListener"), {
    kind: "handListener",
    path: "/run/agent",
    metadata: null,
    ociVersion: "1.2.0",
    bundle: "/srv/debian",
  });
  assert.match(
    failureOf(() => planned({ flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] })),
    /flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY/,
  );
});

test("what the kernel lacks, what is wrong, and what lets nothing start are errors with a place", () => {
  const old = { seccomp: { actions: ["allow", "errno"], isFiltered: false } };
  const log = { syscalls: [{ names: ["mount"], action: "SCMP_ACT_LOG" }] };
  const named = { seccompFile: "p.json" };
  const cases: [() => unknown, RegExp][] = [
    [() => planned(log, named, old), /^sbx: p\.json: syscalls\[0\]: .*no SCMP_ACT_LOG\. .*4\.14/],
    [() => planned({ defaultAction: "SCMP_ACT_LOG" }, {}, old), /defaultAction: .*SCMP_ACT_LOG/],
    [() => planned({ defaultAction: "allow" }, named), /^sbx: p\.json: defaultAction: must be one/],
    [() => planned({ defaultAction: "SCMP_ACT_TRAP" }), /defaultAction: execve\(2\) gets TRAP/],
    [() => planned({ syscalls: [asks] }), /linux\.seccomp: listenerPath: is missing/],
  ];
  for (const [make, expected] of cases) assert.match(failureOf(make), expected);
});

test("where the filter may refuse execve, its hint says so", () => {
  const hint = (rule: object) => {
    const syscalls = [{ names: ["execve"], ...rule }];
    return planned({ syscalls, listenerPath: "/a" }).steps.at(-1)?.hints?.any ?? "";
  };
  const args = [{ index: 0, op: "SCMP_CMP_EQ", value: 1 }];
  for (const rule of [
    { action: "SCMP_ACT_TRACE" },
    { action: "SCMP_ACT_NOTIFY" },
    { action: "SCMP_ACT_ERRNO", args },
  ]) {
    assert.match(hint(rule), /may be what refuses it: allow execve$/);
  }
  assert.is(hint({ action: "SCMP_ACT_LOG" }), "");
});

test.run();
