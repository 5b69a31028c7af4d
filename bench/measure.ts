/** Timing commands, and telling the result. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { compile } from "../launch/machine/link.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import { environment, executable } from "./environment.js";
import { type Command, stopwatch, stopwatchExit } from "./stopwatch.js";

/** Runs the commands by a stopwatch; nanoseconds by command, in the order of the runs. */
export function time(
  commands: readonly Command[],
  schedule: readonly number[],
  host: Host,
): number[][] {
  const program = executable(compile(stopwatch(commands, schedule), host.architecture), host);
  const { status, signal, stdout, error } = spawnSync(program, {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 8 * schedule.length,
  });
  rmSync(program);
  if (error !== undefined) throw error;
  const ran = stdout.length / 8;
  if (status === stopwatchExit.commandFailed) {
    const failed = commands[schedule[ran] ?? -1]?.join(" ");
    fail(`run ${ran + 1} of ${schedule.length}`, `it failed: ${failed}`, "Try it by itself");
  }
  if (status !== stopwatchExit.done || ran !== schedule.length) {
    fail("time the commands", `the stopwatch ended with ${signal ?? status} after ${ran} runs`);
  }
  const samples = commands.map((): number[] => []);
  for (const [run, index] of schedule.entries()) {
    samples[index]?.push(Number(stdout.readBigInt64LE(8 * run)));
  }
  return samples;
}

/** Nanoseconds that all runs of a command take, so many by each of the workers at the same time. */
export async function timeParallel(
  command: Command,
  { workers, runs }: { readonly workers: number; readonly runs: number },
  host: Host,
): Promise<number> {
  const each = stopwatch([command], new Array<number>(runs).fill(0));
  const program = executable(compile(each, host.architecture), host);
  try {
    const start = process.hrtime.bigint();
    const ends = Array.from({ length: workers }, () => {
      const stdio = ["ignore", "ignore", "inherit"] as const;
      return once(spawn(program, { env: environment, stdio: [...stdio] }), "close");
    });
    for (const [code] of await Promise.all(ends)) {
      if (code !== stopwatchExit.done) fail(`run ${command[0]}`, `a stopwatch ended with ${code}`);
    }
    return Number(process.hrtime.bigint() - start);
  } finally {
    rmSync(program);
  }
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
