/** The tools as people call them; what they say is tested in test/seccomp. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readCall } from "../../cmd/seccomp-call.js";
import { circumstancesOf } from "../../cmd/seccomp-input.js";
import { capabilityNames } from "../../spec/capabilities.js";
import { defaultCapabilities } from "../../userns/capabilities.js";
import { failureOf } from "../support/fixture.js";
import { command, type SbxOptions, sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/seccomp");

let directory = "";
const path = (name: string) => join(directory, name);

test.before(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "sbx-seccomp-"));
  const rules = (names: string) =>
    `{"defaultAction": "SCMP_ACT_ERRNO",\n "syscalls": [{"names": ${names}, "action": "SCMP_ACT_ALLOW"}]}`;
  fs.writeFileSync(path("good.json"), rules('["read"]'));
  fs.writeFileSync(path("other.json"), rules('["read", "write"]'));
  fs.writeFileSync(path("unknown.json"), rules('["raed", "\\u001b[2J"]'));
  fs.writeFileSync(path("bad.json"), rules("[7]"));
});

test.after(() => fs.rmSync(directory, { recursive: true }));

const seccomp = (line: string, options: SbxOptions = {}) =>
  sbx(["seccomp", ...line.split(" ").filter((word) => word !== "")], {
    cwd: directory,
    ...options,
  });

/** Wrong in the eyes of sbx: one line, 125. */
const cases: [string, RegExp][] = [
  ["", /: seccomp: no command is given: there are check, compile, explain, diff$/],
  ["chekc good.json", /: seccomp chekc: no such command\. Did you mean check\?$/],
  ["check", /: seccomp check: the form is sbx seccomp check FILE$/],
  ["check a b", /: seccomp check a b: the form is/],
  ["diff a", /: seccomp diff a: the form is sbx seccomp diff FILE FILE$/],
  ["check --exat good.json", /: --exat: no such option\. Did you mean --exact\?$/],
  ["check --arch=arm default", /: --arch arm: must be amd64 or arm64/],
  ["check --kernel=new default", /: --kernel new: must be X\.Y, such as 6\.1$/],
  ["check --caps=NET_ADMN default", /: --caps NET_ADMN: .*Did you mean CAP_NET_ADMIN\?$/],
  [
    "check nowhere.json",
    /: nowhere\.json: No such file or directory \(ENOENT\)\. Name a file, - for/,
  ],
  ["check .", /: \.: is a directory \(EISDIR\)\. Give the path of a file that you may read$/],
  ["compile --format=elf default", /: --format elf: must be bpf or json or asm/],
  ["compile -o nowhere/x default", /: --output nowhere\/x: .*\(ENOENT\)\. Give a path/],
  ["compile bad.json", /: bad\.json:2:26: syscalls\[0\]\.names\[0\]: must be a string, not 7$/],
  ["explain", /: seccomp explain: the form is .* SYSCALL \[ARGUMENT…\]$/],
  ["explain raed", /: raed: no system call of x86_64\. Did you mean read\?$/],
  [
    "explain --profile=unknown.json --strict read",
    /: unknown\.json:2:15: syscalls\[0\]: no system call of Linux: raed, \\x1b\[2J$/,
  ],
];

for (const [line, expected] of cases) {
  test(`sbx seccomp ${line}`, async () => {
    const { code, stdout, stderr } = await seccomp(line);
    assert.match(stderr.replace(/\n$/, ""), expected);
    assert.is(stdout, "");
    assert.is(code, 125);
  });
}

test("check: 0 with a summary, 1 with all that is wrong", async () => {
  const good = await seccomp("check --arch amd64 good.json");
  assert.match(good.stdout, /^good\.json: 1 of 1 rules apply\n\d+ instructions for x86_64\n$/);
  assert.is(good.code, 0);
  const bad = await seccomp("check -", { input: '{"syscalls": 7, "flags": 7}' });
  assert.is(bad.stdout, "");
  assert.equal(bad.stderr.split("\n"), [
    "sbx: stdin:1:1: defaultAction: is missing",
    "sbx: stdin:1:17: flags: must be an array, not 7",
    "sbx: stdin:1:2: syscalls: must be an array, not 7",
    "",
  ]);
  assert.is(bad.code, 1);
});

test("check: unknown names are a note, and with --strict an error", async () => {
  const { stdout, code } = await seccomp("check unknown.json");
  assert.match(
    stdout,
    "note: unknown.json:2:15: syscalls[0]: ignored, no system call of Linux: raed, \\x1b[2J\n",
  );
  assert.is(code, 0);
  assert.is((await seccomp("check --strict unknown.json")).code, 1);
});

test("compile: the same filter in each format, in a file as on standard output", async () => {
  const bpf = await seccomp("compile --arch=amd64 default");
  const json = JSON.parse((await seccomp("compile --arch=amd64 --format=json default")).stdout);
  const asm = (await seccomp("compile --arch=amd64 --format asm default")).stdout;
  assert.is(bpf.bytes.length, 8 * json.length);
  assert.is(asm.trimEnd().split("\n").length, json.length);
  for (const [index, { code, jt, jf, k }] of json.entries()) {
    assert.is(bpf.bytes.readUInt16LE(8 * index), code);
    assert.is(bpf.bytes[8 * index + 2], jt);
    assert.is(bpf.bytes[8 * index + 3], jf);
    assert.is(bpf.bytes.readUInt32LE(8 * index + 4), k);
  }
  fs.writeFileSync(path("out"), "before");
  fs.symlinkSync("out", path("link"));
  const written = await seccomp("compile default -o link --arch=amd64");
  assert.is(written.stdout + written.stderr, "");
  assert.equal(fs.readFileSync(path("out")), bpf.bytes);
  assert.ok(fs.lstatSync(path("link")).isSymbolicLink());
  assert.is((await seccomp("compile default -o /dev/null")).code, 0);
});

test("compile: what conditions are resolved against, and --exact", async () => {
  const asm = async (options: string) =>
    (await seccomp(`compile --format=asm ${options} default`)).stdout;
  const plain = await asm("--arch=amd64");
  assert.match(plain, /; x86_64, x32\n/);
  assert.match(await asm("--arch=arm64"), /; aarch64\n/);
  assert.is.not(await asm("--arch=amd64 --caps=CAP_SYS_ADMIN"), plain);
  assert.is.not(await asm("--arch=amd64 --kernel=4.7"), plain);
  const good = async (option: string) =>
    (await seccomp(`compile --format=asm ${option} good.json`)).stdout;
  assert.match(await good(""), "ERRNO(ENOSYS)");
  assert.not.match(await good("--exact"), "ERRNO(ENOSYS)");
});

test("compile: no binary on a terminal", () => {
  const line = `exec ${command} seccomp compile default`;
  const { stdout } = spawnSync("script", ["-qec", line, "/dev/null"], { encoding: "utf8" });
  assert.match(
    stdout,
    /^sbx: seccomp compile: .* is a terminal\. Give --output=FILE, or --format=asm\r?\n$/,
  );
});

test("explain: names, numbers, arguments, a profile from standard input", async () => {
  const explained = async (line: string, input = "") =>
    (await seccomp(`explain ${line}`, { input })).stdout.split("\n")[0];
  assert.is(
    await explained("--arch amd64 clone 0x10000000 -1"),
    "clone (56) on x86_64: ERRNO(EPERM)",
  );
  assert.is(await explained("--arch=x86 3"), "read (3) on x86: ALLOW");
  assert.is(await explained("--arch arm read"), "read (3) on arm: ALLOW");
  const input = fs.readFileSync(path("good.json"), "utf8");
  assert.is(
    await explained("write --profile - --arch amd64", input),
    "write (1) on x86_64: ERRNO(ENOSYS)",
  );
  const noted = await seccomp("explain --profile=unknown.json read");
  assert.match(noted.stdout, /\nnote: .*ignored, no system call of Linux: raed, \\x1b\[2J\n$/);
});

test("diff: 0 for the same, 1 for a difference", async () => {
  const same = await seccomp("diff good.json good.json");
  assert.is(same.stdout, "");
  assert.is(same.code, 0);
  const other = await seccomp("diff --arch=amd64 --exact good.json other.json");
  assert.is(other.stdout, "allowed only by other.json:\n  write\n");
  assert.is(other.code, 1);
});

test("a reader that stops is no failure", () => {
  const line = `${command} seccomp compile --format=asm default | true; exit "\${PIPESTATUS[0]}"`;
  const { status, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
  assert.is(stderr, "");
  assert.is(status, 0);
});

test("a call: decimal, hexadecimal, octal, negative", () => {
  const call = (words: string, arch?: string) => {
    const { architecture, number, args } = readCall(words.split(" "), arch ?? "amd64");
    return [architecture, number, ...args];
  };
  assert.equal(call("openat -100 0x10 010 0 18446744073709551615"), [
    ...["x86_64", 257],
    ...[2n ** 64n - 100n, 16n, 8n, 0n, 2n ** 64n - 1n],
  ]);
  assert.equal(call("0x101"), ["x86_64", 257]);
  assert.equal(call("-1"), ["x86_64", 0xffffffff]);
  assert.equal(call("0x40000000"), ["x32", 0x40000000]);
  assert.equal(call("1", "x32"), ["x32", 0x40000001]);
  assert.equal(call("write", "x32"), ["x32", 0x40000001]);
  assert.equal(call("write", "arm64"), ["aarch64", 64]);
  for (const word of ["08", "0x", "1e3", "0xg", "18446744073709551616", "-9223372036854775809"]) {
    assert.match(
      failureOf(() => call(`read ${word}`)),
      `sbx: ${word}: is no number of 64 bits`,
    );
  }
  assert.match(
    failureOf(() => call("4294967296")),
    "is no number of 32 bits",
  );
  assert.match(
    failureOf(() => call("read 1 2 3 4 5 6 7")),
    "at most 6 arguments",
  );
  assert.match(
    failureOf(() => call("socketcall")),
    "no system call of x86_64. See --arch=x86",
  );
});

test("circumstances: what is given, else this machine and what sbx run holds", () => {
  const { capabilities, kernel } = circumstancesOf({});
  assert.equal(capabilities, defaultCapabilities);
  assert.ok(kernel.major >= 3);
  assert.equal(circumstancesOf({ caps: "none" }).capabilities, []);
  assert.equal(circumstancesOf({ caps: "ALL" }).capabilities, capabilityNames);
  assert.equal(circumstancesOf({ caps: "chown,CAP_KILL" }).capabilities, ["CAP_CHOWN", "CAP_KILL"]);
  const { major, minor } = circumstancesOf({ kernel: "5.10.0-28-amd64" }).kernel;
  assert.equal([major, minor], [5, 10]);
  assert.is(circumstancesOf({ arch: "arm64" }).architecture, "aarch64");
});

test.run();
