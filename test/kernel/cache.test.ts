/** Programs of the cache: what makes `sbx run` use one again, and what does not. */
import * as fs from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { checkKinds, checkWords, header, headerSize } from "../../launch/cache/entry-format.js";
import { installFinder } from "../support/finder.js";
import { temporaryDirectory } from "../support/inside.js";
import { copyBusyboxRootfs } from "../support/rootfs.js";
import { command, processesNaming, type SbxResult, sbx, start } from "../support/sandbox.js";
import { findInPath } from "../support/skip.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("kernel/cache");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

/** What changed a moment ago is not relied on: the kernel's clock is too coarse to tell a second change. */
const settle = () => sleep(100);

/** A user's directories, with a `node` in PATH that counts how often it is started. */
async function world() {
  const home = temporaryDirectory("cache");
  const at = (path: string) => join(home, path);
  const rootfs = at("rootfs");
  copyBusyboxRootfs(rootfs);
  for (const path of ["bin", "early", "config/sbx", "cache"])
    fs.mkdirSync(at(path), { recursive: true });
  fs.mkdirSync(at("run"), { mode: 0o700 });
  const count = at("count");
  fs.writeFileSync(count, "");
  fs.writeFileSync(
    at("bin/node"),
    `#!/bin/sh\necho >>'${count}'\nexec '${process.execPath}' "$@"\n`,
    { mode: 0o755 },
  );
  await settle();
  const env = {
    HOME: home,
    XDG_CACHE_HOME: at("cache"),
    XDG_CONFIG_HOME: at("config"),
    XDG_RUNTIME_DIR: at("run"),
    PATH: `${at("early")}:${at("bin")}:${process.env.PATH}`,
  };
  let counted = 0;
  /** Runs sbx, and tells how often it started Node. */
  const run = async (
    args: readonly string[],
    more: { env?: Record<string, string>; cwd?: string } = {},
  ): Promise<SbxResult & { compiles: number }> => {
    const result = await sbx(["run", ...args], { ...more, env: { ...env, ...more.env } });
    const now = fs.statSync(count).size;
    const compiles = now - counted;
    counted = now;
    return { ...result, compiles };
  };
  const programs = at("cache/sbx/programs");
  const entries = () => fs.readdirSync(programs).filter((name) => name.endsWith(".run"));
  return { at, rootfs, env, run, programs, entries };
}

const quiet = ["--network=none", "--userns=single"];

test.needs(needs, "the second run of the same words starts no Node", async () => {
  const { run, rootfs } = await world();
  const words = [...quiet, "-e", "A=b c", rootfs];
  const first = await run([...words, "sh", "-c", "echo $A $1; exit 3", "-", "one"]);
  assert.equal([first.stdout, first.stderr, first.code, first.compiles], ["b c one\n", "", 3, 1]);
  const second = await run([...words, "sh", "-c", 'printf "%s|" "$@"', "-", " two", "", "-x"]);
  assert.equal(
    [second.stdout, second.stderr, second.code, second.compiles],
    [" two||-x|", "", 0, 0],
  );
  // Without a command it is the shell, which reads what there is to read.
  assert.equal((await run(words)).code, 0);
});

test.needs(needs, "where the cache cannot be had, the runtime directory serves", async () => {
  const { run, rootfs, at } = await world();
  const words = [...quiet, rootfs, "true"];
  const env = { XDG_CACHE_HOME: "/dev/null" };
  assert.is((await run(words, { env })).compiles, 1);
  assert.is((await run(words, { env })).compiles, 0);
  fs.chmodSync(at("run"), 0o777);
  assert.is((await run(words, { env })).compiles > 0, true);
});

test.needs(needs, "a home in which nothing is yet, and no runtime directory", async () => {
  const { run, rootfs, at } = await world();
  const env = { XDG_RUNTIME_DIR: "", XDG_CACHE_HOME: "", HOME: at("run") };
  const words = [...quiet, rootfs, "true"];
  assert.is((await run(words, { env })).compiles, 1);
  assert.is((await run(words, { env })).compiles, 0);
});

test.needs(needs, "other words are others' programs", async () => {
  const { run, rootfs } = await world();
  for (const words of [
    [...quiet, rootfs],
    [...quiet, "--hostname=x", rootfs],
    [...quiet, "--hostname", "x", rootfs],
    [...quiet, "-h", "x", rootfs],
    [...quiet, "-thx", rootfs],
    [...quiet, "--", rootfs],
    [...quiet, "--no-init", rootfs],
  ]) {
    assert.is((await run([...words, "true"])).compiles, 1, words.join(" "));
    assert.is((await run([...words, "true"])).compiles, 0, words.join(" "));
  }
});

