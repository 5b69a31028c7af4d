import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { cpuWeight, ioWeight, limitWrites, neededControllers } from "../../cgroup/limits.js";
import type { LimitFacts } from "../../spec/host-cgroup.js";
import type { Resources } from "../../spec/resources.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup/limits");

const facts: LimitFacts = {
  hasSwap: true,
  cpus: "0-3",
  mems: "0",
  disks: { "8:0": "8:0", "8:1": "8:0", "8:16": "8:16" },
  files: {},
};
/** `file text` of each write, with a mark where the file may be absent. */
const written = (resources: Resources, more: Partial<LimitFacts> = {}) =>
  limitWrites(resources, { ...facts, ...more }).map(
    ({ file, text, otherwise }) => `${file} ${text}${otherwise === null ? " ?" : ""}`,
  );
type Disks = NonNullable<Resources["blockIO"]>;
const sda = { major: 8, minor: 0 };
const sda1 = { major: 8, minor: 1 };
const sdb = { major: 8, minor: 16 };

test("memory before swap, which counts by itself", () => {
  const memory = { limit: 1000, swap: 1500, reservation: 10 };
  assert.equal(written({ memory }), ["memory.max 1000", "memory.swap.max 500", "memory.low 10"]);
  assert.equal(written({ memory: { limit: 1000, swap: 1000 } }), [
    "memory.max 1000",
    "memory.swap.max 0",
  ]);
  assert.equal(written({ memory: { limit: -1, swap: -1 } }), [
    "memory.max max ?",
    "memory.swap.max max ?",
  ]);
  assert.equal(written({ memory: { limit: 0, swap: 0, reservation: 0 } }), []);
});

test("a kernel that counts no swap is enough where there is none", () => {
  const memory = { limit: 1000, swap: 2000 };
  assert.equal(written({ memory }, { hasSwap: false }), [
    "memory.max 1000",
    "memory.swap.max 1000 ?",
  ]);
});

test("CPUs", () => {
  assert.equal(written({ cpu: { quota: 2000, period: 5000, shares: 2048 } }), [
    "cpu.max 2000 5000",
    "cpu.weight 174",
  ]);
  assert.equal(written({ cpu: { quota: 2000 } }), ["cpu.max 2000"]);
  assert.equal(written({ cpu: { quota: -1, period: 5000 } }), ["cpu.max max 5000 ?"]);
  assert.equal(written({ cpu: { cpus: "0-2", mems: "0" } }), ["cpuset.mems 0", "cpuset.cpus 0-2"]);
});

/** Values of runc's issue 4896 and youki's pull request 3274, and the ends and the middle. */
test("shares become the weights that runc makes of them", () => {
  const pairs = [
    [2, 1],
    [1024, 100],
    [2000, 170],
    [22000, 1204],
    [262_144, 10_000],
  ];
  for (const [shares = 0, weight] of pairs) assert.is(cpuWeight(shares), weight, `${shares}`);
});

test("more shares are never a smaller weight, and all weights are valid", () => {
  const shares = fc.integer({ min: 2, max: 262_143 });
  fc.assert(
    fc.property(shares, (n) => {
      const [weight, next] = [cpuWeight(n), cpuWeight(n + 1)];
      return weight >= 1 && weight <= next && next <= 10_000;
    }),
  );
  assert.equal([10, 100, 1000].map(ioWeight), [1, 910, 10_000]);
});

test("processes", () => {
  assert.equal(written({ pids: { limit: 5 } }), ["pids.max 5"]);
  assert.equal(written({ pids: { limit: -1 } }), ["pids.max max ?"]);
});

test("disks: one line for each, and the disk of a partition", () => {
  const blockIO: Disks = {
    throttleReadBpsDevice: [
      { ...sda1, rate: 100 },
      { ...sdb, rate: 0 },
    ],
    throttleWriteIOPSDevice: [{ ...sda, rate: 5 }],
  };
  assert.equal(written({ blockIO }), ["io.max 8:0 rbps=100 wiops=5", "io.max 8:16 rbps=max ?"]);
});

test("weights of disks are BFQ's, else the kernel's own", () => {
  const blockIO: Disks = { weight: 500, weightDevice: [{ ...sda1, weight: 10 }] };
  assert.equal(limitWrites({ blockIO }, facts), [
    { file: "io.bfq.weight", text: "500", otherwise: { file: "io.weight", text: "4950" } },
    { file: "io.bfq.weight", text: "8:0 10", otherwise: { file: "io.weight", text: "8:0 1" } },
  ]);
});

test("files by name come last, a line at a time", () => {
  const unified = { "memory.max": "5", "io.latency": "8:0 target=1\n8:16 target=2\n" };
  assert.equal(written({ memory: { limit: 9 }, unified }), [
    "memory.max 9",
    "memory.max 5",
    "io.latency 8:0 target=1",
    "io.latency 8:16 target=2",
  ]);
});

test("the controllers that are needed, none for what is no limit", () => {
  const all: Resources = {
    memory: { limit: 1 },
    cpu: { shares: 2, cpus: "0" },
    pids: { limit: 3 },
    blockIO: { weight: 10 },
    unified: { "cgroup.max.depth": "3", "hugetlb.2MB.max": "0" },
  };
  assert.equal(neededControllers(all, facts), ["memory", "cpu", "cpuset", "pids", "io", "hugetlb"]);
  const none = { memory: { limit: -1, swap: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } };
  assert.equal(neededControllers(none, facts), []);
});

test.run();
