import * as assert from "uvu/assert";
import { describeDifference } from "../../seccomp/difference.js";
import { profileOf } from "../../seccomp/profile.js";
import { resolveProfile } from "../../seccomp/resolve.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/difference");

const equals = (value: number) => ({ index: 0, value, op: "SCMP_CMP_EQ" });
const allow = (names: string[], ...args: object[]) => ({ names, args, action: "SCMP_ACT_ALLOW" });
const refuse = (names: string[], errnoRet: number, ...args: object[]) => ({
  names,
  args,
  errnoRet,
  action: "SCMP_ACT_ERRNO",
});

function side(name: string, syscalls: object[], rest: object = {}) {
  const profile = profileOf({ defaultAction: "SCMP_ACT_ERRNO", syscalls, ...rest }, (path) => path);
  const { ruleSet } = resolveProfile(profile, {
    architecture: "x86_64",
    capabilities: [],
    kernel: { major: 6, minor: 1 },
    exact: true,
  });
  return { name, ruleSet };
}

function difference(a: object[], b: object[], restA: object = {}, restB: object = {}) {
  return describeDifference(side("a", a, restA), side("b", b, restB));
}

test("the same is no difference, however it is written", () => {
  const socket = [allow(["socket"], equals(1)), allow(["socket"], equals(2))];
  assert.equal(difference([allow(["read", "write"])], [allow(["write"]), allow(["read"])]), []);
  assert.equal(difference(socket, [...socket].reverse()), []);
  assert.equal(difference([...socket, ...socket], socket), []);
  // What decides nothing is nothing.
  assert.equal(difference([refuse(["read"], 1)], []), []);
  assert.equal(difference([allow(["read"]), allow(["read"], equals(1))], [allow(["read"])]), []);
});

test("what each allows that the other does not", () => {
  assert.equal(difference([allow(["read", "open"])], [allow(["read", "bpf"])]), [
    "allowed only by a:",
    "  open",
    "allowed only by b:",
    "  bpf",
  ]);
});

test("conditions of arguments", () => {
  assert.equal(
    difference(
      [allow(["socket"], equals(1)), allow(["socket"], equals(2))],
      [allow(["socket"], equals(1))],
    ),
    [
      "allowed only by a:",
      "  socket if arg0 == 2 (the other: ALLOW if arg0 == 1, else ERRNO(EPERM))",
    ],
  );
  assert.equal(difference([allow(["socket"])], [allow(["socket"], equals(1))]), [
    "allowed only by a:",
    "  socket (the other: ALLOW if arg0 == 1, else ERRNO(EPERM))",
  ]);
  assert.equal(difference([], [allow(["socket"], equals(1))]), [
    "allowed only by b:",
    "  socket if arg0 == 1",
  ]);
  // Where the default allows.
  const open = { defaultAction: "SCMP_ACT_ALLOW" };
  assert.equal(difference([refuse(["socket"], 5, equals(1))], [], open, open), [
    "allowed only by b:",
    "  socket (the other: ERRNO(EIO) if arg0 == 1, else ALLOW)",
  ]);
  assert.equal(
    difference([refuse(["bpf"], 5, equals(1))], [refuse(["bpf"], 5, equals(2))], open, open),
    [
      "allowed only by a:",
      "  bpf unless arg0 == 1 (the other: ERRNO(EIO) if arg0 == 2, else ALLOW)",
      "allowed only by b:",
      "  bpf unless arg0 == 2 (the other: ERRNO(EIO) if arg0 == 1, else ALLOW)",
    ],
  );
  // The first that holds decides.
  const before = refuse(["bpf"], 5, equals(1));
  const after = allow(["bpf"], { index: 1, value: 0, op: "SCMP_CMP_EQ" });
  assert.equal(
    difference([before, after], [after, before])[1],
    [
      "  bpf if arg1 == 0 unless arg0 == 1 (the other: ALLOW if arg1 == 0, ERRNO(EIO) if arg0 == 1, else ERRNO(EPERM))",
    ][0],
  );
});

test("refusals of different kinds", () => {
  assert.equal(difference([refuse(["bpf"], 38)], []), [
    "other differences, a and b:",
    "  bpf: ERRNO(ENOSYS) and ERRNO(EPERM)",
  ]);
});

test("architectures, where not all are meant, and calls that are yet to come", () => {
  const listed = (...names: string[]) => ({
    architectures: names.map((name) => `SCMP_ARCH_${name}`),
  });
  const reads = [allow(["read"])];
  assert.equal(difference(reads, reads, listed("X86_64", "X86"), listed("X86_64")).slice(0, 3), [
    "allowed only by a:",
    "  read on x86",
    "other differences, a and b:",
  ]);
  const log = { defaultAction: "SCMP_ACT_LOG" };
  assert.ok(difference([], [], {}, log).includes("  a newer call"));
  assert.ok(difference([], [], {}, log).includes("  a number without a call"));
  assert.equal(difference([allow(["bpf"])], [], listed("X86_64", "X86"), listed("X86_64", "X86")), [
    "allowed only by a:",
    "  bpf",
  ]);
});

test.run();