test.needs(
  needs,
  "another version that is installed beside this one compiles its own",
  async () => {
    const { run, rootfs, at, env } = await world();
    const words = ["run", ...quiet, rootfs, "true"];
    await run(words.slice(1));
    const [project, other] = [join(command, "../.."), at("other")];
    const others = /^\/(test|dist[^/]*|node_modules|\.\w+)$/;
    const filter = (path: string) => !others.test(path.slice(project.length));
    fs.cpSync(project, other, { recursive: true, filter });
    fs.symlinkSync(join(project, "node_modules"), join(other, "node_modules"));
    fs.appendFileSync(join(other, "spec/spec.ts"), "// Another version.\n");
    const { code, stderr } = await start([process.execPath, join(other, "build.mjs")]);
    assert.equal([code, stderr], [0, ""]);
    await settle();
    for (const compiles of [1, 0]) {
      assert.is((await start([join(other, "cmd/sbx"), ...words], { env })).code, 0);
      assert.is((await run(words.slice(1))).compiles, compiles, "the other's");
    }
  },
);

test.needs(needs, "--no-cache keeps nothing", async () => {
  const { run, rootfs, entries } = await world();
  for (const _ of [1, 2])
    assert.is((await run([...quiet, "--no-cache", rootfs, "true"])).compiles, 1);
  assert.equal(entries(), []);
});

const withIds = [...needs, "subids"] as const;

test.needs(withIds, "a change of what the program was made from is a miss", async () => {
  const { run, rootfs, at, env } = await world();
  const words = ["--network=none", rootfs, "true"];
  const newuidmap = findInPath("newuidmap") ?? "";
  const changes: Record<string, () => void> = {
    "the first run": () => {},
    "a user in the rootfs": () =>
      fs.appendFileSync(join(rootfs, "etc/passwd"), "bob:x:7:7::/:/bin/sh\n"),
    "another mode of the rootfs": () => fs.chmodSync(rootfs, 0o700),
    "a configuration file": () =>
      fs.writeFileSync(at("config/sbx/sbx.ini"), "[run]\nhostname = a\n"),
    "its content, of the same length": () =>
      fs.writeFileSync(at("config/sbx/sbx.ini"), "[run]\nhostname = b\n"),
    "a helper in an earlier directory of PATH": () =>
      fs.copyFileSync(newuidmap, at("early/newuidmap")),
    "that helper, another file": () => {
      fs.rmSync(at("early/newuidmap"));
      fs.copyFileSync(newuidmap, at("early/newuidmap"));
    },
    "a directory where there was none": () =>
      fs.mkdirSync(join(rootfs, "var/tmp"), { recursive: true }),
  };
  for (const [change, make] of Object.entries(changes)) {
    make();
    await settle();
    assert.is((await run(words)).compiles, 1, change);
    assert.is((await run(words)).compiles, 0, `again after ${change}`);
  }
  for (const [name, value] of [
    ["PATH", `${env.PATH}:/nowhere`],
    ["HOME", "/"],
    ["XDG_STATE_HOME", at("cache")],
  ] as const) {
    assert.is((await run(words, { env: { [name]: value } })).compiles, 1, name);
  }
});

test.needs(
  needs,
  "what is relative is another in another directory; what is not, is not",
  async () => {
    const { run, rootfs, at, entries, env } = await world();
    for (const directory of ["one", "two"]) {
      fs.mkdirSync(at(directory));
      fs.writeFileSync(at(`${directory}/file`), directory);
    }
    const words = [...quiet, "-v", "./file:/file", rootfs, "cat", "/file"];
    await settle();
    for (const compiles of [1, 0]) {
      for (const directory of ["one", "two"]) {
        const result = await run(words, { cwd: at(directory) });
        assert.equal([result.stdout, result.stderr, result.compiles], [directory, "", compiles]);
      }
    }
    assert.is(entries().length, 3);
    const absolute = [...quiet, rootfs, "true"];
    assert.is((await run(absolute, { cwd: at("one") })).compiles, 1);
    assert.is((await run(absolute, { cwd: at("two") })).compiles, 0);
    const launcher = relative(at("one"), command);
    await start([launcher, "run", "--hostname=a", ...absolute], { cwd: at("one"), env });
    assert.is((await run(["--hostname=a", ...absolute], { cwd: at("two") })).compiles, 1);
  },
);

