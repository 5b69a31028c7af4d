/** `sbx stats`: what running sandboxes use. */
import { setTimeout as sleep } from "node:timers/promises";
import { pressures } from "../cgroup/usage.js";
import { callersRunDirectory } from "../launch/facts/run-directory.js";
import { requireGroup, type Sample, sampleOf } from "../launch/life/control-group.js";
import { listSandboxes } from "../launch/life/records.js";
import type { Sandbox } from "../launch/life/sandbox.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { type Column, sizeText, table } from "./table.js";
import { findAll, tryAll } from "./targets.js";

/** What lies between two samples of a sandbox: a share of time needs a while that it is a share of. */
const intervalMs = 1000;

/** One sandbox, now: what `--json` prints, but for names of its own. */
interface Reading {
  readonly name: string;
  /** Of one processor; null where there is no control group. */
  readonly cpuPercent: number | null;
  readonly sample: Sample | null;
}

/** `argv` is what follows `stats`. Gives 0, or 1 where one of the named sandboxes could not be had. */
export async function stats(argv: readonly string[]): Promise<number> {
  const { flags, words: names } = parseWords(argv, liveCommands.stats.options);
  const once = flags["no-stream"] === true || flags.json === true;
  const chosen = await choose(names);
  let sandboxes = chosen.found;
  let before = new Map(sandboxes.map((each) => [each.name, sampleOf(each)]));
  do {
    if (names.length > 0 && sandboxes.length === 0) return chosen.status;
    await sleep(intervalMs);
    if (names.length === 0) sandboxes = (await choose([])).found;
    else if (!once) sandboxes = await stillRunning(sandboxes);
    const readings = sandboxes.map((each) => reading(each, before.get(each.name) ?? null));
    before = new Map(readings.map(({ name, sample }) => [name, sample]));
    if (flags.json === true) print(`${JSON.stringify(readings.map(plain), null, 2)}\n`);
    else show(readings, !once);
  } while (!once);
  return chosen.status;
}

/** The named ones that have a control group, or all, with or without. */
async function choose(names: readonly string[]): Promise<{ found: Sandbox[]; status: number }> {
  if (names.length === 0) {
    return { found: await listSandboxes(callersRunDirectory(process.env)), status: 0 };
  }
  const { found, status } = await findAll(names);
  const measured: Sandbox[] = [];
  const refused = await tryAll(found, async (sandbox) => {
    requireGroup(sandbox, "stats");
    measured.push(sandbox);
  });
  return { found: measured, status: Math.max(status, refused) };
}

async function stillRunning(sandboxes: readonly Sandbox[]): Promise<Sandbox[]> {
  const all = await listSandboxes(callersRunDirectory(process.env));
  return sandboxes.filter(({ monitor }) => all.some((each) => each.monitor === monitor));
}

function reading(sandbox: Sandbox, before: Sample | null): Reading {
  const sample = sampleOf(sandbox);
  const used = (sample?.cpuUsec ?? 0) - (before?.cpuUsec ?? 0);
  const known = sample !== null && before !== null;
  return {
    name: sandbox.name,
    cpuPercent: known ? used / 10 / (sample.timeMs - before.timeMs) : null,
    sample,
  };
}

function plain({ name, cpuPercent, sample }: Reading): object {
  const { timeMs: _, ...rest } = sample ?? { timeMs: 0 };
  return { name, cpuPercent, ...rest };
}

const columns: readonly Column[] = [
  { title: "NAME", worth: null },
  { title: "CPU %", worth: null, right: true },
  { title: "MEM USAGE / LIMIT", worth: null },
  { title: "MEM %", worth: 3, right: true },
  { title: "NET I/O", worth: 4 },
  { title: "BLOCK I/O", worth: 1 },
  { title: "PIDS", worth: 5, right: true },
  ...pressures.map((each) => ({ title: `${each.toUpperCase()} WAIT %`, worth: 2 })),
];

const percent = (share: number | null) => (share === null ? none : `${share.toFixed(2)}%`);
const none = "--";
const pair = (one: number | null | undefined, other: number | null | undefined) =>
  one == null || other == null ? none : `${sizeText(one)} / ${sizeText(other)}`;

/** A row of docker's columns, and of pressure. */
function cells({ name, cpuPercent, sample }: Reading): string[] {
  const [memory, limit] = [sample?.memoryBytes ?? null, sample?.memoryLimitBytes ?? null];
  return [
    name,
    percent(cpuPercent),
    pair(memory, limit),
    percent(memory === null || limit === null ? null : (100 * memory) / limit),
    pair(sample?.receivedBytes, sample?.sentBytes),
    pair(sample?.readBytes, sample?.writtenBytes),
    `${sample?.pids ?? none}`,
    ...pressures.map((each) => percent(sample?.pressure[each] ?? null)),
  ];
}

/** On a terminal each table takes the place of the one before. */
function show(readings: readonly Reading[], again: boolean): void {
  const { isTTY, columns: width } = process.stdout;
  const text = table(columns, readings.map(cells), isTTY ? width : null);
  print(isTTY && again ? `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[J` : text);
}
