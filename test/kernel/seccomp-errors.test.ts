/** How loading a filter fails, what must run under it, and what filters around sbx do. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { errnoNumbers } from "../../spec/linux.js";
import {
  attempt,
  compileTo,
  fields,
  inside,
  refusal,
  temporaryDirectory,
} from "../support/inside.js";
import { profileFile, ruled } from "../support/profile.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp errors");
const plain = ["unprivileged", "user namespaces", "busybox"] as const;
const directory = temporaryDirectory("seccomp");

/** Under strace newuidmap has no rights. */
const single = ["--userns=single"];

test.needs([...plain, "strace"], "the flags of a profile are set", async () => {
  const loaded = async (profile: object) => {
    const options = ["--seccomp", profileFile(profile)];
    const words = [...single, ...options, busyboxRootfs()];
    const program = await compileTo(join(directory, "flags"), words);
    const { stderr } = await start(["strace", "-f", "-e", "trace=seccomp", program, "true"]);
    return /seccomp\(SECCOMP_SET_MODE_FILTER, ([^,]+), [^)]*\) += 0/.exec(stderr)?.[1];
  };
  assert.is(await loaded({}), "0");
  const flags = ["TSYNC", "LOG", "SPEC_ALLOW"].map((name) => `SECCOMP_FILTER_FLAG_${name}`);
  assert.is(await loaded({ flags }), flags.join("|"));
});

test.needs(
  [...plain, "strace"],
  "what seccomp(2) refuses is an error that names the way out",
  async () => {
    const program = join(directory, "refused");
    const refuse = async (errno: string, options: readonly string[]) => {
      await compileTo(program, [...single, ...options, busyboxRootfs()]);
      const inject = ["-f", "-o", "/dev/null", "-e", `inject=seccomp:error=${errno}`];
      return start(["strace", ...inject, program, "true"]);
    };
    const flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"];
    const flagged = ["--seccomp", profileFile({ flags })];
    const cases: [string, readonly string[], RegExp][] = [
      [
        "EINVAL",
        flagged,
        /\(EINVAL\)\. .*FLAG_LOG needs Linux 4\.14, .*FLAG_TSYNC needs Linux 3\.17$/,
      ],
      ["EINVAL", [], /\(EINVAL\)\. .*CONFIG_SECCOMP_FILTER.*seccomp=unconfined/],
      ["ENOSYS", [], /\(ENOSYS\)\. .*seccomp=unconfined/],
      ["EPERM", [], /\(EPERM\)\. A filter around sbx/],
      ["ENOMEM", [], /\(ENOMEM\)\. .*too long/],
    ];
    for (const [errno, options, expected] of cases) {
      const { code, stderr } = await refuse(errno, options);
      assert.match(
        stderr.trimEnd(),
        /^sbx: load a seccomp filter of \d+ instructions, from [^\n]+$/,
      );
      assert.match(stderr.trimEnd(), expected);
      assert.is(code, 125);
    }
  },
);

test.needs(plain, "an action that the kernel lacks is an error that names it", async () => {
  const options = ruled({ names: ["getppid"], action: "SCMP_ACT_LOG" });
  const host = { seccomp: { actions: ["allow", "errno"], isFiltered: false } };
  const words = [...options, busyboxRootfs()];
  const message = await compileTo(join(directory, "lacking"), words, host).catch(String);
  assert.match(message, /syscalls\[0\]: .*no SCMP_ACT_LOG\. Use Linux 4\.14/);
});

