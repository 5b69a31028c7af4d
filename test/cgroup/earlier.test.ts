import * as assert from "uvu/assert";
import { earlierText, keptInstead } from "../../cgroup/earlier.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup/earlier");

test("what a file held is written back as it was", () => {
  assert.is(earlierText("max\n", "5"), "max");
  assert.is(earlierText("max 100000\n", "5 1000"), "max 100000");
  assert.is(earlierText("default 100\n8:0 50\n", "200"), "default 100");
  assert.is(earlierText("\n", "0-1"), "\n");
});

test("of a device its own line, or none", () => {
  const lines = "8:0 rbps=1 wbps=max riops=max wiops=max\n8:1 rbps=2\n";
  assert.is(earlierText(lines, "8:0 wbps=7"), "8:0 rbps=1 wbps=max riops=max wiops=max");
  assert.is(earlierText(lines, "8:16 wbps=7 riops=8"), "8:16 wbps=max riops=max");
  assert.is(earlierText("default 100\n", "8:0 50"), "8:0 default");
});

test("a number that the kernel changed is found, but for rounding to pages", () => {
  assert.is(keptInstead("memory.max", "5000", "4096\n"), null);
  assert.is(keptInstead("memory.max", "5000", "8192\n"), "8192");
  assert.is(keptInstead("memory.max", "500000", "4096\n"), "4096");
  assert.is(keptInstead("pids.max", "5", "5\n"), null);
  assert.is(keptInstead("pids.max", "5", "4\n"), "4");
  assert.is(keptInstead("io.weight", "50", "default 50\n8:0 7\n"), null);
  assert.is(keptInstead("cpu.max", "2000", "2000 100000\n"), null);
  for (const text of ["max", "0-3", "8:0 rbps=5", "64M"])
    assert.is(keptInstead("x", text, "7"), null);
});

test.run();
