/** `sbx diff` and `sbx rm` on uppers that hold files of other ids. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { recordOf, workOf, writeUpperRecord } from "../../launch/kept-upper.js";
import { temporaryDirectory } from "../support/inside.js";
import { command, sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("kept uppers");
const needs = ["unprivileged", "user namespaces", "subids"] as const;

/** An upper over an empty directory, with a directory that is closed to the caller in it. */
async function makeUpper(): Promise<string> {
  const home = temporaryDirectory("upper");
  const upper = join(home, "up,per: \\");
  for (const path of [upper, join(home, "lower"), workOf(upper)]) fs.mkdirSync(path);
  const script =
    'cd "$0" && mkdir -p closed/dir "$0.work/work" && echo text >closed/dir/file && chown -R 7:7 closed && chmod 0 closed "$0.work/work"';
  const { code, stderr } = await sbx(["unshare", "sh", "-c", script, upper]);
  assert.is(code, 0, stderr);
  writeUpperRecord(upper, { lowers: [join(home, "lower")], overlay: "kernel" });
  return upper;
}

test.needs(needs, "diff shows what the caller may not read", async () => {
  const upper = await makeUpper();
  assert.throws(() => fs.readdirSync(join(upper, "closed")), /EACCES/);
  const tree = await sbx(["diff", upper]);
  assert.is(tree.stderr, "");
  assert.is(
    tree.stdout,
    `A           closed/
A             dir/
A      5 B      file
3 added, 0 changed, 0 deleted; 5 B
`,
  );
  const { stdout, code } = await sbx(["diff", "--json", upper]);
  assert.is(code, 0);
  const { entries, ...rest } = JSON.parse(stdout);
  assert.equal(rest, {
    upper,
    lowers: [join(upper, "../lower")],
    added: 3,
    changed: 0,
    deleted: 0,
    sizeBytes: 5,
  });
  assert.equal(entries[2], {
    path: "/closed/dir/file",
    change: "added",
    type: "file",
    sizeBytes: 5,
  });
  await sbx(["rm", upper]);
});

test.needs(
  needs,
  "diff --lower names what lies below, and is needed without a record",
  async () => {
    const upper = await makeUpper();
    const lower = temporaryDirectory("lower");
    fs.mkdirSync(join(lower, "closed"), { mode: 0 });
    fs.rmSync(recordOf(upper));
    const { code, stderr } = await sbx(["diff", upper]);
    assert.is(code, 125);
    assert.match(stderr, /^sbx: compare .*not known what lies below it\. .*--lower DIR\n$/);
    const { stdout } = await sbx(["diff", upper, "--lower", lower]);
    assert.match(stdout, /^C +closed\/\n/);
    await sbx(["unshare", "rm", "-r", upper, workOf(upper)]);
  },
);

test.needs(needs, "rm removes the upper and its work directory", async () => {
  const upper = await makeUpper();
  const { code, stdout, stderr } = await sbx(["rm", upper]);
  assert.equal([code, stdout, stderr], [0, "", ""]);
  assert.equal(fs.readdirSync(join(upper, "..")), ["lower"]);
});

test.needs(needs, "rm goes on where it was interrupted", async () => {
  const upper = await makeUpper();
  await sbx(["unshare", "rm", "-r", upper]);
  assert.is((await sbx(["rm", upper])).code, 0);
  assert.not.ok(fs.existsSync(workOf(upper)));
});

test.needs(needs, "rm refuses what is no upper of sbx's, and links to one", async () => {
  const upper = await makeUpper();
  const link = `${upper}-link`;
  fs.symlinkSync(upper, link);
  fs.symlinkSync(workOf(upper), workOf(link));
  for (const path of [join(upper, "../lower"), "/etc", join(upper, "../absent"), link]) {
    // All are looked at before any is removed.
    const { code, stderr } = await sbx(["rm", upper, path]);
    assert.is(code, 125);
    assert.match(stderr, /^sbx: remove the upper [^\n]+\n$/);
    assert.ok(fs.existsSync(upper) && fs.existsSync(join(upper, "../lower")));
  }
  await sbx(["rm", upper]);
});

test.needs(needs, "rm refuses what is in use", async () => {
  const upper = await makeUpper();
  const script = 'exec 9<"$1"; flock 9; exec "$2" rm "$3"';
  const words = ["sh", "-c", script, "0", recordOf(upper), command, upper];
  const { code, stderr } = await start(words);
  assert.is(code, 125);
  assert.match(stderr, /a sandbox is using it\. End that first\n$/);
  assert.ok(fs.existsSync(upper));
  await sbx(["rm", upper]);
});

test.run();
