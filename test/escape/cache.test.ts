/**
 * Hostile caches. Whoever may write to the cache, or to a directory above it, or has put a file of theirs
 * there, must not have anything of it executed: the finder leaves it to Node then, which keeps nothing there.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { installFinder } from "../support/finder.js";
import { temporaryDirectory } from "../support/inside.js";
import { copyBusyboxRootfs } from "../support/rootfs.js";
import { command, sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("escape by the cache");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

/** A cache with one entry; `find` tells whether its program is executed. */
async function world() {
  const home = temporaryDirectory("escape-cache");
  const [cache, rootfs] = [join(home, "c"), join(home, "rootfs")];
  const finder = installFinder(join(home, "installation"), "echo compile");
  copyBusyboxRootfs(rootfs);
  fs.mkdirSync(cache, { mode: 0o700 });
  await new Promise((done) => setTimeout(done, 100));
  const words = ["run", "--network=none", "--userns=single", rootfs, "echo", "hit"];
  const env = { HOME: home, XDG_CACHE_HOME: cache };
  assert.is((await sbx(words, { env })).stdout, "hit\n");
  const programs = join(cache, "sbx/programs");
  const name = fs.readdirSync(programs).find((each) => each.endsWith(".run")) ?? "";
  const find = async (changed: Record<string, string | undefined> = {}) =>
    (await start([finder, ...words], { env: { ...env, ...changed } })).stdout;
  assert.is(await find(), "hit\n");
  return { home, cache, programs, entry: join(programs, name), find, words, env };
}

/** A directory or file gets another owner, of the caller's subordinate ids. */
const give = (path: string) => execFileSync(command, ["unshare", "chown", "1:1", path]);
const takeBack = (path: string) => execFileSync(command, ["unshare", "chown", "0:0", path]);

test.needs(needs, "directories that others may write to, or own", async () => {
  const { home, cache, programs, find } = await world();
  for (const directory of [programs, join(cache, "sbx"), cache, home]) {
    const { mode } = fs.statSync(directory);
    for (const open of [0o777, 0o770, 0o722]) {
      fs.chmodSync(directory, open);
      // Those of a group that has the number of its only user are nobody else's.
      const isOwnGroup = process.getgid?.() === process.getuid?.() && (open & 0o002) === 0;
      assert.is(
        await find(),
        isOwnGroup && directory !== programs ? "hit\n" : "compile\n",
        `${directory} ${open.toString(8)}`,
      );
    }
    fs.chmodSync(directory, mode);
    assert.is(await find(), "hit\n");
  }
  // As /tmp is: what is ours there nobody can move away.
  fs.chmodSync(cache, 0o1777);
  assert.is(await find(), "hit\n");
});

test.needs([...needs, "subids"], "directories and entries of another user", async () => {
  const { cache, programs, entry, find, words, env } = await world();
  for (const path of [entry, programs, join(cache, "sbx"), cache]) {
    fs.chmodSync(path, 0o755);
    give(path);
    assert.is(await find(), "compile\n", path);
    takeBack(path);
  }
  give(cache);
  assert.is((await sbx(words, { env })).stdout, "hit\n", "Node finds another way to start it");
  takeBack(cache);
});

test.needs(needs, "entries that are no files of ours, or not whole", async () => {
  const { home, entry, find } = await world();
  const bytes = fs.readFileSync(entry);
  const elsewhere = join(home, "elsewhere");
  fs.writeFileSync(elsewhere, bytes, { mode: 0o600 });
  const hostile: Record<string, () => void> = {
    "a link": () => fs.symlinkSync(elsewhere, entry),
    "a link to itself": () => fs.symlinkSync(entry, entry),
    "a fifo": () => void execFileSync("mkfifo", [entry]),
    "a directory": () => fs.mkdirSync(entry),
    nothing: () => {},
    "an empty file": () => fs.writeFileSync(entry, ""),
    "a half": () => fs.writeFileSync(entry, bytes.subarray(0, bytes.length / 2)),
    "more than the whole": () => fs.writeFileSync(entry, Buffer.concat([bytes, bytes])),
    "a text": () => fs.writeFileSync(entry, "run me\n".repeat(100)),
    "what others may write to": () => {
      fs.writeFileSync(entry, bytes);
      fs.chmodSync(entry, 0o622);
    },
  };
  for (const [what, put] of Object.entries(hostile)) {
    fs.rmSync(entry, { recursive: true, force: true });
    put();
    assert.is(await find(), "compile\n", what);
  }
});

test.needs(needs, "programs that are not as they were left", async () => {
  const { home, programs, find } = await world();
  const name = fs.readdirSync(programs).find((each) => !each.includes(".")) ?? "";
  const program = join(programs, name);
  for (const mode of [0o770, 0o702, 0o755, 0o4700]) {
    fs.chmodSync(program, mode);
    assert.is(await find(), "compile\n", mode.toString(8));
  }
  fs.chmodSync(program, 0o700);
  const elsewhere = join(home, "elsewhere");
  fs.renameSync(program, elsewhere);
  fs.symlinkSync(elsewhere, program);
  assert.is(await find(), "compile\n", "a link");
});

test.needs(needs, "a cache that was moved: what is where it was is not executed", async () => {
  const { home, cache, programs, find } = await world();
  const names = fs.readdirSync(programs);
  const moved = join(home, "moved");
  fs.renameSync(cache, moved);
  fs.mkdirSync(programs, { recursive: true });
  for (const name of names) {
    fs.writeFileSync(join(programs, name), "#!/bin/sh\necho foreign\n", { mode: 0o700 });
  }
  assert.is(await find({ XDG_CACHE_HOME: moved }), "hit\n");
});

test.needs(needs, "places that are no paths, and links on the way", async () => {
  const { home, cache, find } = await world();
  for (const place of [
    "relative",
    "",
    "/dev/null",
    "/",
    `${home}/${"x/".repeat(5000)}`,
    `/${"x".repeat(9000)}`,
  ]) {
    assert.is(await find({ XDG_CACHE_HOME: place, HOME: home }), "compile\n", place.slice(0, 40));
  }
  fs.symlinkSync(cache, join(home, ".cache"));
  assert.is(await find({ XDG_CACHE_HOME: undefined }), "hit\n");
  const open = join(home, "open");
  fs.mkdirSync(open);
  fs.symlinkSync(cache, join(open, "link"));
  fs.chmodSync(open, 0o777);
  // The link may be changed by anybody. Where it leads, no one else can write.
  assert.is(await find({ XDG_CACHE_HOME: join(open, "link") }), "hit\n");
  fs.mkdirSync(join(open, "sbx"));
  fs.symlinkSync(join(cache, "sbx/programs"), join(open, "sbx/programs"));
  assert.is(await find({ XDG_CACHE_HOME: open }), "hit\n");
  fs.rmSync(join(open, "sbx/programs"));
  fs.cpSync(join(cache, "sbx/programs"), join(open, "sbx/programs"), { recursive: true });
  assert.is(await find({ XDG_CACHE_HOME: open }), "compile\n");
});

test.run();
