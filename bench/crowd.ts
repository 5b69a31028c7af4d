/** Launches beside others: several at a time, beside many that run, and from a running Node. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Present } from "./contenders.js";
import { environment } from "./environment.js";
import { time, timeParallel } from "./measure.js";
import { type Held, hold, pssOf, settleMs } from "./memory.js";

/** Nanoseconds of each run. */
export type Times = readonly number[];

const workers = 4;
const launches = 1000;
/** The launches are made in so many parts, the contenders in turns. */
const parts = 5;

/** For each contender, what a launch took, part by part. */
export async function inParallel(present: readonly Present[], host: Host): Promise<Times[]> {
  const times = present.map((): number[] => []);
  for (let part = 0; part < parts; part += 1) {
    for (const [index, { run }] of present.entries()) {
      const each = { workers, runs: launches / parts / workers };
      const total = await timeParallel(run(["/bin/true"]), each, host);
      times[index]?.push(total / (launches / parts));
    }
  }
  return times;
}

/** Many sandboxes that run at the same time. */
export interface Crowd {
  readonly alone: Times;
  readonly beside: Times;
  /** PSS of all monitors and inits; null where it may not be read. */
  readonly kilobytes: number | null;
}

const many = 500;

/** Launches of `ours` without and beside many; `run` starts the many, whose memory can be read. */
export async function crowdOf(
  ours: Present,
  run: Present["run"],
  rounds: number,
  host: Host,
): Promise<Crowd> {
  const launch = () => time([ours.run(["/bin/true"])], new Array<number>(rounds).fill(0), host);
  const [before = []] = launch();
  const held: Held[] = [];
  try {
    while (held.length < many) held.push(await hold(run));
    await sleep(settleMs);
    const [beside = []] = launch();
    const sizes = held.flatMap(({ pid }) => Object.values(pssOf(pid)));
    const kilobytes = sizes.includes(null)
      ? null
      : sizes.reduce((sum: number, size) => sum + (size ?? 0), 0);
    return { alone: before, beside, kilobytes };
  } finally {
    await Promise.all(held.map(({ end }) => end()));
  }
}

/** What launches took from a Node of its own that holds so much: the library's, and those of the peer. */
export function libraryTimes(rootfs: string, peer: Present, megabytes: number): Times[] {
  const script = join(import.meta.dirname, "from-node.mjs");
  const words = [script, rootfs, `${megabytes}`, ...peer.run(["/bin/true"])];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    env: environment,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) fail("launch from Node", stderr, "`npm run build` makes the library");
  return JSON.parse(stdout);
}