test.needs(needs, "a set-up that fails is compiled anew, once and without a word", async () => {
  const { run, rootfs, env } = await world();
  const limited = [...quiet, "--ulimit=nofile=100", rootfs, "sh", "-c", "ulimit -n"];
  assert.is((await run(limited)).stdout, "100\n");
  assert.equal([(await run(limited)).stdout, (await run(limited)).compiles], ["100\n", 0]);
  const failing = await start(
    ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", command, "run", ...limited],
    { env },
  );
  assert.is(failing.code, 125);
  assert.is((await run([...quiet, rootfs, "true"])).compiles, 2, "one of them for what failed");
  assert.match(failing.stderr, /^sbx: [^\n]*nofile[^\n]*\n$/i);
  assert.equal([(await run(limited)).stdout, (await run(limited)).compiles], ["100\n", 0]);
});

test.needs(needs, "sbx cache lists and removes; what runs goes on", async () => {
  const { run, rootfs, env, programs } = await world();
  const words = [...quiet, "-e", "A=b c", rootfs];
  const list = async () => JSON.parse((await sbx(["cache", "ls", "--json"], { env })).stdout);
  assert.equal(await list(), []);
  await run([...words, "true"]);
  const [found, ...others] = await list();
  assert.equal([found.words, found.directory, others], [["run", ...words], null, []]);
  assert.is(found.bytes, fs.statSync(found.program).size);
  assert.match(
    (await sbx(["cache", "ls"], { env })).stdout,
    `KiB  run ${quiet.join(" ")} -e "A=b c" ${rootfs}\n`,
  );
  const mark = `1.0${process.pid}`;
  const running = run([...words, "sh", "-c", `sleep ${mark}; echo done`]);
  const isOn = () =>
    processesNaming(mark).some(({ commandLine }) => commandLine === `sleep ${mark}`);
  await until("it runs", isOn);
  assert.match((await sbx(["cache", "prune"], { env })).stdout, /^Removed 2 files, [\d.]+KiB\n$/);
  assert.equal(fs.readdirSync(programs), []);
  assert.is((await running).stdout, "done\n");
  for (let name = 100; name < 400; name++)
    fs.writeFileSync(join(programs, `${name}`.repeat(11).slice(1)), "");
  const prunes = await Promise.all([1, 2, 3].map(() => sbx(["cache", "prune"], { env })));
  for (const { code, stderr } of prunes) assert.equal([code, stderr], [0, ""]);
  assert.is((await run([...words, "true"])).compiles > 0, true);
  assert.is((await sbx(["cache", "lz"], { env })).code, 125);
});

test.needs([...withIds, "fuse-overlayfs"], "every check of an entry is looked at", async () => {
  const { run, rootfs, programs, entries, at, env } = await world();
  const words = ["--network=none", "--overlay=fuse", rootfs];
  assert.is((await run([...words, "true"])).compiles, 1);
  const [name = ""] = entries();
  const path = join(programs, name);
  const bytes = fs.readFileSync(path);
  const finder = installFinder(at("installation"), "echo miss $*");
  const find = async (changed: Buffer) => {
    fs.writeFileSync(path, changed);
    const result = await start([finder, "run", ...words, "echo", "hit"], { env });
    return result.stdout;
  };
  assert.is(await find(bytes), "hit\n");
  const miss = `miss --cold run ${words.join(" ")} echo hit\n`;
  const kinds = new Set<number>();
  const count = Number(bytes.readBigInt64LE(header.checks));
  for (let index = 0; index < count; index++) {
    const word = (number: number) => headerSize + 8 * (checkWords * index + number);
    const [kind, first, second, third] = [0, 1, 2, 3].map((number) =>
      Number(bytes.readBigInt64LE(word(number))),
    ) as [number, number, number, number];
    kinds.add(kind);
    const changed = Buffer.from(bytes);
    const flip = (at: number) => changed.writeUInt8((changed[at] ?? 0) ^ 4, at);
    switch (kind) {
      case checkKinds.file:
      case checkKinds.identity:
        flip(third + 32);
        break;
      case checkKinds.access:
      case checkKinds.open:
      case checkKinds.absent:
        changed.writeBigInt64LE(BigInt(third === 0 ? 13 : 0), word(3));
        break;
      case checkKinds.real:
      case checkKinds.variable:
        if (second === 0) changed.writeBigInt64LE(BigInt(first), word(2));
        else flip(second);
        break;
      case checkKinds.text:
        if (third > 0) flip(second);
        else changed.writeBigInt64LE(8n, word(3));
        break;
      default:
        flip(first);
    }
    const text = bytes.toString("latin1", first, bytes.indexOf(0, first));
    assert.is(await find(changed), miss, `check ${index}, of kind ${kind}: ${text}`);
  }
  assert.equal(
    [...kinds].sort((a, b) => a - b),
    Object.values(checkKinds),
  );
});

test.run();