test.needs(
  plain,
  "a profile that is wrong, absent or named twice is an error with its place",
  async () => {
    const wrong = join(directory, "wrong.json");
    writeFileSync(wrong, '{\n  "defaultAction": "SCMP_ACT_ALOW"\n}\n');
    const cases: [string[], RegExp][] = [
      [["--seccomp", wrong], /wrong\.json:2:\d+: defaultAction: must be one of /],
      [["--seccomp", "/nosuch"], /^sbx: --seccomp \/nosuch: No such file or directory \(ENOENT\)/],
      [["--security-opt=seccomp="], /seccomp takes a profile's FILE, default or unconfined/],
      [
        ["--seccomp=default", "--security-opt=seccomp=unconfined"],
        /^sbx: --seccomp default: contradicts --security-opt seccomp=unconfined/,
      ],
    ];
    for (const [options, expected] of cases) {
      const { code, line } = await refusal(options, [busyboxRootfs(), "true"]);
      assert.is(code, 125);
      assert.match(line, expected);
    }
  },
);

/** All is refused but what is named. */
function allowing(action: string, ...names: readonly string[]): string[] {
  const syscalls = [{ names, action: "SCMP_ACT_ALLOW" }];
  return ["--seccomp", profileFile({ defaultAction: `SCMP_ACT_${action}`, syscalls })];
}

test.needs(plain, "a profile under which nothing can start is refused before", async () => {
  const cases: [string[], RegExp][] = [
    [allowing("ERRNO", "read"), /defaultAction: execve\(2\) gets ERRNO\(EPERM\), .*Allow execve$/],
    [ruled({ names: ["execve"], action: "SCMP_ACT_KILL" }), /syscalls\[0\]: execve\(2\) gets KILL/],
    [
      ["--security-opt=no-new-privileges=false", ...allowing("ERRNO", "execve")],
      /setresgid\(2\) gets .*leave no-new-privileges=false out/,
    ],
  ];
  for (const [options, expected] of cases) {
    const { code, line } = await refusal(options, [busyboxRootfs(), "true"]);
    assert.is(code, 125);
    assert.match(line, expected);
  }
  const { stdout } = await sbx(["explain", "run", ...allowing("ERRNO", "execve"), "/", "true"]);
  assert.match(stdout, "load a seccomp filter");
});

test.needs(
  plain,
  "a command that cannot be executed is told of, whatever the filter refuses",
  async () => {
    for (const action of ["ERRNO", "KILL_PROCESS", "TRAP", "TRACE"]) {
      for (const init of ["--init", "--no-init"]) {
        // With a call of Linux 5.13 there are no newer numbers, which would get ENOSYS.
        const options = [init, ...allowing(action, "execve", "landlock_restrict_self")];
        const { code, line } = await refusal(options, [busyboxRootfs(), "nosuch"]);
        assert.is(code, 127, `${action} ${init}`);
        assert.match(line, /^sbx: run nosuch: No such file or directory \(ENOENT\)/);
        const executed = await attempt(options, "true");
        assert.is.not(executed.code, 0);
        assert.match(executed.stderr, /^$|Operation not permitted|Function not implemented/);
      }
    }
  },
);

test.needs(
  plain,
  "without no_new_privs the filter comes before what needs privileges",
  async () => {
    const options = ["--security-opt=no-new-privileges=false", "--userns=keep-id"];
    const status = fields(await inside(options, "cat /proc/self/status"));
    assert.equal(
      [status.Seccomp, status.NoNewPrivs, status.CapEff],
      ["2", "0", "0000000000000000"],
    );
    const PR_SET_KEEPCAPS = 8;
    const where = { index: 0, op: "SCMP_CMP_EQ", value: PR_SET_KEEPCAPS };
    const rule = { names: ["prctl"], action: "SCMP_ACT_ERRNO", errnoRet: 95, args: [where] };
    const words = [busyboxRootfs(), "true"];
    const { code, line } = await refusal([...options, ...ruled(rule)], words);
    assert.is(code, 125);
    assert.match(
      line,
      /^sbx: keep capabilities .*\(EOPNOTSUPP\)\. .*allow prctl, or leave no-new-privileges=false out/,
    );
  },
);

/** Loads a filter of its own, which gives the system call that errno, and executes the rest. */
function around(name: string, errno: string): string[] {
  const number = syscallNumber("x86_64", name);
  const script = `import ctypes, os, struct, sys
code = b"".join(struct.pack("HBBI", *each) for each in (
    (0x20, 0, 0, 0), (0x15, 0, 1, ${number}), (0x06, 0, 0, 0x50000 + ${errnoNumbers[errno]}), (0x06, 0, 0, 0x7fff0000)))
kept = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", 4, ctypes.addressof(kept))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(317, 1, 0, program) == 0
os.execvp(sys.argv[1], sys.argv[1:])
`;
  return ["python3", "-c", script];
}

test.needs(
  [...plain, "python3"],
  "filters stack, and one around sbx is named where it may be what refuses",
  async () => {
    const run = [command, "run", ...single, busyboxRootfs()];
    const look = [...run, "cat", "/proc/self/status"];
    const stacked = await start([...around("swapon", "EPERM"), ...look]);
    const { Seccomp, Seccomp_filters } = fields(stacked.stdout);
    // One around sbx, the profile, and the one that watches owners.
    assert.equal([Seccomp, Seccomp_filters], ["2", "3"], stacked.stderr);
    for (const [name, expected] of [
      ["pivot_root", /^sbx: make .* the root: /],
      ["seccomp", /^sbx: load a seccomp filter/],
    ] as const) {
      const { code, stderr } = await start([...around(name, "EPERM"), ...run, "true"]);
      assert.is(code, 125, name);
      assert.match(stderr, expected);
      assert.match(stderr, /\(EPERM\)\. A (seccomp )?filter (is )?around sbx/i);
    }
  },
);

test.needs(
  ["unprivileged", "user namespaces", "overlay"],
  "sbx run in sbx run: refused by the outer profile, which the error says",
  async () => {
    const inner = [command, "run", "--userns=single", "--network=none", "/", "true"];
    const words = ["-e", "HOME=/tmp", "/", ...inner];
    const { code, line } = await refusal([], words);
    assert.is(code, 125);
    assert.match(
      line,
      /^sbx: create namespaces .*\(EPERM\)\. A seccomp filter is around sbx.*sbx run/,
    );
  },
);

test.run();
