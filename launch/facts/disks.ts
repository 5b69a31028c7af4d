/** Block devices of this machine, by path and by number. */
import { fail } from "../../spec/error.js";
import type { DeviceNumber } from "../../spec/resources.js";
import { readOptional } from "./identity.js";
import { statSync } from "./readings.js";
import { isSystemError } from "./system-error.js";

/** The numbers of the block device at `path`; fails, naming `at`, where there is none. */
export function findDisk(path: string, at: string): DeviceNumber {
  try {
    const stat = statSync(path, { bigint: true });
    if (!stat.isBlockDevice()) fail(at, "it is no block device", "lsblk lists the disks");
    return splitDeviceNumber(stat.rdev);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return fail(at, error.message, "lsblk lists the disks");
  }
}

/** 12 and 20 bits of a major number, 8 and 24 of a minor: new_decode_dev() and makedev(3). */
export function splitDeviceNumber(number: bigint): DeviceNumber {
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)),
    minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  };
}

/**
 * The number of the whole disk that the device `MAJOR:MINOR` is of, itself where it is one; null where there is no such
 * device. `blocks` is /sys/dev/block.
 */
export function wholeDisk(number: string, blocks = "/sys/dev/block"): string | null {
  const device = `${blocks}/${number}`;
  // A partition's directory lies in its disk's: block/partitions/core.c of the kernel.
  const disk = readOptional(`${device}/partition`) === null ? device : `${device}/..`;
  return readOptional(`${disk}/dev`)?.trim() ?? null;
}
