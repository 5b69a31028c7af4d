import * as assert from "uvu/assert";
import { refuseLimits } from "../../cgroup/refuse.js";
import type { LimitFacts } from "../../spec/host-cgroup.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup/refuse");

const facts: LimitFacts = {
  hasSwap: false,
  cpus: "0-1,4",
  mems: "0",
  disks: {},
  files: { memory: ["memory.high", "memory.max"] },
};

test("CPUs and memory nodes that are not there", () => {
  assert.equal(refuseLimits({ cpu: { cpus: "1,4", mems: "0" } }, facts), []);
  assert.throws(
    () => refuseLimits({ cpu: { cpus: "0-4", mems: "0,1" } }, facts),
    /^sbx: linux\.resources\.cpu\.cpus: 0-4: there is no CPU 2\. There are 0-1,4\nsbx: .*memory node 1/,
  );
});

test("less memory than a sandbox has by itself", () => {
  assert.throws(
    () => refuseLimits({ memory: { limit: 65_536 } }, facts),
    /limit: 65536: what the ker/,
  );
  for (const limit of [-1, 0, 524_288]) {
    assert.equal(refuseLimits({ memory: { limit } }, facts), []);
  }
});

test("devices that are not there, and partitions", () => {
  const disks = { "8:0": "8:0", "8:1": "8:0", "9:9": null };
  assert.throws(
    () => refuseLimits({}, { ...facts, disks }),
    /blockIO: 9:9: there is no block device/,
  );
  const { "9:9": _, ...there } = disks;
  assert.equal(refuseLimits({}, { ...facts, disks: there }), [
    "the limits of 8:1 hold for its whole disk, 8:0: the kernel limits no partitions",
  ]);
});

test("files that the kernel does not have", () => {
  const refused = (file: string) => () => refuseLimits({ unified: { [file]: "1" } }, facts);
  assert.not.throws(refused("memory.high"));
  assert.throws(refused("memory.hihg"), /no such file\. Did you mean memory\.high\?/);
  assert.throws(refused("memroy.high"), /no controller memroy\. Did you mean memory\?/);
  // Nothing is known of these here: whoever writes them is told.
  assert.not.throws(refused("pids.mxa"));
  assert.not.throws(refused("newcontroller.max"));
});

test.run();
