/** The payload's variables, working directory and command. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { defaultPath } from "../../spec/default.js";
import { attempt, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("environment");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

const caller = { TERM: "vt100", SBX_TEST_SECRET: "s3cret", SBX_TEST_OTHER: "a=b c\nd" };

/** The variables as `env` finds them: sorted, without what a shell would add. */
async function env(options: readonly string[], env: Record<string, string | undefined> = caller) {
  const result = await sbx(["run", ...options, busyboxRootfs(), "env", "-0"], { env });
  assert.is(result.stderr, "");
  return result.stdout.split("\0").slice(0, -1).sort();
}

const plain = ["HOME=/root", "HOSTNAME=sbx", `PATH=${defaultPath}`, "TERM=vt100"];

test.needs(needs, "is clean: PATH, HOME, TERM, HOSTNAME", async () => {
  assert.equal(await env([]), plain);
  assert.equal(await env(["--no-init"]), plain);
  assert.equal(await env([], { ...caller, TERM: undefined }), plain.slice(0, 3));
  assert.equal(await env(["--uts=host"]), ["HOME=/root", ...plain.slice(2)]);
});

test.needs(needs, "-e K=V sets, -e K takes the caller's, the last one counts", async () => {
  const options = [
    "-e",
    "A=1",
    "-e",
    "SBX_TEST_OTHER",
    "--env=A=2",
    "-eB=",
    "-e",
    "NOT_SET_AT_ALL",
  ];
  const own = ["A=2", "B=", `SBX_TEST_OTHER=${caller.SBX_TEST_OTHER}`];
  assert.equal(await env(options), [...own, ...plain].sort());
  assert.equal(await env(["-e", "HOME=/x", "-e", "TERM=", "-e", "HOSTNAME=y", "-e", "PATH=/bin"]), [
    "HOME=/x",
    "HOSTNAME=y",
    "PATH=/bin",
    "TERM=",
  ]);
});

test.needs(needs, "--env-file: settings and names, --env before it", async () => {
  const file = join(temporaryDirectory("environment"), "my env");
  writeFileSync(
    file,
    `# a comment\n\nA=from file = "1"\r\n  C=3\nSBX_TEST_SECRET\nNOT_SET_AT_ALL\n`,
  );
  const expected = ["A=over", "C=3", "SBX_TEST_SECRET=s3cret", ...plain].sort();
  assert.equal(await env(["--env", "A=over", "--env-file", file]), expected);
  const { line, code } = await refusal(["--env-file", `${file}x`], [busyboxRootfs(), "true"]);
  assert.is(code, 125);
  assert.match(line, /--env-file .*ENOENT/);
});

test.needs(needs, "--env-host takes all, settings win over it", async () => {
  const seen = await env(["--env-host", "-e", "SBX_TEST_SECRET=mine"]);
  assert.ok(seen.includes("SBX_TEST_SECRET=mine"));
  assert.ok(seen.includes(`SBX_TEST_OTHER=${caller.SBX_TEST_OTHER}`));
  assert.ok(seen.includes("HOME=/root"), "the home is the sandbox's");
  assert.ok(seen.includes(`PATH=${defaultPath}`), "the path is the sandbox's");
  const names = seen.map((setting) => setting.split("=")[0]);
  assert.equal(names.length, new Set(names).size);
});

test.needs(
  needs,
  "the environment is the caller's of now, not that of the compilation",
  async () => {
    for (const value of ["one", "two"]) {
      const seen = await env(["-e", "SBX_TEST_SECRET"], { SBX_TEST_SECRET: value });
      assert.ok(seen.includes(`SBX_TEST_SECRET=${value}`));
    }
  },
);

