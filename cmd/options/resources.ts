/** The options that limit what a sandbox uses: names, units and meaning are docker-run(1)'s. */
import { cgroupManagers } from "../../spec/resources.js";
import { type OptionTable, under } from "./option.js";

const { value, values, toggle } = under("Resources:");

/** The limits themselves, which can be changed while a sandbox runs: all that `sbx update` takes. */
export const limitOptions = {
  memory: {
    ...value,
    alias: "m",
    describe: "Most memory: a number with b, k, m or g, or a percentage of the machine's",
  },
  "memory-swap": {
    ...value,
    defaultDescription: "twice --memory",
    describe: "Most memory and swap together; -1 for any amount of swap",
  },
  "memory-reservation": {
    ...value,
    describe: "Memory that is left to it while others can give up some",
  },
  cpus: {
    ...value,
    describe: "Most time of CPUs, as a number of them such as 1.5",
    conflicts: ["cpu-period", "cpu-quota"],
  },
  "cpu-period": {
    ...value,
    defaultDescription: "100000",
    describe: "Microseconds that --cpu-quota is out of",
    conflicts: ["cpus"],
  },
  "cpu-quota": {
    ...value,
    describe: "Most microseconds of CPU time in each period; -1 for no limit",
    conflicts: ["cpus"],
  },
  "cpu-shares": {
    ...value,
    describe: "Share of the CPUs where they are short, 2 to 262144; others have 1024",
  },
  "cpuset-cpus": { ...value, describe: "The CPUs it may run on, such as 0-2,4" },
  "cpuset-mems": { ...value, describe: "The memory nodes it may use, such as 0,1" },
  "pids-limit": { ...value, describe: "Most processes and threads; -1 for no limit" },
  "blkio-weight": {
    ...value,
    describe: "Share of the disks where they are busy, 10 to 1000; others have 100",
  },
  "blkio-weight-device": {
    ...values,
    describe: "The same of one disk, DEVICE:WEIGHT (repeatable)",
  },
  "device-read-bps": {
    ...values,
    describe: "Most bytes a second read from a disk, DEVICE:SIZE such as /dev/sda:1m (repeatable)",
  },
  "device-write-bps": {
    ...values,
    describe: "Most bytes a second written to a disk, DEVICE:SIZE (repeatable)",
  },
  "device-read-iops": {
    ...values,
    describe: "Most reads a second from a disk, DEVICE:NUMBER (repeatable)",
  },
  "device-write-iops": {
    ...values,
    describe: "Most writes a second to a disk, DEVICE:NUMBER (repeatable)",
  },
  "cgroup-conf": {
    ...values,
    suggestions: ["memory.high=", "memory.oom.group=1", "memory.swap.max=", "cpu.max.burst="],
    describe: "Write VALUE to a file of the control group, as FILE=VALUE (repeatable)",
  },
} as const satisfies OptionTable;

/** What can only be said when a sandbox starts. */
export const resourceOptions = {
  ...limitOptions,
  "shm-size": {
    ...value,
    defaultDescription: "64m",
    describe: "Size of /dev/shm: a number with b, k, m or g, or a percentage of memory",
  },
  "cgroup-manager": {
    ...value,
    choices: cgroupManagers,
    defaultDescription: "auto",
    describe: "Who makes the control group: the user's systemd, or sbx in a directory of yours",
  },
  "cgroup-parent": {
    ...value,
    describe: "The slice, or the directory of control groups, that the sandbox's is made in",
  },
  "cgroup-writable": {
    ...toggle,
    describe: "Let the sandbox divide its own control group, as a systemd inside does",
  },
} as const satisfies OptionTable;

/** Limits of version 1 that version 2 of control groups has no form of, and what to use. */
const withoutForm: ReadonlyMap<string, string> = new Map([
  ["kernel-memory", "Use --memory: memory of the kernel counts as the sandbox's own"],
  ["cpu-rt-period", "Use --cpus for all processes, or --ulimit rttime= for real-time ones"],
  ["cpu-rt-runtime", "Use --cpus for all processes, or --ulimit rttime= for real-time ones"],
  ["memory-swappiness", "Use --memory-swap, which bounds swap: as much as --memory for none"],
  [
    "oom-kill-disable",
    "Use --cgroup-conf memory.high=SIZE, which slows down above SIZE and kills nothing",
  ],
]);

/** Why an option that docker has is not there, as `why` and `hint` of an error; null for any other. */
export function whyNoOption(name: string): readonly [why: string, hint: string] | null {
  const hint = withoutForm.get(name);
  return hint === undefined ? null : ["version 2 of control groups has no such limit", hint];
}
