/** What the bench computes, and what it reads of processes; how it is measured is in launch.ts. */
import { readFileSync } from "node:fs";
import { isSystemError } from "../launch/in-root.js";

/**
 * The order of runs: each of `periods.length` commands once a round, or every `periods[i]` rounds.
 * What a command leaves to the kernel (namespaces are torn down after it has been waited for) is
 * paid by who comes next. So the order of the rounds is that of a Williams design (Williams 1949,
 * "Experimental designs balanced for the estimation of residual effects"): over `2 * length` rounds
 * each command is in each place, and behind each of the others, equally often.
 */
export function roundRobin(periods: readonly number[], rounds: number): number[] {
  const count = periods.length;
  const zigzag = periods.map((_, place) =>
    place % 2 === 1 ? (place + 1) / 2 : (count - place / 2) % count,
  );
  return Array.from({ length: rounds }, (_, round) => {
    const row = zigzag.map((index) => (index + round) % count);
    // With an odd number of commands the mirrored rows are what balances the others.
    if (Math.floor(round / count) % 2 === 1) row.reverse();
    return row.filter((index) => round % (periods[index] ?? 1) === 0);
  }).flat();
}

/** The value below which `fraction` of the others lie; between two of them, their mixture. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = fraction * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) throw new Error("no values");
  return low + (high - low) * (place % 1);
}

/** Columns as wide as their widest cell; the first one flush left, the others flush right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

/** The pids of a process's children: proc_pid_tid_children(5); needs CONFIG_PROC_CHILDREN. */
export function childrenOf(pid: number): number[] {
  return (read(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean).map(Number);
}

/**
 * Resident memory, each page divided by the number of processes that share it, in KB: `Pss` of
 * /proc/PID/smaps_rollup (Linux 4.14). Null where that may not be read, as of a process that is not
 * dumpable.
 */
export function pssKilobytes(pid: number): number | null {
  const size = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return size === undefined ? null : Number(size);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isSystemError(error)) return null;
    throw error;
  }
}