test.needs(needs, "-w: the directory that the command starts in", async () => {
  assert.is(await inside([], "pwd"), "/\n");
  assert.is(
    await inside(["-w", "/home/alice"], "pwd; readlink /proc/self/cwd"),
    "/home/alice\n/home/alice\n",
  );
  const cases: [string, RegExp][] = [
    ["/nowhere", /^sbx: .*\/nowhere: No such file or directory \(ENOENT\)\. .*--workdir/],
    ["/etc/passwd", /^sbx: .*\/etc\/passwd: Not a directory \(ENOTDIR\)\. .*--workdir/],
  ];
  for (const [path, expected] of cases) {
    const { line, code } = await refusal(["--workdir", path], [busyboxRootfs(), "true"]);
    assert.is(code, 125);
    assert.match(line, expected);
  }
});

test.needs([...needs, "subids"], "-w is entered with the payload's rights", async () => {
  const rootfs = join(temporaryDirectory("environment"), "rootfs");
  const { copyBusyboxRootfs } = await import("../support/rootfs.js");
  copyBusyboxRootfs(rootfs);
  mkdirSync(join(rootfs, "closed"), { mode: 0o700 });
  assert.is(await inside(["-w", "/closed"], "pwd", { rootfs }), "/closed\n");
  const { stderr, code } = await attempt(["-w", "/closed", "--user=alice"], "pwd", { rootfs });
  assert.is(code, 125);
  assert.match(stderr, /\/closed: Permission denied \(EACCES\)\. .*--user/);
});

/** What `printf` prints of its words; the command is given by options and words. */
async function output(options: readonly string[], ...words: string[]) {
  const { stdout, stderr } = await sbx(["run", ...options, busyboxRootfs(), ...words]);
  assert.is(stderr, "");
  return stdout;
}

test.needs(needs, "--entrypoint: a program, or words as JSON", async () => {
  assert.is(await output(["--entrypoint=echo"], "a  b", "c"), "a  b c\n");
  assert.is(await output(["--entrypoint=echo"]), "\n");
  assert.is(await output(['--entrypoint=["printf","%s|","x y"]'], "", "z"), "x y||z|");
  assert.is(await output(['--entrypoint=["printf","%s|","x"]']), "x|");
  assert.is(await output(["--entrypoint="], "echo", "x"), "x\n");
  const { line } = await refusal(['--entrypoint=["printf",1]'], [busyboxRootfs(), "true"]);
  assert.match(line, "--entrypoint");
});

test.needs(needs, "without a command there is a shell", async () => {
  const { stdout } = await sbx(["run", busyboxRootfs()], { input: "echo $0 $$\n" });
  assert.is(stdout, "/bin/sh 2\n");
});

test.needs(needs, "words reach the payload as they are", async () => {
  const words = [
    "",
    " ",
    "*",
    "$HOME",
    "'",
    '"',
    "\\",
    "\n",
    "-x",
    "--",
    "ü€😀",
    "a".repeat(100_000),
  ];
  assert.is(await output([], "printf", "%s|", ...words), `${words.join("|")}|`);
  assert.is(await output(["--"], "echo", "--no-init"), "--no-init\n");
});

test.needs(needs, "PATH is that of the sandbox, searched like execvp(3)", async () => {
  const bin = ["-e", "PATH=/nowhere:/etc:/bin"];
  assert.is(await output(bin, "echo", "found"), "found\n");
  // A file that may not be executed on the way is passed over.
  assert.is(await output(["-e", "PATH=/etc:/bin", "--entrypoint=hostname"]), "sbx\n");
  const { code, line } = await refusal(["-e", "PATH=/etc"], [busyboxRootfs(), "hostname"]);
  assert.is(code, 126);
  assert.match(line, /^sbx: run hostname: Permission denied \(EACCES\)\. /);
  assert.is((await refusal(["-e", "PATH="], [busyboxRootfs(), "ls"])).code, 127);
  assert.is(await output(["-e", "PATH=", "-w", "/bin"], "pwd"), "/bin\n");
  assert.is(await output(["-w", "/bin"], "./pwd"), "/bin\n");
});

test.run();
