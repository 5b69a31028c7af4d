import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { keep, programPlaces, type StoreHost } from "../../../launch/cache/store.js";
import { start } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("store");
const uid = process.getuid?.() ?? 0;
const dayMs = 86_400_000;
const program = new TextEncoder().encode("#!/bin/sh\necho kept\n");
let root = "";

const mode = (path: string) => fs.lstatSync(path).mode & 0o7777;
const host = (env: StoreHost["env"] = {}, nowMs = Date.now()): StoreHost => ({
  env,
  home: join(root, "home"),
  uid,
  nowMs,
});

function keptFile(kept: ReturnType<typeof keep>): string {
  if (kept.kind !== "file") throw new Error(kept.refusals.join("\n"));
  return kept.path;
}

function refusals(kept: ReturnType<typeof keep>): string {
  if (kept.kind !== "memfd") throw new Error(`kept in ${kept.path}`);
  return kept.refusals.join("\n");
}

function setTime(path: string, ms: number): void {
  fs.utimesSync(path, ms / 1000, ms / 1000);
}

test.before.each(() => {
  root = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), "sbx-store-")));
  fs.mkdirSync(join(root, "home"));
});
test.after.each(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

test("places: the cache, then the runtime directory; relative ones do not count", () => {
  const env = { XDG_CACHE_HOME: "/c", XDG_RUNTIME_DIR: "/r" };
  assert.equal(programPlaces({ env, home: "/h" }), ["/c/sbx/programs", "/r/sbx"]);
  assert.equal(programPlaces({ env: {}, home: "/h" }), ["/h/.cache/sbx/programs"]);
  const odd = { XDG_CACHE_HOME: "c", XDG_RUNTIME_DIR: "" };
  assert.equal(programPlaces({ env: odd, home: null }), []);
  assert.match(refusals(keep(program, { ...host(odd), home: null })), /neither HOME nor/);
});

test("keeps a private, executable file", async () => {
  const path = keptFile(keep(program, host()));
  assert.is(dirname(path), join(root, "home/.cache/sbx/programs"));
  assert.match(basename(path), /^[0-9a-f]{32}$/);
  assert.is(mode(path), 0o700);
  assert.is(mode(dirname(path)), 0o700);
  assert.equal(fs.readFileSync(path), Buffer.from(program));
  assert.is((await start([path])).stdout, "kept\n");
  assert.equal(fs.readdirSync(dirname(path)), [basename(path)]);
});

test("the file's mode does not depend on the umask", () => {
  const { length } = keptFile(keep(program, host()));
  const umask = process.umask(0o777);
  try {
    const path = keptFile(keep(program.subarray(1), host()));
    assert.is(mode(path), 0o700);
    assert.is(path.length, length);
  } finally {
    process.umask(umask);
  }
});

test("the file is used again, and another program gets another", () => {
  const path = keptFile(keep(program, host()));
  const { ino } = fs.statSync(path);
  assert.is(keptFile(keep(program, host())), path);
  assert.is(fs.statSync(path).ino, ino);
  assert.is.not(keptFile(keep(program.subarray(1), host())), path);
});

test("a file that is not as it was left is replaced", () => {
  const path = keptFile(keep(program, host()));
  const spoil: Record<string, () => void> = {
    longer: () => fs.appendFileSync(path, "echo more\n"),
    changed: () => fs.writeFileSync(path, Buffer.from(program).fill(32, 10)),
    writable: () => fs.chmodSync(path, 0o770),
    setuid: () => fs.chmodSync(path, 0o4700),
    link: () => {
      fs.renameSync(path, `${path}.real`);
      fs.symlinkSync(`${path}.real`, path);
    },
    unreadable: () => fs.chmodSync(path, 0),
  };
  for (const [name, how] of Object.entries(spoil)) {
    how();
    assert.is(keptFile(keep(program, host())), path, name);
    assert.ok(fs.lstatSync(path).isFile(), name);
    assert.is(mode(path), 0o700, name);
    assert.equal(fs.readFileSync(path), Buffer.from(program), name);
  }
});

test("a place that others can write to is passed over", () => {
  const runtime = join(root, "run");
  fs.mkdirSync(runtime, { mode: 0o700 });
  const place = join(root, "home/.cache/sbx/programs");
  fs.mkdirSync(place, { recursive: true, mode: 0o700 });
  const env = { XDG_RUNTIME_DIR: runtime };
  for (const path of [place, dirname(place), join(root, "home")]) {
    const before = mode(path);
    fs.chmodSync(path, 0o777);
    assert.is(dirname(keptFile(keep(program, host(env)))), join(runtime, "sbx"), path);
    assert.is(refusals(keep(program, host())), `keep programs in ${path}: others may write to it`);
    fs.chmodSync(path, before);
  }
  // As /tmp is: others cannot rename what is ours.
  fs.chmodSync(join(root, "home"), 0o1777);
  assert.is(dirname(keptFile(keep(program, host(env)))), place);
});

test("through a link the directory it leads to is judged", () => {
  fs.mkdirSync(join(root, "open/cache"), { recursive: true });
  fs.symlinkSync(join(root, "open/cache"), join(root, "home/.cache"));
  assert.is(dirname(keptFile(keep(program, host()))), join(root, "open/cache/sbx/programs"));
  fs.chmodSync(join(root, "open"), 0o777);
  assert.match(refusals(keep(program, host())), `${root}/open: others may write`);
});

test("root with the home of a user leaves nothing in it", () => {
  const home = join(root, "home");
  // Only root can give a directory away; others are taken for a root who is not uid 0.
  if (uid === 0) fs.chownSync(home, 1, 1);
  const kept = keep(program, { ...host(), uid: uid === 0 ? 0 : uid + 1 });
  assert.is(refusals(kept), `keep programs in ${home}: it belongs to uid ${uid === 0 ? 1 : uid}`);
  assert.equal(fs.readdirSync(home), []);
});

test("what stands in the way sends it to the next place", () => {
  const runtime = join(root, "run");
  fs.mkdirSync(runtime, { mode: 0o700 });
  fs.writeFileSync(join(root, "home/.cache"), "");
  const env = { XDG_RUNTIME_DIR: runtime };
  assert.is(dirname(keptFile(keep(program, host(env)))), join(runtime, "sbx"));
  assert.match(refusals(keep(program, host())), /^ENOTDIR|^EEXIST/);
  assert.match(refusals(keep(program, host({ XDG_CACHE_HOME: `${root}/a\nb` }))), /line break/);
  // Where nothing can be made, though root owns it.
  assert.match(
    refusals(keep(program, host({ XDG_CACHE_HOME: "/proc" }))),
    /^(ENOENT|EACCES).*mkdir/,
  );
});

test("what has not been used for 30 days is evicted by the next to be written", () => {
  const now = Date.now();
  const used = keptFile(keep(program, host()));
  const place = dirname(used);
  const entries: Record<string, number> = {
    ["0".repeat(32)]: 31,
    ["1".repeat(32)]: 29,
    [`.${"2".repeat(32)}.${"a".repeat(16)}`]: 0.1,
    [`.${"3".repeat(32)}.${"a".repeat(16)}`]: 0.01,
    "notes.txt": 99,
  };
  for (const [name, days] of Object.entries(entries)) {
    fs.writeFileSync(join(place, name), "");
    setTime(join(place, name), now - days * dayMs);
  }
  setTime(used, now - 40 * dayMs);
  keptFile(keep(program, host()));
  assert.is(fs.readdirSync(place).length, 6, "nothing was written, so nothing is evicted");
  const written = keptFile(keep(program.subarray(1), host()));
  assert.equal(
    fs.readdirSync(place).sort(),
    [
      ...Object.keys(entries).filter((name) => !/^0|^\.2/.test(name)),
      basename(used),
      basename(written),
    ].sort(),
  );
});

test("use is noted once a day", () => {
  const now = Date.now();
  const path = keptFile(keep(program, host()));
  setTime(path, now - 0.9 * dayMs);
  keep(program, host({}, now));
  assert.ok(fs.statSync(path).mtimeMs < now - 0.8 * dayMs);
  setTime(path, now - 1.1 * dayMs);
  keep(program, host({}, now));
  assert.ok(Math.abs(fs.statSync(path).mtimeMs - now) < 2_000);
});

/**
 * Keeps the program in a mount namespace whose /place is a tmpfs with the options. Its / is a tmpfs
 * too, with links to the real one: in a user namespace that belongs to nobody, and is not trusted.
 */
async function keepOn(options: string): Promise<string> {
  const store = join(import.meta.dirname, "../../../launch/cache/store.ts");
  const code = `
    import { existsSync, readdirSync } from "node:fs";
    import { keep } from ${JSON.stringify(store)};
    const env = { XDG_CACHE_HOME: "/place", XDG_RUNTIME_DIR: "/second" };
    const kept = keep(Buffer.alloc(20_000, 7), { env, home: null, uid: 0, nowMs: Date.now() });
    console.log(kept.kind === "file" ? kept.path : kept.refusals.join());
    const place = "/place/sbx/programs";
    if (existsSync(place)) for (const name of readdirSync(place)) console.log("left", name);`;
  const script = `set -e
    mount -t tmpfs -o mode=755 tmpfs "$1"
    mkdir "$1/host" "$1/place" "$1/second"
    mount --rbind / "$1/host"
    for entry in /*; do ln -s "host$entry" "$1$entry"; done
    mount -t tmpfs -o "$2" tmpfs "$1/place"
    root=$1
    shift 2
    PATH=$PATH:/usr/sbin:/sbin exec chroot "$root" "$@"`;
  const node = [process.execPath, "--import", import.meta.resolve("tsx")];
  const { stdout, stderr } = await start([
    ...["unshare", "-Urm", "sh", "-c", script, "sh", join(root, "home"), options],
    ...[...node, "--input-type=module", "-e", code],
  ]);
  assert.is(stderr, "");
  return stdout.trim();
}

test.needs("mount namespaces", "a mount that can execute keeps it", async () => {
  assert.match(await keepOn("mode=700"), /^\/place\/sbx\/programs\/([0-9a-f]+)\nleft \1$/);
});

for (const [what, options] of [
  ["noexec", "mode=700,noexec"],
  ["full", "mode=700,size=4k"],
  ["read-only", "mode=700,ro"],
] as const) {
  test.needs("mount namespaces", `a ${what} mount sends it to the next place`, async () => {
    const path = await keepOn(options);
    // The whole file stays on the noexec mount, and is evicted some day; nothing on the full one.
    assert.match(
      path,
      what === "noexec" ? /^\/second\/sbx\/(\w+)\nleft \1$/ : /^\/second\/sbx\/\w+$/,
    );
  });
}

test.run();
