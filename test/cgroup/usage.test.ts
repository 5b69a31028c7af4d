import * as assert from "uvu/assert";
import { readUsage } from "../../cgroup/usage.js";
import { suite } from "../support/suite.js";

const test = suite("usage of a control group");

const files: Readonly<Record<string, string>> = {
  "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
  "memory.current": "1000000\n",
  "memory.stat": "anon 500000\nactive_file 70\ninactive_file 400000\n",
  "pids.current": "7\n",
  "io.stat": "254:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=5 dios=1\n7:0 rbytes=3 wbytes=4\n",
  "cpu.pressure":
    "some avg10=1.50 avg60=0.10 avg300=0.00 total=1\nfull avg10=9.00 avg60=0 total=1\n",
  "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
};

test("numbers of all files; files that were read once are no memory in use", () => {
  assert.equal(
    readUsage((file) => files[file] ?? null),
    {
      cpuUsec: 2_500_000,
      memoryBytes: 600_000,
      pids: 7,
      readBytes: 103,
      writtenBytes: 24,
      pressure: { cpu: 1.5, memory: 0, io: null },
    },
  );
});

test("a controller that is not there gives no number, and a device that was not used none", () => {
  const usage = readUsage((file) => (file === "io.stat" ? "" : null));
  assert.equal(usage, {
    cpuUsec: null,
    memoryBytes: null,
    pids: null,
    readBytes: 0,
    writtenBytes: 0,
    pressure: { cpu: null, memory: null, io: null },
  });
});

test.run();
