/** The system-call filter on this kernel: it is there, and decides as its profile says. */
import * as assert from "uvu/assert";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { errnoNumbers } from "../../spec/linux.js";
import { fields, inside } from "../support/inside.js";
import { ruled } from "../support/profile.js";
import { type SbxResult, sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp");
const plain = ["unprivileged", "user namespaces", "busybox"] as const;
const python = ["unprivileged", "user namespaces", "overlay", "python3"] as const;
const SIGSYS = 128 + 31;

/** `call(NUMBER, …)` gives what the system call does, an error as -errno. */
const calls = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(*arguments):
    result = libc.syscall(*map(ctypes.c_ulong, arguments))
    return result if result != -1 else -ctypes.get_errno()
`;

/** Runs Python in a sandbox with these options. */
function run(options: readonly string[], script: string): Promise<SbxResult> {
  return sbx(["run", ...options, "/", "python3", "-c", `${calls}${script}`]);
}

/** What each of the calls, a name and its arguments, gives inside; errors as names, others as "ok". */
async function outcomes(
  options: readonly string[],
  ...wanted: readonly (readonly [string | number, ...(number | string)[]])[]
): Promise<string[]> {
  const lines = wanted.map(([name, ...values]) => {
    const number = typeof name === "number" ? name : syscallNumber("x86_64", name);
    return `print(call(${[number, ...values].join(", ")}))\n`;
  });
  const { stdout, stderr, code } = await run(options, lines.join(""));
  assert.is(code, 0, stderr);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => (Number(line) >= 0 ? "ok" : errnoName(-Number(line))));
}

function errnoName(number: number): string {
  return Object.keys(errnoNumbers).find((name) => errnoNumbers[name] === number) ?? `${number}`;
}
test.needs(
  plain,
  "a filter is in force for every way to run but unconfined, one where there are ids to give files to",
  async () => {
    const seccomp = async (...options: string[]) => {
      const { Seccomp, Seccomp_filters } = fields(await inside(options, "cat /proc/self/status"));
      return [Seccomp, Seccomp_filters];
    };
    for (const options of [
      [],
      ["--no-init"],
      ["--pid=host"],
      ["--user=1000", "--userns=keep-id:uid=1000,gid=1000"],
      ["--security-opt=no-new-privileges=false"],
      ["--security-opt=seccomp=default"],
      ["--cap-add=ALL", "--seccomp=default"],
    ]) {
      assert.equal(await seccomp(...options), ["2", "1"], options.join(" "));
    }
    assert.equal(await seccomp("--no-init", "--userns=single"), ["2", "2"]);
    assert.equal(await seccomp("--userns=single", "--seccomp=unconfined"), ["0", "0"]);
    assert.equal(await seccomp("--security-opt", "seccomp=unconfined", "--no-init"), ["0", "0"]);
  },
);

test.needs(python, "the default profile refuses what the kernel is attacked through", async () => {
  const CLONE_NEWUSER = 0x10000000;
  const AF_VSOCK = 40;
  assert.equal(
    await outcomes(
      [],
      ["unshare", CLONE_NEWUSER],
      ["clone", CLONE_NEWUSER, 0, 0, 0, 0],
      ["clone3", 0, 0],
      ["keyctl", 0, -3, 0],
      ["add_key", 0, 0, 0, 0, 0],
      ["bpf", 0, 0, 0],
      ["io_uring_setup", 1, 0],
      ["userfaultfd", 0],
      ["personality", 0xffffffff],
      ["personality", 0x1234],
      ["socket", AF_VSOCK, 1, 0],
      ["mount", 0, 0, 0, 0, 0],
      ["chroot", 0],
      [9999],
      ["getpid"],
    ),
    [
      "EPERM",
      "EPERM",
      // glibc falls back to clone then.
      "ENOSYS",
      "EPERM",
      "EPERM",
      "EPERM",
      "EPERM",
      "EPERM",
      "ok",
      "EPERM",
      "EPERM",
      "EPERM",
      // Root may, and the kernel looks at the path.
      "EFAULT",
      "ENOSYS",
      "ok",
    ],
  );
});

test.needs(
  python,
  "capabilities open what the profile ties to them, and explain says so",
  async () => {
    const tied = [
      ["mount", 0, 0, 0, 0, 0],
      ["chroot", 0],
      ["setns", 999, 0],
    ] as const;
    assert.equal(await outcomes(["--cap-add=SYS_ADMIN"], ...tied), ["EFAULT", "EFAULT", "EBADF"]);
    assert.equal(await outcomes(["--cap-drop=SYS_CHROOT"], ...tied), ["EPERM", "EPERM", "EPERM"]);
    const { stdout } = await sbx(["explain", "run", "--cap-add=SYS_ADMIN", "/", "true"]);
    assert.match(stdout, /load a seccomp filter of \d+ instructions, from the default profile\n/);
    assert.match(stdout, /^ +with CAP_SYS_ADMIN: .*\bmount, .*\bunshare$/m);
    assert.match(stdout, /^ +with CAP_SYS_CHROOT: chroot$/m);
  },
);

test.needs(python, "each action does what it says", async () => {
  const rule = (action: string, more: object = {}) => [
    ...ruled({ names: ["getppid"], action: `SCMP_ACT_${action}`, ...more }),
  ];
  const getppid = ["getppid"] as const;
  assert.equal(await outcomes(rule("ERRNO"), getppid), ["EPERM"]);
  assert.equal(await outcomes(rule("ERRNO", { errnoRet: 95 }), getppid), ["EOPNOTSUPP"]);
  assert.equal(await outcomes(rule("LOG"), getppid), ["ok"]);
  // Nobody traces.
  assert.equal(await outcomes(rule("TRACE"), getppid), ["ENOSYS"]);
  for (const action of ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"]) {
    const { code, stdout } = await run(rule(action), "print('on', flush=True)\nos.getppid()");
    assert.equal([code, stdout], [SIGSYS, "on\n"], action);
  }
  const handled = "import signal\nsignal.signal(31, lambda *_: print('trapped'))\nos.getppid()";
  assert.is((await run(rule("TRAP"), handled)).stdout, "trapped\n");
  // A thread alone; ctypes lets go of Python's lock meanwhile, which would be lost with it.
  const thread =
    "import threading\nt = threading.Thread(target=libc.getppid)\nt.start()\nimport time\ntime.sleep(0.2)\nos.write(1, b'alive'); os._exit(0)";
  assert.is((await run(rule("KILL_THREAD"), thread)).stdout, "alive");
  assert.is((await run(rule("KILL_PROCESS"), thread)).code, SIGSYS);
});

test.needs(python, "each comparison is of 64 bits, unsigned", async () => {
  const big = 2 ** 40;
  const conditions = [
    { op: "NE", value: 5 },
    { op: "LT", value: big },
    { op: "LE", value: big },
    { op: "EQ", value: big + 1 },
    { op: "GE", value: big },
    { op: "GT", value: big },
    { op: "MASKED_EQ", value: 0xff0, valueTwo: 0x120 },
  ];
  const args = [5, big - 1, big, big + 1, -1, 0x123].map((value) => `${value} & (2**64 - 1)`);
  const matched = [];
  for (const [index, { op, ...values }] of conditions.entries()) {
    // getpid(2) looks at none of the arguments.
    const where = { index: index % 6, op: `SCMP_CMP_${op}`, ...values };
    const options = ruled({ names: ["getpid"], action: "SCMP_ACT_ERRNO", args: [where] });
    const before = Array.from({ length: index % 6 }, () => 0);
    const asked = args.map((value) => ["getpid", ...before, value] as const);
    const results = await outcomes(options, ...asked);
    matched.push(`${op} ${results.map((result) => (result === "EPERM" ? "x" : ".")).join("")}`);
  }
  assert.equal(matched, [
    "NE .xxxxx",
    "LT xx...x",
    "LE xxx..x",
    "EQ ...x..",
    "GE ..xxx.",
    "GT ...xx.",
    "MASKED_EQ .....x",
  ]);
});

test.needs(
  python,
  "no profile lets a command type into a terminal, unless that is asked for",
  async () => {
    const [TIOCSTI, TIOCLINUX, TCGETS] = [0x5412, 0x541c, 0x5401];
    const high = 2 ** 40;
    const requests = [TIOCSTI, TIOCLINUX, TIOCSTI + high, TIOCLINUX + high, TCGETS].map(
      (request) =>
        ["ioctl", 0, request, "ctypes.addressof(ctypes.create_string_buffer(64))"] as const,
    );
    const refused = ["EPERM", "EPERM", "EPERM", "EPERM", "ENOTTY"];
    const passed = requests.map(() => "ENOTTY");
    const all = ruled();
    const cases: [string[], string[]][] = [
      [[], refused],
      [all, refused],
      [["--security-opt=terminal-injection=false"], refused],
      [["--security-opt=terminal-injection"], passed],
      [[...all, "--security-opt=terminal-injection=true"], passed],
      [["--seccomp=unconfined"], passed],
    ];
    for (const [options, expected] of cases) {
      assert.equal(await outcomes(options, ...requests), expected, options.join(" "));
    }
  },
);

test.run();
