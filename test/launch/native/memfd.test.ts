/** Programs executed from memory, through the launcher, against the same started directly. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import * as assert from "uvu/assert";
import { readHandOver } from "../../../launch/native/memfd.js";
import { command, type SbxOptions, start } from "../../support/sandbox.js";
import { findInPath } from "../../support/skip.js";
import { suite } from "../../support/suite.js";

const test = suite("memfd");
const project = resolve(import.meta.dirname, "../../..");
let root = "";

/** A compiler that finds no place that can execute; every program it makes is busybox. */
const compiler = (program: string) => `
  import { readFileSync } from "node:fs";
  const argv = process.argv.slice(2);
  if (argv[0] !== "--memfd") console.log("memfd 1");
  else {
    const { callerEnvironment, execFromMemory, lastArguments, readHandOver } =
      await import(${JSON.stringify(join(project, "launch/native/memfd.ts"))});
    const { arguments: words, environment, inherited } = readHandOver(argv);
    execFromMemory(
      readFileSync(${JSON.stringify(program)}),
      ["busybox", ...lastArguments(words.length - 1)],
      [...callerEnvironment(), ...environment],
      inherited,
    );
  }`;

async function install(name: string, program: string): Promise<string> {
  const home = join(root, name);
  fs.mkdirSync(join(home, "cmd"), { recursive: true });
  fs.copyFileSync(command, join(home, "cmd/sbx"));
  fs.symlinkSync(join(project, "node_modules"), join(home, "node_modules"));
  fs.writeFileSync(join(home, "package.json"), `{"type":"module"}`);
  await build({
    stdin: { contents: compiler(program), resolveDir: project, loader: "ts" },
    outfile: join(home, "dist/main.js"),
    bundle: true,
    format: "esm",
    platform: "node",
    external: ["koffi"],
  });
  fs.writeFileSync(join(home, "dist/sbx.cjs"), `import("./main.js");`);
  return join(home, "cmd/sbx");
}

let sbx = "";
test.before(async () => {
  root = fs.mkdtempSync(join(tmpdir(), "sbx-memfd-"));
  sbx = await install("good", findInPath("busybox") ?? "");
});
test.after(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

/** The applet through memory, and started directly, after the same settings. */
async function both(settings: readonly string[], applet: readonly string[], options?: SbxOptions) {
  const through = await start([...settings, sbx, "run", ...applet], options);
  return { through, direct: await start([...settings, "busybox", ...applet], options) };
}

test.needs("busybox", "is the program itself, with its arguments and exit code", async () => {
  const exe = await start([sbx, "run", "readlink", "/proc/self/exe"]);
  assert.is(exe.stdout, "/memfd:sbx (deleted)\n");
  const code = await start([sbx, "run", "sh", "-c", `echo "$@"; exit 42`, "0", "a b", ""]);
  assert.equal([code.stdout, code.code], ["a b \n", 42]);
});

test.needs("busybox", "the program in memory stays as it is, even when it has ended", async () => {
  const child = spawn(sbx, ["run", "sleep", "60"]);
  const exe = `/proc/${child.pid}/exe`;
  while (!fs.readlinkSync(exe).startsWith("/memfd:")) await sleep(10);
  const fd = fs.openSync(exe, "r");
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  const writable = fs.openSync(`/proc/self/fd/${fd}`, "r+");
  assert.throws(() => fs.writeSync(writable, "x"), /EPERM/);
  assert.throws(() => fs.ftruncateSync(writable, 0), /EPERM/);
  fs.closeSync(writable);
  fs.closeSync(fd);
});

for (const [name, settings] of [
  ["defaults", ["env"]],
  ["ignored", ["env", "--ignore-signal=HUP,PIPE,XFSZ,USR1,RTMAX"]],
  ["SIGPIPE as it was born", ["env", "--default-signal=PIPE"]],
  ["blocked", ["env", "--block-signal=USR1,USR2,TERM,RTMIN"]],
] as const) {
  test.needs("busybox", `signals: ${name}`, async () => {
    const { through, direct } = await both(settings, ["cat", "/proc/self/status"]);
    const signals = (text: string) => text.match(/^Sig(Ign|Blk|Cgt|Pnd):.*/gm);
    assert.is(signals(direct.stdout)?.length, 4);
    assert.equal(signals(through.stdout), signals(direct.stdout));
  });
}

test.needs("busybox", "the limit of open files, soft and hard", async () => {
  for (const limit of ["ulimit -Sn 321", "ulimit -n 432"]) {
    const settings = ["sh", "-c", `${limit}; exec "$@"`, "0"];
    const { through, direct } = await both(settings, ["cat", "/proc/self/limits"]);
    const files = /^Max open files.*/m;
    assert.match(files.exec(direct.stdout)?.[0] ?? "", /321|432/);
    assert.is(files.exec(through.stdout)?.[0], files.exec(direct.stdout)?.[0]);
  }
});

test.needs("busybox", "standard input arrives, and blocks as before", async () => {
  const input = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 256));
  const { through } = await both([], ["cat"], { input });
  assert.ok(through.bytes.equals(input));
  const flags = await both(
    ["sh", "-c", `cat | "$@" | cat`, "0"],
    ["cat", ...[0, 1, 2].map((fd) => `/proc/self/fdinfo/${fd}`)],
  );
  const stdio = (text: string) => text.match(/^flags:.*/gm);
  assert.is(stdio(flags.direct.stdout)?.length, 3);
  assert.equal(stdio(flags.through.stdout), stdio(flags.direct.stdout));
});

