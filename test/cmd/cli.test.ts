/** What a newcomer types: each answer is one line with one prefix, and the status is 125. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { command, sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/cli");

const explainForm = /: only a run can be explained\. .*sbx explain run ROOTFS/;
const cases: [string, RegExp][] = [
  ["", /^sbx: no command is given: there are run, explain, .*sbx --help$/],
  ["-h", /^sbx: -h: no such option of sbx itself\. .*see sbx --help$/],
  ["-x", /^sbx: -x: no such option/],
  ["--foo", /^sbx: --foo: no such option/],
  ["--verbose check", /^sbx: --verbose: no such option .*Options follow the command/],
  ["-- run", /^sbx: --: no such option/],
  ["images", /^sbx: images: no such command\. See sbx --help$/],
  ["exlain run / true", /^sbx: exlain: no such command\. Did you mean explain\?$/],
  ["images --help", /^sbx: images: no such command/],
  ["help foo", /^sbx: help foo: no such command\. See sbx --help$/],
  ["help chek", /^sbx: help chek: no such command\. Did you mean check\?$/],
  ["explain", explainForm],
  ["explain / true", explainForm],
  ["explain --stage=spec / true", explainForm],
  ["explain run --stage=spce / true", /^sbx: --stage spce: must be spec or .*Did you mean spec\?$/],
  ["completion", /^sbx: completion: no shell is named\. There are bash, zsh, fish$/],
  ["completion tcsh", /^sbx: completion tcsh: no such shell\. There are bash, zsh, fish$/],
  ["completion bash zsh", /^sbx: completion bash zsh: Unknown argument: zsh\. /],
  ["check --jsn", /^sbx: check --jsn: Unknown argument: jsn\. See sbx check --help$/],
  ["check x", /^sbx: check x: Unknown argument: x\. /],
  ["rm", /^sbx: rm: nothing is named\. The form is sbx rm NAME\|UPPER…$/],
  ["diff", /^sbx: diff: a word is missing after it\. See sbx diff --help$/],
  ["run", /^sbx: run: no ROOTFS is given\. .*sbx run \/ sh$/],
  ["run -h", /^sbx: -h: needs a value\. Host name inside; for help, sbx run --help$/],
  ["run debian:12 bash", /ENOENT.* Images are not supported/],
  ["run --user : / true", /^sbx: --user :: names no user\. The form is name\|uid/],
  ["run --uidmap=+0:1004:1 / true", /must be three numbers/],
  ["run --sysctl kernel.hostname=a / true", /an option of its own\. Use --hostname=a$/],
  ["run --sysctl net.ipv4.ip_forward= / true", /: the value is empty\. /],
  ["run --security-opt mask=/ / true", /the whole root cannot be masked$/],
  [
    "run --security-opt mask=/etc/x:/proc/1/maps / true",
    /\/proc\/1\/maps is another file for each/,
  ],
  ["run --config /dev/zero / true", /^sbx: --config \/dev\/zero: is a device\. /],
  ["run --env-file /dev/zero / true", /^sbx: --env-file \/dev\/zero: is a device\. /],
  ["run --config /nowhere / true", /^sbx: --config \/nowhere: No such file .*\(ENOENT\)$/],
];

for (const [line, expected] of cases) {
  test(`sbx ${line}`, async () => {
    const words = line === "" ? [] : line.split(" ");
    const { code, stdout, stderr } = await sbx(words);
    assert.match(stderr.replace(/\n$/, ""), expected);
    assert.is(stderr.split("\n").length, 2, stderr);
    assert.is(stdout, "");
    assert.is(code, 125);
  });
}

test("an empty ROOTFS and an empty user are named", async () => {
  assert.match((await sbx(["run", "", "true"])).stderr, /^sbx: ROOTFS: must not be empty\. /);
  assert.match(
    (await sbx(["run", "--user", "", "/", "true"])).stderr,
    /^sbx: --user: must not be empty\. Run as name/,
  );
});

for (const line of [
  ...["--help", "help", "help help", "help run", "run --help", "explain --help"],
  ...["help seccomp", "seccomp --help", "seccomp compile x --help", "help seccomp explain"],
]) {
  test(`sbx ${line} is help`, async () => {
    const { code, stdout, stderr } = await sbx(line.split(" "));
    assert.match(stdout, /^sbx (COMMAND|run|explain run|seccomp)/);
    assert.is(stderr, "");
    assert.is(code, 0);
  });
}

test("the help of sbx names what each command takes", async () => {
  const { stdout } = await sbx(["--help"]);
  for (const form of ["stats [NAME..]", "top NAME [FIELD..]", "pause NAME..", "update [options]"]) {
    assert.ok(stdout.includes(`\n  sbx ${form} `), form);
  }
});

test("a configuration file that cannot be read stops every run, by its name", async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), "sbx-cli-"));
  try {
    fs.mkdirSync(join(directory, "sbx/sbx.ini"), { recursive: true });
    const words = ["run", "--network=none", "/", "true"];
    const run = (home: string) => sbx(words, { env: { XDG_CONFIG_HOME: home } });
    const isDirectory = await run(directory);
    assert.match(
      isDirectory.stderr,
      /^sbx: read \S+\/sbx\/sbx\.ini: is a directory \(EISDIR\)\. .*\n$/,
    );
    assert.is(isDirectory.code, 125);
    // Nor is there one below what is no directory, as HOME=/dev/null has it.
    assert.is((await run("/dev/null")).stderr, "");
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test("a pipe of the shell's is a file to read", async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), "sbx-cli-"));
  try {
    const fifo = join(directory, "vars");
    const shell = `mkfifo "$0" && { echo MARK=7 >"$0" & exec "$@"; }`;
    const words = [command, "explain", "run", "--stage=spec", "--env-file", fifo, "/", "true"];
    const { stdout, stderr } = await start(["sh", "-c", shell, fifo, ...words]);
    assert.is(stderr, "");
    assert.match(stdout, '"MARK=7"');
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test("the names of a hostile rootfs do not steer the terminal", async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), "sbx-cli-"));
  try {
    fs.mkdirSync(join(directory, "etc"));
    fs.chmodSync(directory, 0o755);
    const passwd = "ev\x1b]0;x\x07il:x:0:0::/ro\x1b[2Jot:/bin/sh\n";
    fs.writeFileSync(join(directory, "etc/passwd"), passwd);
    const unknown = await sbx(["run", "--user", "nosuch", directory, "true"]);
    assert.match(unknown.stderr, "one of: ev\\x1b]0;x\\x07il.");
    const explained = await sbx(["explain", "run", directory, "true"]);
    assert.match(explained.stdout, "/ro\\x1b[2Jot");
    assert.not.match(explained.stdout.replaceAll("\n", ""), /\p{Cc}/u);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test.run();
