import { totalmem } from "node:os";
import * as assert from "uvu/assert";
import { specFromFlags } from "../../cmd/flags.js";
import { parseRun } from "../../cmd/parse.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/resource-flags");

const disks: Record<string, number> = { "/dev/sda": 0, "/dev/sdb": 16 };
const environment = {
  readFile: () => null,
  places: { absolute: (path: string) => path, volumes: "/volumes" },
  findDisk: (path: string) => ({ major: 8, minor: disks[path] ?? 1 }),
};

const spec = (...argv: string[]) =>
  specFromFlags(parseRun([...argv, "/"]).flags, "/", [], environment);
const resources = (...argv: string[]) => spec(...argv).linux.resources;
const refuses = (why: RegExp, ...argv: string[]) => assert.throws(() => spec(...argv), why);

test("nothing is limited where no option is given", () => {
  assert.is(resources(), undefined);
  assert.is(resources("-m", "0", "--cpus=0", "--cpu-shares=0", "--blkio-weight=0"), undefined);
  assert.is(spec("--no-cgroup-writable").sbx.cgroup, undefined);
});

test("memory, in docker's units, and swap as docker has it", () => {
  const memory = (...argv: string[]) => resources(...argv)?.memory;
  assert.equal(memory("-m", "512m"), { limit: 2 ** 29, swap: 2 ** 30 });
  assert.equal(memory("-m1.5g", "--memory-swap=-1"), { limit: 1.5 * 2 ** 30, swap: -1 });
  assert.equal(memory("--memory=1KiB", "--memory-swap=1kb"), { limit: 1024, swap: 1024 });
  assert.equal(memory("--memory=-1"), { limit: -1, swap: -1 });
  assert.equal(memory("--memory-reservation=7"), { reservation: 7 });
  assert.is(memory("-m25%")?.limit, Math.floor((totalmem() / 100) * 25));
  refuses(/-m 1x: must be a size above zero/, "-m", "1x");
  refuses(/--memory-swap: 1024 bytes .* less than the 1048576/, "-m1m", "--memory-swap=1k");
  refuses(/--memory-swap: .* memory has no limit/, "--memory-swap=1g");
  refuses(/--memory-reservation: .* above the limit/, "-m1m", "--memory-reservation=2m");
});

test("CPUs", () => {
  const cpu = (...argv: string[]) => resources(...argv)?.cpu;
  assert.equal(cpu("--cpus=1.5"), { quota: 150_000, period: 100_000 });
  assert.equal(cpu("--cpus=.01"), { quota: 1000, period: 100_000 });
  assert.equal(cpu("--cpu-quota=-1"), { quota: -1 });
  assert.equal(cpu("--cpu-quota=2000", "--cpu-period=4000"), { quota: 2000, period: 4000 });
  assert.equal(cpu("--cpu-shares=2", "--cpuset-cpus=0-2,4", "--cpuset-mems=0"), {
    shares: 2,
    cpus: "0-2,4",
    mems: "0",
  });
  refuses(/--cpus 0\.001: must be a number of CPUs/, "--cpus=0.001");
  refuses(/--cpus: cannot be given together with --cpu-quota/, "--cpus=1", "--cpu-quota=1000");
  refuses(/--cpu-period: a period alone/, "--cpu-period=1000");
  refuses(/--cpu-quota 999: must be a whole number from 1000/, "--cpu-quota=999");
  refuses(/--cpu-shares 1: must be a whole number from 2 to 262144, or 0/, "--cpu-shares=1");
  refuses(/--cpuset-cpus 3-1: must be a list/, "--cpuset-cpus=3-1");
});

test("processes", () => {
  assert.equal(resources("--pids-limit=2")?.pids, { limit: 2 });
  assert.equal(resources("--pids-limit=-1")?.pids, { limit: -1 });
  assert.equal(resources("--pids-limit=1", "--no-init")?.pids, { limit: 1 });
  refuses(/--pids-limit 0: must be a whole number above zero, or -1/, "--pids-limit=0");
  refuses(/--pids-limit: the init and the command are two/, "--pids-limit=1");
});

test("disks, by their paths", () => {
  const argv = ["--blkio-weight=500", "--blkio-weight-device=/dev/sda:10"];
  const rates = ["--device-read-bps=/dev/sda:1mb", "--device-write-bps=/dev/sda:0"];
  const operations = ["--device-read-iops=/dev/sda:5", "--device-write-iops=/dev/sdb:6"];
  assert.equal(resources(...argv, ...rates, ...operations)?.blockIO, {
    weight: 500,
    weightDevice: [{ major: 8, minor: 0, weight: 10 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 2 ** 20 }],
    throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 0 }],
    throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 5 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 6 }],
  });
  refuses(/sda:1m: must be DEVICE:SIZE/, "--device-read-bps=sda:1m");
  refuses(/must be DEVICE:NUMBER/, "--device-read-iops=/dev/sda:1m");
  refuses(/must be DEVICE:WEIGHT/, "--blkio-weight-device=/dev/sda:9");
});

test("files of the control group", () => {
  const argv = ["--cgroup-conf=memory.high=1M", "--cgroup-conf", "io.latency=8:0 target=10"];
  assert.equal(resources(...argv)?.unified, {
    "memory.high": "1M",
    "io.latency": "8:0 target=10",
  });
  refuses(/must be FILE=VALUE/, "--cgroup-conf=memory.high");
  refuses(/unified\["cgroup\.procs"\]: is no limit/, "--cgroup-conf=cgroup.procs=1");
  refuses(/must be the name of a file of version 2/, "--cgroup-conf=../memory.max=1");
});

test("the control group itself", () => {
  assert.equal(spec("--cgroup-manager=none").sbx.cgroup, { manager: "none" });
  assert.equal(spec("--cgroup-parent=work.slice", "--cgroup-writable").sbx.cgroup, {
    manager: "auto",
    parent: "work.slice",
    writable: true,
  });
  refuses(/linux\.resources: .*manager is none/, "--cgroup-manager=none", "-m1m");
  refuses(/sbx\.cgroup\.writable: .*manager is none/, "--cgroup-manager=none", "--cgroup-writable");
});

test("shared memory", () => {
  const shm = (...argv: string[]) =>
    spec(...argv).mounts.find(({ destination }) => destination === "/dev/shm")?.options;
  assert.ok(shm()?.includes("size=65536k"));
  assert.equal(
    shm("--shm-size=1m"),
    shm()?.map((word) => (word === "size=65536k" ? "size=1048576" : word)),
  );
  refuses(/--shm-size 1m: \/dev\/shm is not the sandbox's own/, "--shm-size=1m", "--ipc=host");
  refuses(/not the sandbox's own/, "--shm-size=1m", "--tmpfs=/dev/shm");
  refuses(/must be a size above zero/, "--shm-size=0");
});

test("what version 2 has no form of says what to use", () => {
  for (const [option, use] of [
    ["--kernel-memory=1m", "--memory"],
    ["--cpu-rt-period=1", "--cpus"],
    ["--cpu-rt-runtime=1", "--cpus"],
    ["--memory-swappiness=0", "--memory-swap"],
    ["--oom-kill-disable", "memory.high"],
  ] as const) {
    refuses(new RegExp(`version 2 of control groups has no such limit. Use .*${use}`), option);
  }
});

test.run();
