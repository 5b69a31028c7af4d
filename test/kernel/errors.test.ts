/** What a user reads when something is wrong: one line with what, why with the errno, and the way out. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { compileTo, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { start } from "../support/sandbox.js";
import { findInPath } from "../support/skip.js";
import { suite } from "../support/suite.js";

const test = suite("errors");
const plain = ["unprivileged", "user namespaces", "busybox"] as const;
const full = [...plain, "subids"] as const;
const root = temporaryDirectory("errors");

/** A busybox rootfs with a file of the test's in it. */
function rootfsWith(path: string, content: string | Uint8Array, mode: number): string {
  const rootfs = join(fs.mkdtempSync(join(root, "rootfs-")), "rootfs");
  copyBusyboxRootfs(rootfs);
  fs.writeFileSync(join(rootfs, path), content);
  fs.chmodSync(join(rootfs, path), mode);
  return rootfs;
}

async function refuses(
  code: number,
  expected: RegExp,
  options: readonly string[],
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const result = await refusal(options, words, { env });
  assert.match(result.line, expected);
  assert.is(result.code, code, result.line);
}

test.needs(plain, "the rootfs: absent, no directory, not to be read, none given", async () => {
  const file = join(root, "file");
  fs.writeFileSync(file, "");
  const closed = join(root, "closed");
  fs.mkdirSync(join(closed, "rootfs"), { recursive: true, mode: 0o755 });
  const locked = join(root, "locked");
  fs.mkdirSync(locked, { mode: 0 });
  fs.chmodSync(closed, 0);
  fs.symlinkSync("loop", join(root, "loop"));
  const cases: [string, RegExp][] = [
    [join(root, "nosuch"), /no such directory \(ENOENT\)\. Give a directory, or \//],
    ["", /^sbx: .*must not be empty/],
    [file, /not a directory \(ENOTDIR\)\. Unpack it/],
    [join(file, "x"), /not a directory \(ENOTDIR\)/],
    [locked, /may not list and enter it \(EACCES\)\. .*chmod a\+rx/],
    [join(closed, "rootfs"), /may not list and enter it \(EACCES\)\. .*chmod a\+rx/],
    [join(root, "loop"), /too many symbolic links \(ELOOP\)/],
    ["\u001b[31m/nosuch", /ENOENT/],
  ];
  for (const [path, expected] of cases) {
    await refuses(125, expected, [], [path, "true"]);
  }
  for (const path of [closed, locked]) fs.chmodSync(path, 0o700);
  await refuses(125, /^sbx: run: no ROOTFS is given\. .*sbx run \/ sh/, [], []);
});

test.needs(plain, "the command: absent, not executable, a directory", async () => {
  const rootfs = rootfsWith("plain", "echo x\n", 0o644);
  await refuses(
    127,
    /^sbx: run nosuch: No such file or directory \(ENOENT\)\. /,
    [],
    [rootfs, "nosuch"],
  );
  await refuses(
    126,
    /^sbx: run \/plain: Permission denied \(EACCES\)\. .*chmod \+x/,
    [],
    [rootfs, "/plain"],
  );
  await refuses(126, /^sbx: run \/etc: Permission denied \(EACCES\)\. /, [], [rootfs, "/etc"]);
});

test.needs(full, "the command: not executable for the user inside", async () => {
  const rootfs = rootfsWith("only-root", "#!/bin/sh\necho x\n", 0o700);
  assert.is(
    (await start([await compileTo(join(root, "program"), [rootfs]), "/only-root"])).stdout,
    "x\n",
  );
  await refuses(
    126,
    /^sbx: run \/only-root: Permission denied \(EACCES\)\. .*--user/,
    ["--user=alice"],
    [rootfs, "/only-root"],
  );
});

/** The header of an ELF executable for another machine; 183 is EM_AARCH64, 243 EM_RISCV. */
function foreignProgram(machine: number): Buffer {
  const busybox = fs.readFileSync(findInPath("busybox") ?? "");
  busybox.writeUInt16LE(machine, 18);
  return busybox;
}

test.needs(plain, "the command: for another machine, or no program at all", async () => {
  const other = process.arch === "arm64" ? 243 : 183;
  const expected =
    /^sbx: run \/program: Exec format error \(ENOEXEC\)\. .*(x86_64|aarch64).*another machine/;
  for (const content of [foreignProgram(other), "no #! line\n", ""]) {
    await refuses(126, expected, [], [rootfsWith("program", content, 0o755), "/program"]);
  }
});

test.needs(plain, "the command: its interpreter or loader is missing", async () => {
  const script = rootfsWith("script", "#!/usr/bin/no-python\n", 0o755);
  await refuses(127, /^sbx: run \/script: .*\. Install the .*interpreter/, [], [script, "/script"]);
  const dynamic = fs.readFileSync("/proc/self/exe");
  const loader = rootfsWith("dynamic", dynamic, 0o755);
  await refuses(
    127,
    /^sbx: run \/dynamic: .*\. Install the library or interpreter/,
    [],
    [loader, "/dynamic"],
  );
});

test.needs(plain, "the command: too many words", async () => {
  const options = ["--ulimit=stack=200000"];
  const program = await compileTo(join(root, "words"), [...options, busyboxRootfs()]);
  const { code, stderr } = await start([program, "true", "a".repeat(120_000), "b".repeat(120_000)]);
  assert.match(stderr, /^sbx: run true: Argument list too long \(E2BIG\)\. [^\n]+\n$/);
  assert.is(code, 126);
});

test.needs(full, "maps that may not be", async () => {
  const rootfs = [busyboxRootfs(), "true"];
  const { uid } = userInfo();
  const cases: [string[], RegExp][] = [
    [
      ["--uidmap", "0:1:1"],
      /^sbx: uid map 0:1:1: you may not map the host's uids? 1\. You may map \d+/,
    ],
    [["--uidmap", `0:${uid}:2`], /you may not map the host's uids/],
    [["--uidmap", "0:x:1"], /^sbx: --uidmap 0:x:1: .*CONTAINER:HOST:SIZE/],
    [["--uidmap", "0:0"], /^sbx: --uidmap 0:0: /],
    [["--uidmap", "0:100000:0"], /SIZE|size/],
    [["--uidmap", "0:100000:10", "--uidmap", "5:100020:10"], /overlaps/],
    [["--uidmap", "4294967290:100000:10"], /4294967294/],
    [["--userns=host"], /^sbx: --userns host: .*auto.*single.*keep-id.*nomap/],
    [["--userns=auto", "--uidmap", "0:1:1"], /cannot be given together/],
  ];
  for (const [options, expected] of cases) await refuses(125, expected, options, rootfs);
});

test.needs(plain, "flags: unknown ones and bad values", async () => {
  const rootfs = [busyboxRootfs(), "true"];
  const cases: [string[], RegExp][] = [
    [["--hostnam", "x"], /^sbx: --hostnam: no such option\. Did you mean --hostname\?$/],
    [["-Z"], /^sbx: -Z: no such option/],
    [["--pid=hots"], /^sbx: --pid hots: .*private.*host/],
    [["--umask=9"], /^sbx: --umask 9: must be an octal/],
    [["--ulimit=nofiles=1"], /^sbx: --ulimit nofiles=1: .*Did you mean nofile\?/],
    [["--ulimit=nofile=9:1"], /soft limit 9 is above the hard limit 1/],
    [["--cap-add=NET_ADMN"], /Did you mean CAP_NET_ADMIN\?/],
    [["--cap-add=CHOWN", "--cap-drop=CHOWN"], /both added and dropped/],
    [["--time-offset=soon"], /^sbx: --time-offset soon: /],
    [["--preserve-fds=-1"], /^sbx: --preserve-fds -1: must be a whole number/],
    [["--status-fd=1"], /^sbx: --status-fd 1: must be a whole number from 3/],
    [["--sysctl=x"], /^sbx: --sysctl x: must be NAME=VALUE/],
    [["--workdir=relative"], /absolute/],
    [["--read-only", "--in-place"], /cannot be given together/],
    [["-e", "=x"], /^sbx: -e =x: must be NAME or NAME=VALUE/],
  ];
  for (const [options, expected] of cases) await refuses(125, expected, options, rootfs);
});

test.needs(
  [...full, "debian"],
  "the caller's locale and odd names do not break the line",
  async () => {
    const rootfs = await debianRootfs();
    await refuses(127, /^sbx: run ünï "x": No such file or directory/, [], [rootfs, 'ünï "x"'], {
      LC_ALL: "de_DE.UTF-8",
    });
  },
);

test.needs(plain, "names in the errors of a program steer no terminal", async () => {
  const expected = /^sbx: open the source \/absent\\x1b\[31m\\x0a\\x9b: No such file/;
  const mount = "/absent\x1b[31m\n\x9b:/mnt";
  await refuses(125, expected, ["-v", mount], [busyboxRootfs(), "true"]);
});

test("sbx through a link at a path with blanks", () => {
  const link = join(root, "my sbx");
  fs.symlinkSync(new URL("../../cmd/sbx", import.meta.url), link);
  const { stderr, status } = spawnSync(link, ["run", "/nosuch"], { encoding: "utf8" });
  assert.is(status, 125);
  assert.match(stderr, "ENOENT");
});

test.run();
