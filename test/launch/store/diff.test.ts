/** What an upper changes, in each form in which one can say it. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { diff } from "../../../launch/store/diff.js";
import { temporaryDirectory } from "../../support/inside.js";
import { start } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/diff");
const home = temporaryDirectory("diff");
let serial = 0;

/** Makes a tree of files by path with their text; a path that ends in a slash is a directory. */
function tree(files: Readonly<Record<string, string>>): string {
  const root = join(home, `tree-${++serial}`);
  fs.mkdirSync(root);
  for (const [path, text] of Object.entries(files)) {
    const full = join(root, path);
    fs.mkdirSync(path.endsWith("/") ? full : join(full, ".."), { recursive: true });
    if (!path.endsWith("/")) fs.writeFileSync(full, text);
  }
  return root;
}

/** Lines such as `A file /etc/new 3`. */
function changes(upper: string, lowers: readonly string[], marks = false): string[] {
  return diff({ upper, lowers, marks }).map(
    ({ change, type, path, sizeBytes }) =>
      `${change[0]?.toUpperCase()} ${type} ${path} ${sizeBytes}`,
  );
}

async function python(script: string, ...words: string[]): Promise<void> {
  const { code, stderr } = await start(["python3", "-c", script, ...words]);
  assert.is(code, 0, stderr);
}

const setAttribute = (path: string, name: string, value: string) =>
  python("import os, sys; os.setxattr(*sys.argv[1:3], sys.argv[3].encode())", path, name, value);
/** Since Linux 5.8 anyone may make a whiteout. */
const makeWhiteout = (path: string) =>
  python("import os, sys; os.mknod(sys.argv[1], 0o020000, 0)", path);

test("files and links are added, changed, and of another type", () => {
  const lower = tree({ "etc/a": "a", "etc/b": "b", "dir/x": "x" });
  const upper = tree({ "etc/a": "changed", "etc/new": "new", dir: "a file" });
  fs.symlinkSync("nowhere", join(upper, "link"));
  assert.equal(changes(upper, [lower]), [
    "C file /dir 6",
    "C file /etc/a 7",
    "A file /etc/new 3",
    "A symlink /link 0",
  ]);
});

test("a directory is changed by its own mode alone", () => {
  const lower = tree({ "a/x": "x", "b/": "" });
  const upper = tree({ "a/y": "y", "b/": "" });
  fs.chmodSync(join(upper, "b"), 0o700);
  assert.equal(changes(upper, [lower]), ["A file /a/y 1", "C directory /b 0"]);
});

test("the lower layers count together, each hiding those below", () => {
  const top = tree({ "d/a": "a", "d/.wh.c": "" });
  const bottom = tree({ "d/b": "b", "d/c": "c" });
  const upper = tree({ "d/a": "", "d/b": "", "d/c": "" });
  assert.equal(changes(upper, [top, bottom], true), [
    "C file /d/a 0",
    "C file /d/b 0",
    "A file /d/c 0",
  ]);
});

test("fuse-overlayfs's marks: whiteouts and opaque directories", () => {
  const lower = tree({ "etc/a": "a", "etc/b": "b", "d/x": "x", "d/sub/y": "y" });
  const upper = tree({ "etc/.wh.a": "", "d/.wh..wh..opq": "", "d/sub/z": "z" });
  assert.equal(
    changes(upper, [lower], true),
    ["A file /d/sub/z 1", "D file /d/sub/y 0", "D file /d/x 0", "D file /etc/a 0"].sort(
      (one, other) => (one.slice(7) < other.slice(7) ? -1 : 1),
    ),
  );
  // What is no mark: where the kernel wrote it, or where there is something in it.
  assert.ok(changes(upper, [lower]).includes("A file /etc/.wh.a 0"));
  fs.writeFileSync(join(upper, "etc/.wh.a"), "text");
  assert.ok(changes(upper, [lower], true).includes("A file /etc/.wh.a 4"));
});

test.needs("python3", "the kernel's whiteouts: devices, and files by an attribute", async () => {
  const lower = tree({ "etc/a": "a", "etc/b": "b", "etc/c": "c" });
  const upper = tree({ "etc/b": "", "etc/c": "" });
  await makeWhiteout(join(upper, "etc/a"));
  await setAttribute(join(upper, "etc/b"), "user.overlay.whiteout", "y");
  assert.equal(changes(upper, [lower]), ["D file /etc/a 0", "C file /etc/b 0", "C file /etc/c 0"]);
  // Only where the directory says that there are some: overlayfs.rst, "xwhiteouts".
  await setAttribute(join(upper, "etc"), "user.overlay.opaque", "x");
  assert.equal(changes(upper, [lower]), ["D file /etc/a 0", "D file /etc/b 0", "C file /etc/c 0"]);
});

for (const name of ["user.overlay.opaque", "user.fuseoverlayfs.opaque"]) {
  test.needs("python3", `${name} covers what is below, at any depth`, async () => {
    const lower = tree({ "d/x": "x", "d/sub/y": "y", "d/sub/z": "z", e: "e" });
    const upper = tree({ "d/sub/y": "new" });
    await setAttribute(join(upper, "d"), name, "y");
    assert.equal(changes(upper, [lower]), [
      "C file /d/sub/y 3",
      "D file /d/sub/z 0",
      "D file /d/x 0",
    ]);
  });
}

test.needs("python3", "a deletion of what was not there is none", async () => {
  const upper = tree({ "d/": "" });
  await makeWhiteout(join(upper, "d/gone"));
  assert.equal(changes(upper, [tree({ "d/x": "x" })]), []);
});

test.needs("python3", "a link at the top is not followed, names may be any bytes", async () => {
  const upper = tree({ x: "" });
  fs.symlinkSync(upper, `${upper}-link`);
  assert.throws(() => changes(`${upper}-link`, []), /ENOTDIR|ELOOP/);
  fs.writeFileSync(Buffer.from(`${upper}/\xff`, "latin1"), "1");
  assert.equal(changes(upper, []), ["A file /x 0", "A file /\ufffd 1"]);
});

test.run();
