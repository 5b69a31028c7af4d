/**
 * Launch time of a sandbox that does nothing, against bubblewrap, unshare(1) and a bare Node:
 * `npm run bench [-- --json FILE] [--rounds N]`, as an unprivileged user. About a minute.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { probe } from "../launch/probe.js";
import { fail, SbxError } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import { copyBusyboxRootfs } from "../test/support/rootfs.js";
import { quantile, table, time } from "./measure.js";
import { type Command, periods, roundRobin } from "./stopwatch.js";
import {
  bubblewrap,
  type Contender,
  contenders,
  environment,
  type Memory,
  memoryOf,
  type Present,
} from "./support.js";

interface Result {
  readonly name: string;
  readonly command: Command;
  readonly nanoseconds: readonly number[];
}

const defaultRounds = 200;
const warmUpRounds = 5;

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

const milliseconds = (nanoseconds: number) => (nanoseconds / 1e6).toFixed(2);
const kilobytes = (size: number | null) => (size === null ? "not readable" : `${size} KB`);

function print(all: readonly Contender[], results: readonly Result[], memory: readonly Memory[]) {
  const peer = results.find(({ name }) => name === bubblewrap);
  const row = ({ name, nanoseconds }: Result) => {
    const cells = [0.5, 0.1].map((fraction) => {
      const value = quantile(nanoseconds, fraction);
      const ratio = peer && value / quantile(peer.nanoseconds, fraction);
      return { value: milliseconds(value), ratio: ratio?.toFixed(2) ?? "-" };
    });
    return [
      name,
      ...cells.map((c) => c.value),
      ...cells.map((c) => c.ratio),
      `${nanoseconds.length}`,
    ];
  };
  const heading = ["launch to end, ms", "median", "p10", "median/bwrap", "p10/bwrap", "runs"];
  const missing = all.flatMap((c) =>
    c.kind === "missing" ? [`missing: ${c.name}: ${c.why}\n`] : [],
  );
  const pss = memory.map((m) => [m.name, kilobytes(m.monitor), kilobytes(m.init)]);
  const text = [
    table([heading, ...results.map(row)]),
    ...missing,
    "\n",
    table([["resident memory, PSS", "monitor", "init"], ...pss]),
  ];
  process.stdout.write(text.join(""));
}

/** Everything that was measured, for comparing one machine or version with another. */
function json(all: readonly Contender[], results: readonly Result[], memory: readonly Memory[]) {
  return {
    machine: {
      kernel: release(),
      cpu: cpus()[0]?.model,
      cpus: cpus().length,
      node: process.version,
    },
    launch: results.map(({ name, command, nanoseconds }) => ({
      name,
      command,
      medianNs: quantile(nanoseconds, 0.5),
      p10Ns: quantile(nanoseconds, 0.1),
      nanoseconds,
    })),
    missing: all.flatMap((c) => (c.kind === "missing" ? [{ name: c.name, why: c.why }] : [])),
    memoryKilobytes: memory,
  };
}

function readOptions(): { readonly json: string | undefined; readonly rounds: number } {
  const options = { json: { type: "string" }, rounds: { type: "string" } } as const;
  const usage = "Usage: npm run bench -- [--json FILE] [--rounds N]";
  try {
    const { json, rounds = `${defaultRounds}` } = parseArgs({ options }).values;
    if (/^[1-9][0-9]{0,5}$/.test(rounds)) return { json, rounds: Number(rounds) };
    return fail("--rounds", "must be a whole number from 1 to 999999", usage);
  } catch (error) {
    // parseArgs throws a TypeError for what the user got wrong.
    if (error instanceof TypeError) return fail("read the options", error.message, usage);
    throw error;
  }
}

async function main(): Promise<void> {
  const { json: file, rounds } = readOptions();
  if (process.getuid?.() === 0) {
    fail("bench", "it runs as root", "Run it as an unprivileged user, whom sbx is made for");
  }
  const programs: string[] = [];
  const directory = mkdtempSync(join(tmpdir(), "sbx-bench-"));
  try {
    const rootfs = join(directory, "rootfs");
    copyBusyboxRootfs(rootfs);
    const all = contenders(rootfs);
    const present = all.filter((contender) => contender.kind === "present");
    programs.push(...present.flatMap(({ program }) => (program === null ? [] : [program])));
    const results = measure(present, rounds, probe(rootfs, environment));
    const memory: Memory[] = [];
    for (const contender of present) if (contender.stays) memory.push(await memoryOf(contender));
    print(all, results, memory);
    if (file !== undefined) {
      writeFileSync(file, `${JSON.stringify(json(all, results, memory), null, 1)}\n`);
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
