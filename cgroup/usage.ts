/**
 * What a control group of version 2 has used, from the files of its directory: the kernel's
 * Documentation/admin-guide/cgroup-v2.rst, and Documentation/accounting/psi.rst for pressure.
 */

/** The resources whose shortage is measured. */
export const pressures = ["cpu", "memory", "io"] as const;
export type Pressure = (typeof pressures)[number];

/** Null stands for what is not measured: its controller is not there, or the kernel was built without. */
export interface Usage {
  /** Microseconds of all processors together, since the group was made. */
  readonly cpuUsec: number | null;
  /** Without the files that were read once, which are given up first: docker's number. */
  readonly memoryBytes: number | null;
  readonly pids: number | null;
  /** All devices together, since the group was made. */
  readonly readBytes: number | null;
  readonly writtenBytes: number | null;
  /** Of the last ten seconds, percent in which some process had to wait for it. */
  readonly pressure: Readonly<Record<Pressure, number | null>>;
}

/** What a file says that has one number in it; null for `max` and for one that is not there. */
export const readNumber = (text: string | null) =>
  text === null || text.trim() === "max" ? null : Number(text);

/** `read` gives the text of a file of the group, null where there is none. */
export function readUsage(read: (file: string) => string | null): Usage {
  // First, since its number is compared with the time.
  const cpu = read("cpu.stat") ?? "";
  const memory = readNumber(read("memory.current"));
  const inactive = keyed(read("memory.stat") ?? "", "inactive_file") ?? 0;
  const io = read("io.stat");
  return {
    cpuUsec: keyed(cpu, "usage_usec"),
    memoryBytes: memory === null ? null : Math.max(0, memory - inactive),
    pids: readNumber(read("pids.current")),
    readBytes: io === null ? null : sum(io, /\brbytes=(\d+)/g),
    writtenBytes: io === null ? null : sum(io, /\bwbytes=(\d+)/g),
    pressure: {
      cpu: waited(read("cpu.pressure")),
      memory: waited(read("memory.pressure")),
      io: waited(read("io.pressure")),
    },
  };
}

/** The number in the line `KEY NUMBER`. */
function keyed(text: string, key: string): number | null {
  const found = new RegExp(`^${key} (\\d+)$`, "m").exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
}

function waited(text: string | null): number | null {
  const average = /^some avg10=([\d.]+)/m.exec(text ?? "")?.[1];
  return average === undefined ? null : Number(average);
}