test.needs("busybox", "the caller's descriptors, and none of Node's", async () => {
  const list = ["ls", "-l", "/proc/self/fd/"];
  for (const open of ["3</etc/passwd 9</etc/group", "17</etc/group", ""]) {
    const { through, direct } = await both(["sh", "-c", `exec "$@" ${open}`, "0"], list);
    // `ls` cannot follow the link to its own descriptor any more.
    const files = (text: string) => text.match(/\d+ -> (\/etc.*|anon.*|pipe|socket)/g);
    assert.equal(files(through.stdout), files(direct.stdout), open);
  }
});

test.needs(
  "busybox",
  "argv and environment byte for byte, Node's settings among them",
  async () => {
    const bytes = `export X="$(printf '\\377')"; exec "$@" "$(printf '\\376')"`;
    const result = await both(
      ["sh", "-c", bytes, "0"],
      ["sh", "-c", 'printf %s "$X$NODE_OPTIONS$0"'],
      {
        env: { NODE_OPTIONS: "--require /nowhere", NODE_CHANNEL_FD: undefined },
      },
    );
    assert.equal([...result.through.bytes], [255, ...Buffer.from("--require /nowhere"), 254]);
    assert.equal(result.direct.bytes, result.through.bytes);
  },
);

test("what the kernel cannot execute is an error", async () => {
  const broken = await install("broken", "/proc/version");
  const result = await start([broken, "run"]);
  assert.match(result.stderr, "sbx: execute the program from memory: ENOEXEC");
  assert.is.not(result.code, 0);
});

test("reads the launcher's words", () => {
  const state = [
    "unlimited",
    "/proc/self/status:SigQ:\t0/1",
    "/proc/self/status:SigBlk:\t0000000000000200",
    "/proc/self/status:SigIgn:\t8000000000000001",
    "/proc/self/fdinfo/0:flags:\t02",
    "/proc/self/fdinfo/12:flags:\t0100000",
  ].join("\n");
  assert.equal(readHandOver(["--memfd", state, "NODE_OPTIONS=a=b", "run", "NODE_X=1"]), {
    inherited: {
      ignoredSignals: 0x8000_0000_0000_0001n,
      blockedSignals: 0x200n,
      nofileSoft: "unlimited",
      fds: [12],
    },
    environment: ["NODE_OPTIONS=a=b"],
    arguments: ["run", "NODE_X=1"],
  });
  assert.throws(() => readHandOver(["--memfd", "20", "run"]), /SigIgn is missing/);
});

test.run();
