/** The directories of kept sandboxes, and their names. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { type Kept, listKept, lockKept, readKept, wholeSpec } from "../../../launch/life/kept.js";
import { createKept, renameKept } from "../../../launch/life/kept-create.js";
import { removeLocked } from "../../../launch/life/kept-remove.js";
import { readState } from "../../../launch/life/kept-state.js";
import { adjectives, derivedName, nouns } from "../../../launch/life/names.js";
import { chooseView, listViews, requireRunning } from "../../../launch/life/sandboxes.js";
import { defaultSpec } from "../../../spec/default.js";
import { isGivenName } from "../../../spec/network-shape.js";
import type { Spec } from "../../../spec/spec.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("kept sandboxes");
const free = () => false;
const empty = (): string => fs.mkdtempSync(join(temporaryDirectory("kept"), "data."));
const noRun = { path: "/nonexistent", base: "/nonexistent" };

function specOf(name: string, place: { id: string; directory: string }, removeAtEnd = false): Spec {
  const { sbx, ...base } = defaultSpec("/");
  const life = { ...place, stdin: false, restart: { name: "no" }, log: null, removeAtEnd } as const;
  return { ...base, sbx: { ...sbx, name, life } };
}
const create = (data: string, name?: string) => createKept(data, name, free, specOf);
const message = (action: Promise<unknown>) =>
  action.then(
    () => "it did not fail",
    (error: Error) => error.message,
  );

test("what is made is found, and is nobody else's", async () => {
  const data = empty();
  const web = await create(data, "web");
  const other = await create(data);
  assert.match(web.id, /^[0-9a-f]{12}$/);
  assert.is(other.name, derivedName(other.id));
  assert.equal(listKept(data), { kept: [web, other], damaged: [], leftovers: [] });
  assert.is(web.directory, join(data, "sandboxes", web.id));
  assert.is(fs.statSync(web.directory).mode & 0o777, 0o700);
  assert.is(fs.statSync(join(web.directory, "config.json")).mode & 0o777, 0o600);
  assert.match(await message(create(data, "web")), /--name web: a sandbox of that name is there/);
  const running = createKept(data, "db", (name) => name === "db", specOf);
  assert.match(await message(running), /--name db: a sandbox of that name is there/);
});

test("integers of a profile keep their value", async () => {
  const data = empty();
  const seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [
      {
        names: ["clone"],
        action: "SCMP_ACT_ERRNO",
        args: [{ index: 0, value: 18446744073709551615n, op: "SCMP_CMP_EQ" }],
      },
    ],
  };
  const { id } = await createKept(data, "web", free, (name, place) => {
    const spec = specOf(name, place);
    return { ...spec, linux: { ...spec.linux, seccomp } };
  });
  const read = readKept(data, id) as Kept;
  assert.equal((await wholeSpec(read)).linux.seccomp, seccomp);
});

test("a place that others may get at is refused", async () => {
  const data = empty();
  fs.mkdirSync(join(data, "sandboxes"), { mode: 0o755 });
  assert.match(await message(create(data)), /others may enter it\. chmod 700/);
  fs.rmdirSync(join(data, "sandboxes"));
  fs.chmodSync(data, 0o777);
  assert.match(await message(create(data)), /others may write to it/);
});

test("where others may have put some, none is listed", async () => {
  const data = empty();
  await create(data, "web");
  fs.chmodSync(data, 0o777);
  assert.throws(() => listKept(data), /keep sandboxes in .*others may write to it/);
  fs.chmodSync(data, 0o755);
  assert.is(listKept(data).kept.length, 1);
});

test("renamed, it has the new name alone", async () => {
  const data = empty();
  const web = await create(data, "web");
  await create(data, "db");
  assert.match(await message(renameKept(data, web, "db", free)), /of the name db is there already/);
  await renameKept(data, web, "shop", free);
  const { kept } = listKept(data);
  assert.equal(
    kept.map(({ name, spec }) => [name, spec.sbx.name]),
    [
      ["shop", "shop"],
      ["db", "db"],
    ],
  );
  assert.equal(fs.readdirSync(join(data, "names")).sort(), [".lock", "db", "shop"]);
  await create(data, "web");
});

test("a lock is one's, and ends with its process", async () => {
  const { directory } = await create(empty());
  const holder = spawn("flock", [join(directory, "lock"), "sh", "-c", "echo held; exec sleep 60"]);
  try {
    await once(holder.stdout, "data");
    assert.is(await lockKept(directory), "busy");
  } finally {
    // flock(1) waits for what it has started, which has the lock too.
    execFileSync("pkill", ["-KILL", "-P", `${holder.pid}`]);
  }
  await once(holder, "exit");
  const fd = (await lockKept(directory)) as number;
  assert.is(await lockKept(directory), "busy");
  removeLocked([directory]);
  fs.closeSync(fd);
  assert.is(await lockKept(directory), "gone");
});

test("what is no lock is told of", async () => {
  const { directory } = await create(empty());
  const lock = join(directory, "lock");
  fs.rmSync(lock);
  fs.symlinkSync("/etc/passwd", lock);
  assert.match(await message(lockKept(directory)), /lock .*\/lock: ELOOP.* remove it/);
  fs.rmSync(lock);
  fs.mkdirSync(lock);
  assert.match(await message(lockKept(directory)), /lock .*\/lock: EISDIR.* remove it/);
});

test("what a kill has left is repaired by who lists", async () => {
  const data = empty();
  const { kept: none } = await listViewsOf(data);
  assert.equal(none, []);
  const web = await create(data, "web");
  const gone = await createKept(data, "gone", free, (...given) => specOf(...given, true));
  const state = { version: 1, status: "running", startedMs: 5, finishedMs: null, restarts: 2 };
  for (const { directory } of [web, gone]) {
    fs.writeFileSync(join(directory, "state.json"), JSON.stringify(state));
  }
  const half = join(data, "sandboxes/.0123456789ab");
  fs.mkdirSync(half);
  fs.writeFileSync(join(data, "names/lost"), "0123456789ab\n");
  fs.writeFileSync(join(data, "names/.half"), "");
  await listViewsOf(data);
  assert.ok(fs.existsSync(half), "somebody may be about to name it");
  fs.utimesSync(half, 0, 0);
  const { kept, views } = await listViewsOf(data);
  assert.equal(kept, ["web"]);
  assert.equal(fs.readdirSync(join(data, "sandboxes")), [web.id]);
  assert.equal(fs.readdirSync(join(data, "names")).sort(), [".lock", "web"]);
  const [view] = views;
  assert.equal(
    [view?.status, view?.exitCode, view?.startedMs, view?.error],
    ["exited", 137, 5, "its monitor was killed"],
  );
  assert.is(readState(web.directory)?.status, "exited");
  assert.throws(
    () => view && requireRunning(view),
    /web: it is not running\. Start it: sbx start web/,
  );
});

async function listViewsOf(data: string) {
  const { views, damaged } = await listViews({ run: noRun, data });
  return { kept: views.map(({ name }) => name), views, damaged };
}

test("whatever lies among them, the others are found, and what is wrong is told by its ID", async () => {
  const data = empty();
  const web = await create(data, "web");
  const place = join(data, "sandboxes");
  const at = (id: string, file: string) => join(place, id.repeat(12), file);
  for (const id of ["a", "b", "c", "d", "e", "f"]) fs.mkdirSync(join(place, id.repeat(12)));
  fs.writeFileSync(at("a", "config.json"), "{");
  fs.symlinkSync("/etc/passwd", at("b", "config.json"));
  execFileSync("mkfifo", [at("c", "config.json")]);
  fs.writeFileSync(at("d", "config.json"), "");
  fs.truncateSync(at("d", "config.json"), 1e12);
  fs.writeFileSync(at("e", "config.json"), JSON.stringify({ ...web, version: 2 }));
  fs.writeFileSync(at("f", "config.json"), fs.readFileSync(join(web.directory, "config.json")));
  fs.writeFileSync(join(place, "0".repeat(12)), "a file");
  fs.symlinkSync("/", join(place, "1".repeat(12)));
  fs.symlinkSync("/", join(place, ".old"));
  fs.mkdirSync(join(place, "nothing of ours"));
  execFileSync("mkfifo", [join(web.directory, "state.json")]);
  const { views, damaged } = await listViewsOf(data);
  assert.equal(
    views.map(({ name, status }) => [name, status]),
    [["web", "created"]],
  );
  assert.equal(damaged.map(({ id }) => id[0]).sort(), ["a", "b", "c", "d", "e", "f"]);
  assert.throws(
    () => chooseView(views, damaged, "aaa"),
    /aaa\/config.json: .* sbx rm aaaaaaaaaaaa/,
  );
  assert.throws(() => chooseView(views, damaged, "eee"), /of version 2, which another sbx wrote/);
});

test("a sandbox is found by name, ID, and by what begins only one of them", async () => {
  const data = empty();
  for (const name of ["web", "web2", "db"]) await create(data, name);
  const { views } = await listViewsOf(data);
  const find = (word: string) => chooseView(views, [], word).name;
  fc.assert(
    fc.property(fc.constantFrom(...views), fc.integer({ min: 1, max: 12 }), (view, length) => {
      assert.is(find(view.name), view.name);
      assert.is(find(view.id), view.name);
      const word = view.id.slice(0, length);
      const begins = ({ id, name }: typeof view) => id.startsWith(word) || name.startsWith(word);
      if (views.filter(begins).length === 1) assert.is(find(word), view.name);
      else assert.throws(() => find(word), /several names or IDs begin so/);
    }),
  );
  assert.throws(() => find("we"), /There are web \(.*\), web2 \(/);
  assert.throws(() => find(""), /none of that name or ID\. There are web, web2, db/);
});

test("names of ids are names, and all of them are used", () => {
  const digits = fc.stringMatching(/^[0-9a-f]{12}$/);
  fc.assert(fc.property(digits, (id) => isGivenName(derivedName(id))));
  for (const words of [adjectives, nouns]) {
    assert.is(new Set(words).size, words.length);
    for (const word of words) assert.match(word, /^[a-z]+$/);
  }
  const seen = new Set<string>();
  for (let id = 0; id < 4096; id++)
    seen.add(derivedName(id.toString(16).padStart(6, "0").repeat(2)));
  assert.ok(seen.size > 4000);
});

test("one without a record, whose monitor is at its end, is seen to have ended", async () => {
  const data = empty();
  const { directory } = await create(data, "web");
  const lock = await lockKept(directory);
  if (typeof lock !== "number") throw new Error(lock);
  const tell = (status: string, exitCode: number | null) => {
    const rest = {
      startedMs: 1,
      finishedMs: null,
      signal: null,
      restarts: 0,
      oom: false,
      error: null,
    };
    const text = JSON.stringify({ version: 1, status, exitCode, ...rest });
    fs.writeFileSync(join(directory, "state.json"), text);
  };
  tell("running", null);
  setTimeout(() => {
    tell("exited", 3);
    fs.closeSync(lock);
  }, 100);
  const { views } = await listViews({ run: noRun, data });
  assert.equal([views[0]?.status, views[0]?.exitCode], ["exited", 3]);
});

test.run();
