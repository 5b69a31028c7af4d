/** Archives as whoever wants to harm the machine would make them, read on the host's side. */
import * as fs from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import * as tar from "tar-stream";
import * as assert from "uvu/assert";
import type { Unpack } from "../../../launch/copy/job.js";
import { pack } from "../../../launch/copy/pack.js";
import { hostTree } from "../../../launch/copy/tree.js";
import { unpack } from "../../../launch/copy/unpack.js";
import { makeCanary } from "../../support/canary.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/copy");
const directory = temporaryDirectory("copy");
let count = 0;
const fresh = () => {
  const path = join(directory, `${++count}`);
  fs.mkdirSync(path);
  return path;
};

type Header = Parameters<tar.Pack["entry"]>[0];
const file = (name: string, more: Partial<Header> = {}): [Header, string] => [
  { name, ...more },
  "new",
];
const entry = (name: string, type: tar.Header["type"], linkname = ""): [Header, string] => [
  { name, type, linkname },
  "",
];

async function archiveOf(...entries: readonly [Header, string][]): Promise<Buffer> {
  const archive = tar.pack();
  for (const [header, text] of entries) archive.entry({ ...header }, text);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What it says, an error among that. */
async function unpacked(
  bytes: Uint8Array,
  path: string,
  more: Partial<Unpack> = {},
): Promise<string[]> {
  const said: string[] = [];
  const job: Unpack = {
    kind: "unpack",
    path,
    as: null,
    overwrite: false,
    keepsOwners: false,
    ...more,
  };
  try {
    await unpack(hostTree, job, Readable.from([bytes]), (line) => said.push(line));
  } catch (error) {
    said.push(`${(error as Error).message}`);
  }
  return said;
}

test("nothing is written above the directory, nor through a link in it", async () => {
  const canary = makeCanary();
  const { path } = canary;
  const up = "../".repeat(20);
  const attempts: (readonly [RegExp | null, ...[Header, string][]])[] = [
    [/leads out of it/, file(`${up}${path}/file`)],
    [/leads out of it/, file("a/../../file")],
    [null, file(`${path}/file`)],
    [/ELOOP/, entry("a", "symlink", path), file("a/file")],
    [/ELOOP/, entry("a", "symlink", path), entry("a/sub", "directory")],
    [/place of a file/, entry("a", "symlink", path), entry("a", "directory"), file("a/file")],
    [/ELOOP/, entry("a", "symlink", path), entry("b", "link", "a/file"), file("b")],
    [/leads out of it/, entry("b", "link", `${up}${path}/file`)],
    [/ENOENT/, entry("b", "link", `${path}/file`)],
    [null, entry("a", "symlink", `${path}/file`), entry("b", "link", "a"), file("b"), file("a")],
    [null, entry("a", "symlink", `${path}/file`), file("a", { mode: 0o4777 })],
    [/place of a directory/, entry("a", "directory"), entry("a", "symlink", path)],
    [/in the place of the directory/, entry(".", "symlink", path)],
    [/left out/, entry("a", "character-device")],
  ];
  for (const [expected, ...entries] of attempts) {
    for (const overwrite of [false, true]) {
      const said = await unpacked(await archiveOf(...entries), fresh(), { overwrite });
      canary.check("");
      if (overwrite) continue;
      const shown = `${JSON.stringify(entries)}: ${said.join()}`;
      if (expected === null) assert.equal(said, [], shown);
      else assert.match(said.join(), expected, shown);
    }
  }
});

test("links that were in the directory before are not followed either", async () => {
  const canary = makeCanary();
  const at = fresh();
  fs.symlinkSync(canary.path, join(at, "out"));
  for (const name of ["out", "out/file"]) {
    const bytes = await archiveOf(entry(name, "directory"));
    assert.is.not((await unpacked(bytes, at)).join(), "");
    canary.check("");
  }
  // But the place itself may be one.
  fs.mkdirSync(join(at, "in"));
  fs.symlinkSync("in", join(at, "link"));
  assert.equal(await unpacked(await archiveOf(file("a")), join(at, "link")), []);
  assert.is(fs.readFileSync(join(at, "in/a"), "utf8"), "new");
});

test("what is no whole archive, or none that is understood, is refused", async () => {
  const whole = await archiveOf(file("a"), file("b"));
  const changed = (at: number, byte: number) => {
    const bytes = Buffer.from(whole);
    bytes[at] = byte;
    // The check sum is that of the header with blanks in its place.
    bytes.fill(" ", 148, 156);
    const sum = bytes.subarray(0, 512).reduce((a, b) => a + b, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return bytes;
  };
  assert.equal(await unpacked(changed(156, 48), fresh()), []);
  for (const [bytes, expected] of [
    [whole.subarray(0, 700), /Unexpected end of data/],
    [Buffer.alloc(512, 7), /Invalid tar header/],
    [changed(156, "S".charCodeAt(0)), /a is of a kind/],
    // A size of 2^80, which no file has.
    [changed(124, 0x80), /Unexpected end of data|Invalid/],
    [await archiveOf(file("a", { pax: { "GNU.sparse.major": "1" } })), /sparse/],
    [await archiveOf(file("a\uFFFD")), /no UTF-8/],
  ] as const) {
    assert.match((await unpacked(bytes, fresh())).join(), expected);
  }
});

test("names, modes, times, links and holes come through", async () => {
  const from = fresh();
  const long = `${"d".repeat(120)}/${"f".repeat(200)}`;
  fs.mkdirSync(join(from, "d".repeat(120)));
  for (const name of ["a", "ü\n\x1b[31m", long]) fs.writeFileSync(join(from, name), name);
  fs.truncateSync(join(from, "a"), 5_000_000);
  fs.linkSync(join(from, "a"), join(from, "b"));
  fs.symlinkSync("../nowhere", join(from, "l"));
  fs.mkdirSync(join(from, "closed"));
  fs.writeFileSync(join(from, "closed/x"), "");
  fs.chmodSync(join(from, "closed"), 0o500);
  fs.chmodSync(join(from, "a"), 0o4641);
  fs.utimesSync(join(from, "a"), 1, 1_000_000_000);
  fs.utimesSync(join(from, "closed"), 1, 1_000_000_001.25);
  const pipe = new PassThrough();
  const to = join(fresh(), "to");
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const job = { kind: "pack", path: from, name: ".", follow: false, precise: true } as const;
  const into = {
    kind: "unpack",
    path: to,
    as: { name: "x" },
    overwrite: false,
    keepsOwners: false,
  };
  await Promise.all([pack(hostTree, job, pipe, say), unpack(hostTree, into as Unpack, pipe, say)]);
  assert.equal(said, []);
  const stat = (name: string) => fs.lstatSync(join(to, name));
  assert.equal(fs.readdirSync(to).sort(), fs.readdirSync(from).sort());
  assert.is(fs.readFileSync(join(to, long), "utf8"), long);
  assert.is(fs.readFileSync(join(to, "a")).compare(fs.readFileSync(join(from, "a"))), 0);
  assert.equal([stat("a").mode & 0o7777, stat("a").mtimeMs], [0o641, 1_000_000_000_000]);
  assert.equal([stat("a").ino, stat("a").nlink], [stat("b").ino, 2]);
  assert.is(fs.readlinkSync(join(to, "l")), "../nowhere");
  assert.equal([stat("closed").mode & 0o7777, stat("closed").mtimeMs], [0o500, 1_000_000_001_250]);
  for (const each of [from, to]) fs.chmodSync(join(each, "closed"), 0o700);
});

test("what cannot be put in is told, and the rest is there", async () => {
  const from = fresh();
  fs.writeFileSync(join(from, "a"), "");
  fs.writeFileSync(Buffer.from(`${from}/\xff`, "latin1"), "");
  fs.writeFileSync(join(from, "closed"), "", { mode: 0 });
  for (const [name, shown] of [
    ["n", "n"],
    [".", from],
  ] as const) {
    const pipe = new PassThrough();
    const said: string[] = [];
    const job = { kind: "pack", path: from, name, follow: false, precise: false } as const;
    const failures = pack(hostTree, job, pipe, (line) => said.push(line));
    const names: string[] = [];
    const archive = tar.extract();
    pipe.pipe(archive as unknown as NodeJS.WritableStream);
    for await (const each of archive) {
      names.push(each.header.name);
      each.resume();
    }
    const isRoot = process.getuid?.() === 0;
    assert.equal(names, [name, `${name}/a`, ...(isRoot ? [`${name}/closed`] : [])]);
    assert.is(await failures, isRoot ? 1 : 2);
    assert.is(said.at(-1), `sbx: copy ${shown}/\uFFFD: its name is no UTF-8, and is left out`);
  }
  const device = await archiveOf(entry(".", "character-device"));
  const at = fresh();
  const told = await unpacked(device, at, { as: { name: "zero" } });
  fs.writeFileSync(join(at, "zero"), "");
  const directory = await archiveOf(entry(".", "directory"));
  const refused = await unpacked(directory, at, { as: { name: "zero" } });
  assert.match(refused.join(), `copy to ${at}: a directory cannot take the place of a file`);
  assert.equal(told, [`sbx: copy to ${at}: devices cannot be made, and is left out`]);
});

test.run();
