/** Readings of the machine as checks of an entry: launch/cache/entry.ts has their form. */
import * as fs from "node:fs";
import { hostname, type as kernelName, machine, release, version } from "node:os";
import { splitDeviceNumber } from "../facts/disks.js";
import type { Reading, Recording } from "../facts/readings.js";
import { isSystemError } from "../facts/system-error.js";
import { checkKinds, statxFields, statxSize } from "./entry-format.js";

export type Check = readonly [kind: number, ...operands: (number | Uint8Array | null)[]];

/** What changed less than this before the compile may have changed again in the same tick of the kernel's clock. */
const tickMs = 50;

/** Those of all readings, null where one of the readings cannot be relied on any more. */
export function checksOf({ readings, sinceMs }: Recording): Check[] | null {
  const checks = [...readings.values()].map((reading) => checkOf(reading, sinceMs - tickMs));
  return checks.includes(null) ? null : (checks as Check[]);
}

function checkOf(reading: Reading, beforeMs: number): Check | null {
  switch (reading.kind) {
    case "variable": {
      const value = reading.value === undefined ? null : text(reading.value);
      return [checkKinds.variable, text(`${reading.name}=`), value];
    }
    case "access":
    case "open":
      return [checkKinds[reading.kind], text(reading.path), reading.flags, reading.errno];
    case "real":
      return [
        checkKinds.real,
        text(reading.path),
        reading.real === null ? null : text(reading.real),
      ];
    case "text": {
      const template = templateOf(reading.path, reading.text);
      if (template === null) return null;
      return [checkKinds.text, text(reading.path), template, template.length];
    }
    case "file":
    case "link":
    case "list":
      return statCheck(reading, beforeMs);
  }
}

const AT_SYMLINK_NOFOLLOW = 0x100;

function statCheck(
  { kind, path, isRead }: Extract<Reading, { isRead: boolean }>,
  beforeMs: number,
): Check | null {
  const flags = kind === "link" ? AT_SYMLINK_NOFOLLOW : 0;
  try {
    const stat =
      kind === "link" ? fs.lstatSync(path, { bigint: true }) : fs.statSync(path, { bigint: true });
    const isWhole = kind === "list" || stat.isFile() || stat.isSymbolicLink();
    if (isWhole && Number(stat.ctimeNs / 1_000_000n) > beforeMs) return null;
    return [isWhole ? checkKinds.file : checkKinds.identity, text(path), flags, statxOf(stat)];
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // Removed since.
    if (isRead) return null;
    return [checkKinds.absent, text(path), flags, -(error.errno ?? 0)];
  }
}

function statxOf(stat: fs.BigIntStats): Uint8Array {
  const bytes = Buffer.alloc(statxSize);
  const second = 1_000_000_000n;
  bytes.writeUInt32LE(Number(stat.uid), statxFields.uid);
  bytes.writeUInt32LE(Number(stat.gid), statxFields.gid);
  bytes.writeUInt32LE(Number(stat.mode), statxFields.mode);
  bytes.writeBigUInt64LE(stat.ino, statxFields.ino);
  bytes.writeBigUInt64LE(stat.size, statxFields.size);
  for (const [at, time] of [
    [statxFields.ctime, stat.ctimeNs],
    [statxFields.mtime, stat.mtimeNs],
  ] as const) {
    bytes.writeBigInt64LE(time / second, at);
    bytes.writeUInt32LE(Number(time % second), at + 8);
  }
  const { major, minor } = splitDeviceNumber(stat.dev);
  bytes.writeUInt32LE(major, statxFields.device);
  bytes.writeUInt32LE(minor, statxFields.device + 4);
  return bytes;
}

export const text = (value: string) => Buffer.from(`${value}\0`);

/** The lines of /proc/self/status that say something of the caller, and not of the process. */
const callersLines = /^(CapEff|NoNewPrivs|Seccomp):/;
/** proc_pid_net(5) and net/ipv6/route.c: the counters of a route are two columns from here on. */
const routeCounters = { start: 32 + 4 + 32 + 4 + 32 + 10, end: 32 + 4 + 32 + 4 + 32 + 10 + 17 };

/** What the text must be like; null where it has bytes that mean something in a template. */
function templateOf(path: string, content: string): Uint8Array | null {
  if (content.includes("\0") || content.includes("\x01")) return null;
  const lines = content.split("\n");
  if (path === "/proc/self/status") {
    return Buffer.from(
      lines.map((line) => (line === "" || callersLines.test(line) ? line : "\x01")).join("\n"),
    );
  }
  if (path === "/proc/net/ipv6_route") {
    const { start, end } = routeCounters;
    const masked = (line: string) =>
      line.slice(0, start) + "\0".repeat(end - start) + line.slice(end);
    return Buffer.from(lines.map((line) => (line === "" ? line : masked(line))).join("\n"));
  }
  return Buffer.from(content);
}

export function uname(): Uint8Array {
  const fields = [kernelName(), hostname(), release(), version(), machine()];
  return Buffer.concat(
    fields.map((field) => Buffer.concat([Buffer.from(field), Buffer.alloc(65)], 65)),
  );
}

export function ids(): Uint8Array {
  const numbers = [process.getuid, process.geteuid, process.getgid, process.getegid];
  const bytes = Buffer.alloc(32);
  for (const [index, get] of numbers.entries())
    bytes.writeBigUInt64LE(BigInt(get?.() ?? -1), 8 * index);
  return bytes;
}
