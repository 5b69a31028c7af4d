/**
 * Filters of the default profile: how long they are, how much of them runs, and what they cost the
 * kernel, against those that libseccomp makes of it; and how long Node takes to make ours.
 * `npm run bench:seccomp [-- --rounds N]` on x86-64, as an unprivileged user, with gcc and
 * libseccomp-dev. About a minute.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { probe } from "../launch/facts/probe.js";
import { auditArch, x32Bit } from "../seccomp/architecture.js";
import { compileFilter } from "../seccomp/compile.js";
import { defaultProfile } from "../seccomp/default.js";
import { encodeFilter, type Instruction } from "../seccomp/instruction.js";
import { profileOf } from "../seccomp/profile.js";
import { resolveProfile } from "../seccomp/resolve.js";
import type { RuleSet } from "../seccomp/rules.js";
import { type Outcome, simulate } from "../seccomp/simulate.js";
import { tableOf } from "../seccomp/syscalls.js";
import { terminalRefusals } from "../seccomp/terminal.js";
import { SbxError } from "../spec/error.js";
import type { Architecture } from "../spec/host.js";
import { callsFor } from "../test/seccomp/calls.js";
import { libseccompFilter } from "../test/support/libseccomp.js";
import { defaultCapabilities } from "../userns/capabilities.js";
import { environment } from "./environment.js";
import { quantile, table, time } from "./measure.js";
import { type Command, roundRobin } from "./stopwatch.js";

/** The tenth percentile: what the machine does besides only adds to a time. */
const typical = 0.1;

interface Contender {
  readonly name: string;
  readonly program: readonly Instruction[];
}

function ruleSetFor(architecture: Architecture): RuleSet {
  const profile = profileOf(defaultProfile, (path) => path);
  const kernel = { major: 6, minor: 12 };
  const circumstances = { architecture, kernel, capabilities: defaultCapabilities };
  return { ...resolveProfile(profile, circumstances).ruleSet, refusals: terminalRefusals };
}

/** libseccomp's filters have no ENOSYS for newer numbers, and do not refuse terminal injection. */
function contenders(ruleSet: RuleSet): Contender[] {
  const exact = { ...ruleSet, refusals: [], newerIsEnosys: false };
  return [
    { name: "sbx run", program: compileFilter(ruleSet) },
    { name: "sbx, exactly the profile", program: compileFilter(exact) },
    { name: "libseccomp, linear", program: libseccompFilter(exact, "linear").program },
    { name: "libseccomp, tree", program: libseccompFilter(exact, "tree").program },
  ];
}

/** `mean, worst` of the instructions that run. */
function executed(outcomes: readonly Outcome[], all: readonly Outcome[] = outcomes): string {
  const counts = outcomes.map((outcome) => outcome.executed);
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const worst = all.reduce((most, outcome) => Math.max(most, outcome.executed), 0);
  return `${mean.toFixed(1)}, ${worst}`;
}

/** Means over the calls of a table, without arguments; worst over all numbers and arguments. */
function countTable(architecture: Architecture): string {
  const ruleSet = ruleSetFor(architecture);
  const everyCall = callsFor(ruleSet);
  const rows = contenders(ruleSet).map(({ name, program }) => {
    const columns = ruleSet.architectures.map((listed) => {
      const arch = auditArch[listed];
      const named = [...new Set(tableOf(listed).values())].map((nr) =>
        simulate(program, { nr, arch, args: [] }),
      );
      const own = everyCall.filter(
        (call) => call.arch === arch && (listed === "x32") === call.nr >= x32Bit,
      );
      return { named, own: own.map((call) => simulate(program, call)) };
    });
    const always = columns[0]?.named.filter(({ cacheable }) => cacheable) ?? [];
    const cells = columns.map(({ named, own }) => executed(named, own));
    return [name, `${program.length}`, executed(always), ...cells];
  });
  const heading = [architecture, "instructions", "always allowed", ...ruleSet.architectures];
  return table([heading, ...rows]);
}

/** Nanoseconds to load each filter, and of three calls under it (seccomp.c). */
function costs(program: string, files: readonly string[], rounds: number, repetitions: number) {
  const output = execFileSync(program, [`${rounds}`, `${repetitions}`, ...files], {
    encoding: "utf8",
  });
  const lines = output
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number));
  return files.map((_, index) => {
    const own = lines.filter(([of]) => of === index);
    return [1, 2, 3, 4].map((column) =>
      quantile(
        own.map((line) => line[column] ?? 0),
        typical,
      ),
    );
  });
}

function costTable(rounds: number, directory: string): string {
  const program = join(directory, "seccomp");
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "seccomp.c")]);
  const all: Contender[] = [
    { name: "no filter", program: [] },
    ...contenders(ruleSetFor("x86_64")),
  ];
  const files = all.map(({ program: filter }, index) => {
    const path = join(directory, `filter${index}`);
    writeFileSync(path, encodeFilter(filter));
    return path;
  });
  // Apart, for what the calls leave in the caches is not what a launch finds there.
  const loads = costs(program, files, 2 * rounds, 1);
  const calls = costs(program, files, rounds, 20_000);
  const rows = all.map(({ name }, index) => [
    name,
    ((loads[index]?.[0] ?? 0) / 1000).toFixed(0),
    ...[1, 2, 3].map((column) => {
      const [own = 0, none = 0] = [calls[index]?.[column], calls[0]?.[column]];
      return index === 0 ? own.toFixed(0) : `+ ${(own - none).toFixed(0)}`;
    }),
  ]);
  return table([["x86_64", "load, µs", "allowed, ns", "by argument, ns", "refused, ns"], ...rows]);
}

/** What a cold Node takes longer for the bundled compiler and its work than for an empty file. */
async function coldLine(rounds: number, directory: string): Promise<string> {
  const [script, empty] = [join(directory, "cold.mjs"), join(directory, "empty.mjs")];
  await build({
    entryPoints: [join(import.meta.dirname, "seccomp-cold.ts")],
    outfile: script,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
  });
  writeFileSync(empty, "");
  const commands = [empty, script].map((file): Command => [process.execPath, file]);
  const samples = time(commands, roundRobin([1, 1], rounds), probe("/", environment));
  const [without = 0, all = 0] = samples.map((values) => quantile(values, typical) / 1e6);
  return `compiled by a cold Node in ${(all - without).toFixed(1)} ms, of ${all.toFixed(1)} ms\n`;
}

try {
  const { rounds = "200" } = parseArgs({ options: { rounds: { type: "string" } } }).values;
  const directory = mkdtempSync(join(tmpdir(), "sbx-bench-"));
  try {
    const parts = [
      `${cpus()[0]?.model}, ${cpus().length} cores, Linux ${release()}, Node ${process.version}\n`,
      countTable("x86_64"),
      countTable("aarch64"),
      costTable(Number(rounds), directory),
      await coldLine(Math.ceil(Number(rounds) / 4), directory),
    ];
    process.stdout.write(parts.join("\n"));
  } finally {
    rmSync(directory, { recursive: true });
  }
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
