import * as assert from "uvu/assert";
import type { SeccompArchitecture } from "../../seccomp/architecture.js";
import { explainCall } from "../../seccomp/explain.js";
import { profileOf } from "../../seccomp/profile.js";
import { type Circumstances, resolveProfile } from "../../seccomp/resolve.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/explain");

const here: Circumstances = {
  architecture: "x86_64",
  capabilities: [],
  kernel: { major: 6, minor: 1 },
};

const profile = profileOf(
  {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: ["SCMP_ARCH_X86"],
    syscalls: [
      { names: ["read", "socketcall"], action: "SCMP_ACT_ALLOW" },
      {
        names: ["clone", "socket"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
      {
        names: ["clone"],
        action: "SCMP_ACT_KILL",
        args: [
          { index: 1, value: 2000, op: "SCMP_CMP_GT" },
          { index: 2, value: 16, op: "SCMP_CMP_NE" },
        ],
      },
      {
        names: ["clone", "mount"],
        action: "SCMP_ACT_ALLOW",
        includes: { caps: ["CAP_SYS_ADMIN"] },
      },
      { names: ["mount"], action: "SCMP_ACT_ERRNO" },
      { names: ["bpf"], action: "SCMP_ACT_ALLOW", excludes: { minKernel: "5.8" } },
    ],
  },
  (path) => path,
);
const { ruleSet } = resolveProfile(profile, here);

function explained(
  number: number,
  args: bigint[] = [],
  architecture: SeccompArchitecture = "x86_64",
) {
  return explainCall({ architecture, number, args }, profile, here, ruleSet);
}

test("a rule without conditions decides, whatever the arguments", () => {
  assert.equal(explained(0), [
    "read (0) on x86_64: ALLOW",
    "  syscalls[0] names it without conditions",
  ]);
  // What a rule about socket says of socketcall comes to nothing.
  assert.equal(explained(102, [], "x86"), [
    "socketcall (102) on x86: ALLOW",
    "  syscalls[0] names it without conditions",
  ]);
});

const elsewhere = "  syscalls[3]: does not apply, needs CAP_SYS_ADMIN";

test("arguments decide, as far as they are known", () => {
  const first = "  syscalls[1]: ALLOW if (arg0 & 0x7e020000) == 0";
  const second = "  syscalls[2]: KILL_THREAD if arg1 > 0x7d0 && arg2 != 16";
  const open = [
    "clone (56) on x86_64: depends on its arguments",
    "  the first rule whose conditions hold decides, else the profile's default: ERRNO(EPERM)",
    first,
    second,
    elsewhere,
  ];
  assert.equal(explained(56), open);
  assert.equal(explained(56, [0n, 0n]), open);
  assert.equal(explained(56, [5n, 0n, 0n]), [
    "clone (56) on x86_64: ALLOW",
    "  syscalls[1] holds: (arg0 & 0x7e020000) == 0",
    second,
    elsewhere,
  ]);
  assert.equal(explained(56, [0x20000n, 2001n, 0n]).slice(0, 3), [
    "clone (56) on x86_64: KILL_THREAD",
    "  syscalls[2] holds: arg1 > 0x7d0 && arg2 != 16",
    first,
  ]);
  assert.equal(explained(56, [0x20000n, 2001n, 16n]), [
    "clone (56) on x86_64: ERRNO(EPERM)",
    "  no rule that names it holds: the profile's default",
    first,
    second,
    elsewhere,
  ]);
});

test("rules that do not count say why", () => {
  assert.equal(explained(165), [
    "mount (165) on x86_64: ERRNO(EPERM)",
    "  no rule that names it holds: the profile's default",
    elsewhere,
    "  syscalls[4]: says what the default says",
  ]);
  const bpf = profileOf(
    {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["bpf"], action: "SCMP_ACT_KILL", excludes: { minKernel: "5.8" } },
        { names: ["bpf"], action: "SCMP_ACT_KILL", includes: { arches: ["s390", "arm64"] } },
      ],
    },
    (path) => path,
  );
  const resolved = resolveProfile(bpf, here).ruleSet;
  const call = { architecture: "x86_64", number: 321, args: [] } as const;
  assert.equal(explainCall(call, bpf, here, resolved).slice(2), [
    "  syscalls[0]: does not apply, is not for Linux 5.8 or later",
    "  syscalls[1]: does not apply, needs s390 or arm64",
  ]);
});

test("numbers without a name, newer ones, and architectures that are not listed", () => {
  assert.equal(explained(999), [
    "number 999 on x86_64: ERRNO(ENOSYS)",
    "  newer than the profile, which knows numbers up to 165",
  ]);
  assert.equal(explained(0, [], "aarch64"), [
    "io_setup (0) on aarch64: KILL_PROCESS",
    "  the profile does not list aarch64",
  ]);
});

test.run();
