/**
 * All figures of speed and size that sbx is to reach, in one table, as an unprivileged user:
 * `npm run bench [-- --json FILE --plot FILE --rounds N]`. Some minutes; docs/performance.md has the last one.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { probe } from "../launch/facts/probe.js";
import { fail, SbxError } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import { copyBusyboxRootfs } from "../test/support/rootfs.js";
import { bubblewrap, type Contender, contenders, names, type Present } from "./contenders.js";
import { type Crowd, crowdOf, inParallel, libraryTimes, type Times } from "./crowd.js";
import { environment } from "./environment.js";
import { bare } from "./isolation.js";
import { quantile, table, time } from "./measure.js";
import { type Memory, memoryOf, readable } from "./memory.js";
import { plot } from "./plot.js";
import { type Command, periods, roundRobin } from "./stopwatch.js";

interface Result {
  readonly name: string;
  readonly command: Command;
  readonly nanoseconds: readonly number[];
}

/** One line of the table of figures: what was measured, what is to be reached, and in which unit. */
interface Figure {
  readonly what: string;
  readonly unit: "ratio" | "KB";
  /** Null where a part of it is missing on this machine. */
  readonly median: number | null;
  /** Of ratios: of the 10th percentiles. */
  readonly p10: number | null;
  readonly reach: number;
}

const defaultRounds = 200;
const warmUpRounds = 5;
/** Of two that take so little there are more. */
const duelRounds = 5;

function measure(present: readonly Present[], rounds: number, host: Host): Result[] {
  const commands = present.map(({ run }) => run(["/bin/true"]));
  const once = commands.map(() => 1);
  const warmUp = time(commands, roundRobin(once, warmUpRounds), host);
  const medians = warmUp.map((nanoseconds) => quantile(nanoseconds, 0.5));
  const samples = time(commands, roundRobin(periods(medians, rounds), rounds), host);
  return present.flatMap(({ name }, index) => {
    const [command, nanoseconds] = [commands[index], samples[index]];
    return command && nanoseconds ? [{ name, command, nanoseconds }] : [];
  });
}

function ratio(what: string, reach: number, ours: Times | null, peer: Times | null): Figure {
  const of = (fraction: number) =>
    ours && peer && quantile(ours, fraction) / quantile(peer, fraction);
  return { what, unit: "ratio", median: of(0.5), p10: of(0.1), reach };
}

interface Measured {
  readonly launches: readonly Result[];
  /** Those of the first and of bubblewrap once more, with nothing else in their turns. */
  readonly duel: readonly Result[];
  readonly memory: readonly Memory[];
  readonly programBytes: number;
  readonly parallel: readonly Times[];
  readonly crowd: Crowd;
  readonly library: Readonly<Record<"empty" | "full", readonly Times[]>>;
}

/** The figures, in the order of the table. */
function figures({
  launches,
  duel,
  memory,
  programBytes,
  parallel,
  crowd,
  library,
}: Measured): Figure[] {
  const of = (name: string, all = launches): Times | null =>
    all.find((launch) => launch.name === name)?.nanoseconds ?? null;
  const pair = (reach: number, ours: string, peer: string) =>
    ratio(`${ours} / ${peer}`, reach, of(ours), of(peer));
  const both = ([ours, peer]: readonly Times[]) => [ours ?? null, peer ?? null] as const;
  const size = (what: string, kilobytes: number | null, reach: number): Figure => ({
    ...{ what, reach, unit: "KB", median: kilobytes, p10: null },
  });
  const resident = memory.find(({ name }) => name === names.bare);
  const together =
    resident?.monitor != null && resident.init != null ? resident.monitor + resident.init : null;
  return [
    pair(0.4, names.bare, bubblewrap),
    ratio("the same, the two alone in turns", 0.4, of(names.bare, duel), of(bubblewrap, duel)),
    pair(1, names.bare, names.byHand),
    pair(0.6, names.warm, names.bubblewrapMounts),
    pair(0.6, names.warmLauncher, names.bubblewrapMounts),
    pair(0.6, names.warmDefaults, bubblewrap),
    pair(0.8, names.bareAllIds, names.unshare),
    pair(0.3, names.allIds, names.runc),
    pair(0.3, names.allIds, names.crun),
    pair(1.4, names.cold, names.node),
    ratio("library / bubblewrap, from an empty Node", 0.35, ...both(library.empty)),
    ratio("library / bubblewrap, from a Node with 300 MB", 0.1, ...both(library.full)),
    ratio(`1,000 launches, 4 at a time / ${bubblewrap}'s`, 0.35, ...both(parallel)),
    ratio("launch beside 500 sandboxes / beside none", 1.25, crowd.beside, crowd.alone),
    size("resident, monitor and init, PSS", together, 32),
    size("resident, 500 sandboxes, PSS", crowd.kilobytes, 16 * 1024),
    size("compiled program", programBytes / 1024, 16),
  ];
}

const shown = (value: number | null) => value?.toFixed(2) ?? "-";
const milliseconds = (nanoseconds: number) => (nanoseconds / 1e6).toFixed(2);
const kilobytes = (size: number | null) => (size === null ? "not readable" : `${size} KB`);

