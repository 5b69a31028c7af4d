/** Limits written to real control groups: that the kernel takes each, and what updates do to who is in them. */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { limitWrites, neededControllers } from "../../../cgroup/limits.js";
import { callersCgroups } from "../../../launch/facts/cgroup-facts.js";
import { findDisk, wholeDisk } from "../../../launch/facts/disks.js";
import { readLimitFacts } from "../../../launch/facts/limit-facts.js";
import { updateLimits } from "../../../launch/life/update-limits.js";
import type { Resources } from "../../../spec/resources.js";
import { suite } from "../../support/suite.js";

const test = suite("laptop limits");

const mebi = 2 ** 20;
/** Holds memory by pages that are written to, when it is told how much. */
const hog = `process.stdout.write("there\\n");
process.stdin.on("data", (mebibytes) => {
  globalThis.held = Buffer.alloc(Number(mebibytes) * ${mebi}, 1);
  process.stdout.write("held\\n");
});`;

let child: ChildProcess;
let scope = "";
let group = "";

const line = () => new Promise((done) => child.stdout?.once("data", done));
const held = (file: string, directory = group) =>
  fs.readFileSync(join(directory, file), "utf8").trim();
const put = (file: string, text: string, directory = group) =>
  fs.writeFileSync(join(directory, file), text);

/** A process in a group of its own below a scope that has another leaf, as sandboxes have them. */
async function begin(): Promise<void> {
  const run = ["--user", "--scope", "-q", "-p", "Delegate=yes", process.execPath, "-e", hog];
  child = spawn("systemd-run", run, { stdio: ["pipe", "pipe", "inherit"] });
  await line();
  const own = /^0::(.*)$/m.exec(fs.readFileSync(`/proc/${child.pid}/cgroup`, "utf8"))?.[1];
  scope = `/sys/fs/cgroup${own}`;
  group = `${scope}/sandbox`;
  fs.mkdirSync(group);
  put("cgroup.procs", `${child.pid}`);
  put("cgroup.subtree_control", "+memory +pids", scope);
}

test.before.each(async () => {
  await begin();
});
test.after.each(async () => {
  const closed = new Promise((done) => child.on("close", done));
  child.kill("SIGKILL");
  await closed;
});

function update(resources: Resources): void {
  const facts = readLimitFacts(resources, callersCgroups(process.env));
  const writes = limitWrites(resources, facts);
  updateLimits(group, writes, neededControllers(resources, facts), "update x");
}

function refusal(resources: Resources): string {
  try {
    update(resources);
    return "none";
  } catch (error) {
    return (error as Error).message;
  }
}

async function holdMebibytes(count: number): Promise<void> {
  child.stdin?.write(`${count}\n`);
  await line();
}

test.needs("laptop guest", "the kernel takes every limit, and keeps it", async () => {
  const disk = findDisk("/dev/vda", "test");
  update({
    memory: { limit: 512 * mebi, swap: 600 * mebi, reservation: mebi },
    cpu: { quota: 50_000, period: 100_000, shares: 2048, cpus: "1", mems: "0" },
    pids: { limit: 50 },
    blockIO: {
      weight: 500,
      throttleReadBpsDevice: [{ ...disk, rate: mebi }],
      throttleWriteIOPSDevice: [{ ...disk, rate: 100 }],
    },
    unified: { "memory.high": "400M", "cgroup.max.depth": "3" },
  });
  const number = wholeDisk(`${disk.major}:${disk.minor}`);
  const expected = {
    "memory.max": `${512 * mebi}`,
    "memory.swap.max": `${88 * mebi}`,
    "memory.low": `${mebi}`,
    "memory.high": `${400 * mebi}`,
    "cpu.max": "50000 100000",
    "cpu.weight": "174",
    "cpuset.cpus": "1",
    "cpuset.mems": "0",
    "pids.max": "50",
    "io.weight": "default 4950",
    "io.max": `${number} rbps=${mebi} wbps=max riops=max wiops=100`,
    "cgroup.max.depth": "3",
  };
  const kept = Object.keys(expected).map((file) => [file, held(file)]);
  assert.equal(Object.fromEntries(kept), expected);

  update({ blockIO: { throttleReadBpsDevice: [{ ...disk, rate: 0 }] }, pids: { limit: -1 } });
  assert.is(held("io.max"), `${number} rbps=max wbps=max riops=max wiops=100`);
  update({ cpu: { quota: 20_000 }, memory: { limit: -1, swap: -1 } });
  assert.is(held("cpu.max"), "20000 100000");
  assert.equal(
    [held("memory.max"), held("memory.swap.max"), held("pids.max")],
    ["max", "max", "max"],
  );
});

test.needs("laptop guest", "what the kernel refuses leaves everything as it was", async () => {
  const [rate, disk] = [5 * mebi, findDisk("/dev/vda", "test")];
  update({ pids: { limit: 50 }, cpu: { quota: 8000, cpus: "0" } });
  const files = [
    "pids.max",
    "cpuset.cpus",
    "cpuset.mems.effective",
    "memory.max",
    "memory.high",
    "cpu.max",
  ];
  const before = files.map((file) => held(file));
  const enabled = held("cgroup.subtree_control", scope);
  for (const [file, text, why] of [
    ["memory.oom.group", "7", /write 7 to memory\.oom\.group: EINVAL/],
    ["memory.hihg", "7", /memory\.hihg: ENOENT.*no such limit/],
    ["pids.max", "x", /write x to pids\.max: EINVAL/],
    // Of a disk without a scheduler that has weights.
    ["io.weight", `${disk.major}:${disk.minor} 7`, /to io\.weight: ENOTSUP/],
  ] as const) {
    const all: Resources = {
      memory: { limit: 300 * mebi, swap: -1 },
      cpu: { quota: 9000, cpus: "0-1", mems: "0" },
      pids: { limit: 9 },
      blockIO: { throttleReadBpsDevice: [{ ...disk, rate }] },
      unified: { [file]: text },
    };
    const said = refusal(all);
    assert.match(said, why, said);
    assert.equal(
      files.map((each) => held(each)),
      before,
    );
    assert.is(held("cgroup.subtree_control", scope), enabled, "io was enabled for this alone");
  }
});

test.needs(
  "laptop guest",
  "memory in use is not limited away, but swapped out where it may be",
  async () => {
    await holdMebibytes(100);
    const [limit, high] = [64 * mebi, "max"];
    update({ memory: { limit: -1, swap: 0 }, unified: { "memory.swap.max": "0" } });
    assert.throws(
      () => update({ memory: { limit, swap: limit } }),
      /\d+ bytes of memory are in use that cannot be taken back, more than the limit of 67108864/,
    );
    assert.equal([held("memory.max"), held("memory.high")], ["max", high]);
    await holdMebibytes(1);
    await holdMebibytes(100);

    put("memory.swap.max", "max");
    update({ memory: { limit, swap: 4 * limit } });
    assert.equal([held("memory.max"), held("memory.high")], [`${limit}`, high]);
    assert.match(held("memory.events"), /^oom_kill 0$/m);
    await sleep(100);
    assert.is(child.exitCode, null);
  },
);

test.run();
