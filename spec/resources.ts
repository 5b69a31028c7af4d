/** Limits of a sandbox: `linux.resources` of the OCI runtime-spec (v1.2, config-linux.md), version 2 of control groups. */

export interface Resources {
  memory?: {
    /** Bytes; -1 for none. `swap` is memory and swap together, as with version 1. */
    limit?: number;
    reservation?: number;
    swap?: number;
  };
  cpu?: {
    /** Of version 1, 2 to 262144; the weight of version 2 is made of it as runc does. */
    shares?: number;
    /** Microseconds of each period; -1 for none. */
    quota?: number;
    /** Microseconds. */
    period?: number;
    /** Lists as `0-3,7`. */
    cpus?: string;
    mems?: string;
  };
  pids?: { limit: number };
  blockIO?: {
    /** 10 to 1000. */
    weight?: number;
    weightDevice?: (DeviceNumber & { weight: number })[];
    throttleReadBpsDevice?: Throttle[];
    throttleWriteBpsDevice?: Throttle[];
    throttleReadIOPSDevice?: Throttle[];
    throttleWriteIOPSDevice?: Throttle[];
  };
  /** Files of version 2 and what is written to them, after all others. */
  unified?: Record<string, string>;
}

/** A block device: makedev(3). */
export interface DeviceNumber {
  major: number;
  minor: number;
}

/** Bytes or operations in a second; 0 for no limit. */
export interface Throttle extends DeviceNumber {
  rate: number;
}

/** A list of CPUs or memory nodes such as `0-3,7`: cpuset(7), "List format". */
export function isCpuList(text: string): boolean {
  return (
    /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text) &&
    text.split(",").every((range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return first <= last;
    })
  );
}

/** Who makes the control group. */
export const cgroupManagers = ["auto", "systemd", "cgroupfs", "none"] as const;
export type CgroupManager = (typeof cgroupManagers)[number];

export interface CgroupKeys {
  manager: CgroupManager;
  /** `--cgroup-parent`: a slice for systemd, or a directory below the mount point of version 2. */
  parent?: string;
  /** The sandbox may divide its own group. */
  writable?: boolean;
}
