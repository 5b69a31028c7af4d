/** The values of the options that limit resources, read into what the spec holds. Pure. */
import { totalmem } from "node:os";
import { noteUnrepeatable } from "../launch/facts/readings.js";
import { fail } from "../spec/error.js";
import { isCpuList } from "../spec/resources.js";
import { type Reader, wholeNumber } from "./privileges.js";

const bytesIn = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;

/** `512m`, `1.5g`, `64KiB`: whole bytes in the units of docker-run(1), all powers of 1024; or null. */
function bytesOf(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) return null;
  const [, number, unit = ""] = match;
  const bytes = Math.floor(Number(number) * bytesIn[unit.toLowerCase() as keyof typeof bytesIn]);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Bytes above zero; a percentage is of this machine's memory, as in tmpfs(5). */
export const readSize: Reader<number> = (text, at) => {
  const percentage = /^(\d+)%$/.exec(text)?.[1];
  if (percentage !== undefined) noteUnrepeatable("the size of this machine's memory");
  const bytes =
    percentage === undefined ? bytesOf(text) : Math.floor((totalmem() / 100) * Number(percentage));
  return (
    bytes ||
    fail(at, "must be a size above zero", "Examples: 512m, 2g, 25%; a number alone is bytes")
  );
};

/** `-1` is no limit; 0 is as good as not given, as with docker. */
function sizeOrNone(text: string, at: string): number {
  return text === "-1" || text === "0" ? Number(text) : readSize(text, at);
}

function numberOr(least: number, most: number, ...others: readonly number[]): Reader<number> {
  const besides = others.length === 0 ? "" : `, or ${others.join(" or ")}`;
  return (text, at) => {
    const number = wholeNumber(text, Math.min(least, ...others), most);
    if (number !== null && (number >= least || others.includes(number))) return number;
    return fail(at, `must be a whole number from ${least} to ${most}${besides}`);
  };
}

/** Microseconds of each 100000, the kernel's own period; 0 is as good as not given. */
const readCpus: Reader<number> = (text, at) => {
  const number = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  // The least quota is 1 ms: tg_set_cfs_bandwidth() of kernel/sched/core.c.
  if (number === 0 || number >= 0.01) return Math.round(number * 100_000);
  return fail(at, "must be a number of CPUs, 0.01 or more", "As in --cpus 1.5");
};

const readCpuList: Reader<string> = (text, at) =>
  isCpuList(text) ? text : fail(at, "must be a list of numbers and ranges", "As in 0-2,4");

const readPids: Reader<number> = (text, at) =>
  wholeNumber(text, -1, Number.MAX_SAFE_INTEGER) ||
  fail(at, "must be a whole number above zero, or -1 for no limit");

/** A path of a device of this machine, and what is said of it. */
export interface DeviceSetting {
  readonly device: string;
  readonly amount: number;
}

function ofDevice(what: string, amount: (text: string) => number | null): Reader<DeviceSetting> {
  return (text, at) => {
    const [, device, setting = ""] = /^(\/.*):([^:]*)$/s.exec(text) ?? [];
    const number = amount(setting);
    if (device !== undefined && number !== null) return { device, amount: number };
    return fail(at, `must be DEVICE:${what}`, "DEVICE is a disk's path, such as /dev/sda");
  };
}

const readRate = ofDevice("NUMBER", (text) => wholeNumber(text, 0, 2 ** 32 - 1));
const readBytesRate = ofDevice("SIZE, with b, k, m or g", bytesOf);

const readCgroupConf: Reader<[file: string, value: string]> = (text, at) => {
  const [, file, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (file !== undefined && value) return [file, value];
  return fail(at, "must be FILE=VALUE", "As in memory.high=512M; see cgroup-v2.rst of the kernel");
};

/** How the value of each option is read. */
export const resourceReaders = {
  memory: sizeOrNone,
  "memory-swap": sizeOrNone,
  "memory-reservation": sizeOrNone,
  cpus: readCpus,
  "cpu-period": numberOr(1000, 1_000_000, 0),
  "cpu-quota": numberOr(1000, Number.MAX_SAFE_INTEGER, 0, -1),
  "cpu-shares": numberOr(2, 262_144, 0),
  "cpuset-cpus": readCpuList,
  "cpuset-mems": readCpuList,
  "pids-limit": readPids,
  "blkio-weight": numberOr(10, 1000, 0),
  "blkio-weight-device": ofDevice("WEIGHT, which is 10 to 1000", (text) =>
    wholeNumber(text, 10, 1000),
  ),
  "device-read-bps": readBytesRate,
  "device-write-bps": readBytesRate,
  "device-read-iops": readRate,
  "device-write-iops": readRate,
  "cgroup-conf": readCgroupConf,
  "shm-size": readSize,
} as const satisfies Record<string, Reader<unknown>>;
