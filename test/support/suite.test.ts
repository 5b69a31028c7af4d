/** The wrapper and the runner, on test files that go wrong in every way that uvu forgives. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { start } from "./sandbox.js";
import { suite } from "./suite.js";
import { leftNaming } from "./until.js";

const test = suite("suite and runner");
const project = join(import.meta.dirname, "../..");
let root = "";

/** Runs a copy of the runner over one test file, given its part after the imports. */
async function outcome(body: string, { pattern = "", mustWork = "" } = {}) {
  fs.writeFileSync(
    join(root, "test/one.test.ts"),
    `import { suite } from "./support/suite.js";\nconst test = suite("one");\n${body}\n`,
  );
  const runner = join(root, "test/support/run.ts");
  const { stdout, code } = await start(
    [process.execPath, "--import", import.meta.resolve("tsx"), runner, pattern],
    { cwd: root, env: { SBX_MUST_WORK: mustWork, PATH: process.env.PATH } },
  );
  const lines = stdout.trimEnd().split("\n");
  return { code, last: lines.at(-1), stdout };
}

test.before(() => {
  root = fs.mkdtempSync(join(tmpdir(), "sbx-suite-"));
  fs.symlinkSync(join(project, "node_modules"), join(root, "node_modules"));
  fs.mkdirSync(join(root, "test/support"), { recursive: true });
  for (const file of ["home.ts", "run.ts", "suite.ts", "skip.ts"]) {
    fs.cpSync(join(project, "test/support", file), join(root, "test/support", file));
  }
  // This one has no floor of its own to keep.
  const runner = join(root, "test/support/run.ts");
  const text = fs.readFileSync(runner, "utf8");
  fs.writeFileSync(runner, text.replace(/passedFloor = \d+/, "passedFloor = 2"));
  fs.cpSync(join(project, "package.json"), join(root, "package.json"));
});
test.after(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

const two = `test("a", () => {}); test("b", async () => {});`;

test("passes what passes, and prints the count last", async () => {
  const { code, last } = await outcome(`${two} test.run();`);
  assert.equal([code, last], [0, "2 passed, 0 failed"]);
});

for (const [what, body, expected] of [
  ["a failing test", `${two} test("c", () => { throw new Error("no"); }); test.run();`, [2, 1]],
  ["a thrown string", `${two} test("c", () => { throw "no"; }); test.run();`, [2, 1]],
  [
    "a throwing before hook",
    `${two} test.before(() => { throw new Error("x"); }); test.run();`,
    [0, 1],
  ],
  [
    "a throwing after hook",
    `${two} test.after(() => { throw new Error("x"); }); test.run();`,
    [2, 1],
  ],
  ["a throwing after.each", `${two} test.after.each(() => { throw 1; }); test.run();`, [1, 1]],
  ["a forgotten run()", two, [0, 1]],
  ["a suite without tests", "test.run();", [0, 1]],
  ["a test that never ends", `${two} test("c", () => new Promise(() => {})); test.run();`, [2, 1]],
  ["an early exit", `${two} test("c", () => process.exit(0)); test.run();`, [2, 1]],
  ["a crash", `${two} test("c", () => process.kill(process.pid, 9)); test.run();`, [2, 1]],
  ["a file that does not load", `${two} test.run(); import "./absent.js";`, [0, 1]],
  ["fewer tests than the floor", `test("a", () => {}); test.run();`, [1, 1]],
] as const) {
  test(`${what} is a failure`, async () => {
    const { code, last, stdout } = await outcome(body);
    assert.is(last, `${expected[0]} passed, ${expected[1]} failed`, stdout);
    assert.is(code, 1);
  });
}

test("no file that matches is a failure", async () => {
  const { code, last } = await outcome(`${two} test.run();`, { pattern: "other" });
  assert.equal([code, last], [1, "0 passed, 1 failed"]);
});

test("a skip has a reason and is counted, and fails where all must work", async () => {
  const body = `${two} test.skip("c", "because"); test.run();`;
  const lenient = await outcome(body);
  assert.equal([lenient.code, lenient.last], [0, "2 passed, 0 failed, 1 skipped"]);
  assert.match(lenient.stdout, "skipped: one: c: because");
  const strict = await outcome(body, { mustWork: "1" });
  assert.equal([strict.code, strict.last], [1, "2 passed, 1 failed"]);
});

test("what a machine lacks is a skip", async () => {
  const body = `${two} process.env.PATH = ""; test.needs(["tmux"], "c", () => {}); test.run();`;
  const { last, stdout } = await outcome(body);
  assert.is(last, "2 passed, 0 failed, 1 skipped");
  assert.match(stdout, "needs tmux: tmux is not installed");
});

test("what a test leaves running ends with its file", async () => {
  const mark = `96${process.pid}.5`;
  const leave = `
    import { spawn } from "node:child_process";
    test("c", () => { spawn("sleep", ["${mark}"], { stdio: "inherit" }).unref(); });`;
  const { last } = await outcome(`${leave} ${two} test.run();`);
  assert.is(last, "3 passed, 0 failed");
  assert.equal(await leftNaming(`sleep ${mark}`), []);
});

test.run();