function print(all: readonly Contender[], found: Measured, reached: readonly Figure[]) {
  const launch = ({ name, nanoseconds }: Result) => [
    name,
    ...[0.5, 0.1].map((fraction) => milliseconds(quantile(nanoseconds, fraction))),
    `${nanoseconds.length}`,
  ];
  const line = ({ what, unit, median, p10, reach }: Figure) => [
    what,
    shown(median),
    shown(p10),
    `${reach}${unit === "KB" ? " KB" : ""}`,
    // The 10th percentile, where the rest of the machine disturbs least.
    (p10 ?? median ?? Number.POSITIVE_INFINITY) <= reach ? "yes" : "no",
  ];
  const missing = all.flatMap((c) =>
    c.kind === "missing" ? [`missing: ${c.name}: ${c.why}\n`] : [],
  );
  const pss = found.memory.map((m) => [m.name, kilobytes(m.monitor), kilobytes(m.init)]);
  const text = [
    table([["figure", "median", "p10", "to reach", "reached"], ...reached.map(line)]),
    "\n",
    table([["launch to end, ms", "median", "p10", "runs"], ...found.launches.map(launch)]),
    ...missing,
    "\n",
    table([["resident memory, PSS", "monitor", "init"], ...pss]),
  ];
  process.stdout.write(text.join(""));
}

/** Everything that was measured, for comparing one machine or version with another. */
function json(all: readonly Contender[], found: Measured, reached: readonly Figure[]) {
  return {
    machine: {
      kernel: release(),
      cpu: cpus()[0]?.model,
      cpus: cpus().length,
      node: process.version,
    },
    figures: reached,
    ...found,
    launches: found.launches.map(({ name, command, nanoseconds }) => ({
      name,
      command,
      medianNs: quantile(nanoseconds, 0.5),
      p10Ns: quantile(nanoseconds, 0.1),
      nanoseconds,
    })),
    missing: all.flatMap((c) => (c.kind === "missing" ? [{ name: c.name, why: c.why }] : [])),
  };
}

function readOptions() {
  const options = {
    json: { type: "string" },
    plot: { type: "string" },
    rounds: { type: "string", default: `${defaultRounds}` },
  } as const;
  const usage = "Usage: npm run bench -- [--json FILE] [--plot FILE] [--rounds N]";
  try {
    const { rounds, ...files } = parseArgs({ options }).values;
    if (/^[1-9][0-9]{0,5}$/.test(rounds)) return { ...files, rounds: Number(rounds) };
    return fail("--rounds", "must be a whole number from 1 to 999999", usage);
  } catch (error) {
    // parseArgs throws a TypeError for what the user got wrong.
    if (error instanceof TypeError) return fail("read the options", error.message, usage);
    throw error;
  }
}

async function main(): Promise<void> {
  const { rounds, ...files } = readOptions();
  if (process.getuid?.() === 0) {
    fail("bench", "it runs as root", "Run it as an unprivileged user, whom sbx is made for");
  }
  const programs: string[] = [];
  const directory = mkdtempSync(join(tmpdir(), "sbx-bench-"));
  try {
    const rootfs = join(directory, "rootfs");
    copyBusyboxRootfs(rootfs);
    const host = probe(rootfs, environment);
    const all = contenders(rootfs, directory);
    const present = all.filter((contender) => contender.kind === "present");
    programs.push(...present.flatMap(({ program }) => (program === null ? [] : [program])));
    const one = (name: string) => present.find((contender) => contender.name === name);
    const ours = one(names.bare);
    const peer = one(bubblewrap);
    const alike = one(names.bubblewrapMounts);
    if (ours?.program == null) throw new Error("there is no program of our own");
    const run = readable(bare(rootfs), host);
    programs.push(run([])[0]);

    const launches = measure(present, rounds, host);
    const memory: Memory[] = [];
    for (const contender of present) {
      if (!contender.stays) continue;
      memory.push(await memoryOf(contender === ours ? { ...ours, run } : contender));
    }
    const found: Measured = {
      launches,
      duel: peer === undefined ? [] : measure([ours, peer], duelRounds * rounds, host),
      memory,
      programBytes: statSync(ours.program).size,
      parallel: peer === undefined ? [] : await inParallel([ours, peer], host),
      crowd: await crowdOf(ours, run, rounds, host),
      library: {
        empty: alike === undefined ? [] : libraryTimes(rootfs, alike, 0),
        full: alike === undefined ? [] : libraryTimes(rootfs, alike, 300),
      },
    };
    const reached = figures(found);
    print(all, found, reached);
    if (files.json !== undefined) {
      writeFileSync(files.json, `${JSON.stringify(json(all, found, reached), null, 1)}\n`);
    }
    if (files.plot !== undefined) {
      const bars = launches.map(({ name, nanoseconds }) => ({
        name,
        median: quantile(nanoseconds, 0.5) / 1e6,
        p10: quantile(nanoseconds, 0.1) / 1e6,
      }));
      writeFileSync(files.plot, plot("Launch to end, ms: 10th percentile and median", bars));
    }
  } finally {
    for (const program of programs) rmSync(program, { force: true });
    rmSync(directory, { recursive: true });
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
