import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { updateLimits } from "../../../launch/life/update-limits.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/update-limits");

const base = fs.mkdtempSync(join(tmpdir(), "sbx-limits-"));
const group = join(base, "group");
test.after(() => fs.rmSync(base, { recursive: true }));

/** Plain files in a directory's stead: they take anything. */
function fill(files: Record<string, string>): void {
  fs.rmSync(group, { recursive: true, force: true });
  fs.mkdirSync(group);
  fs.writeFileSync(join(base, "cgroup.controllers"), "cpu memory pids\n");
  fs.writeFileSync(join(base, "cgroup.subtree_control"), "");
  const all = { "cgroup.controllers": "memory pids\n", ...files };
  for (const [name, text] of Object.entries(all)) fs.writeFileSync(join(group, name), text);
}
const held = (file: string) => fs.readFileSync(join(group, file), "utf8");

test("all writes are made, and what stands in for a file that is not there", () => {
  fill({ "pids.max": "max\n", "io.weight": "default 100\n" });
  const weight = { file: "io.weight", text: "5" };
  updateLimits(
    group,
    [
      { file: "pids.max", text: "7" },
      { file: "io.bfq.weight", text: "1", otherwise: weight },
      { file: "memory.swap.max", text: "max", otherwise: null },
    ],
    ["pids"],
    "update x",
  );
  assert.is(held("pids.max"), "7");
  assert.is(held("io.weight"), "5");
  assert.not.ok(fs.existsSync(join(group, "memory.swap.max")));
});

test("where one fails, those before it are taken back", () => {
  fill({ "pids.max": "9\n", "cpuset.cpus": "\n" });
  const writes = [
    { file: "pids.max", text: "7" },
    { file: "cpuset.cpus", text: "0" },
    { file: "memory.hihg", text: "1" },
  ];
  assert.throws(
    () => updateLimits(group, writes, [], "update x"),
    /update x: write 1 to memory\.hihg: ENOENT.*This kernel has no such limit/,
  );
  assert.is(held("pids.max"), "9");
  assert.is(held("cpuset.cpus"), "\n");
});

test("a controller that is delegated is asked for, another refused", () => {
  fill({ "cpu.max": "max 100000\n" });
  updateLimits(group, [{ file: "cpu.max", text: "1000" }], ["cpu"], "update x");
  assert.is(fs.readFileSync(join(base, "cgroup.subtree_control"), "utf8"), "+cpu");
  assert.throws(
    () => updateLimits(group, [], ["cpu", "io"], "update x"),
    /update x: the controller io is not delegated/,
  );
  assert.is(fs.readFileSync(join(base, "cgroup.subtree_control"), "utf8"), "-cpu");
});

test("memory that cannot be taken back is not limited away", () => {
  fill({ "memory.max": "max\n", "memory.high": "max\n", "memory.current": "8192\n" });
  const write = (text: string) => () =>
    updateLimits(group, [{ file: "memory.max", text }], ["memory"], "update x");
  assert.throws(write("4096"), /8192 bytes of memory are in use .* more than the limit of 4096/);
  assert.is(held("memory.max"), "max\n");
  assert.is(held("memory.high"), "max\n");
  write("8192")();
  assert.is(held("memory.max"), "8192");
  write("max")();
  assert.is(held("memory.max"), "max");
});

test("a group that is gone is one whose sandbox has ended", () => {
  fs.rmSync(group, { recursive: true });
  const writes = [{ file: "pids.max", text: "7" }];
  assert.throws(() => updateLimits(group, writes, [], "update x"), /ENOENT.*It may have ended/);
});

test.run();
