/**
 * The life cycle beside podman's, on a machine that has both and where sudo(8) asks nothing: each command in
 * turns, and what stays beside a sandbox in the background. Where podman may have no control groups, it starts with
 * a file CONTAINERS_CONF that has `cgroups = "no-conmon"` in [containers], and in [engine] `runtime = "runc"` and
 * `cgroup_manager = "cgroupfs"`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { callersRunDirectory } from "../launch/facts/run-directory.js";
import { listSandboxes } from "../launch/life/records.js";
import { fail } from "../spec/error.js";
import { busyboxRootfs } from "../test/support/rootfs.js";
import { childrenOf } from "../test/support/started.js";
import { quantile, table } from "./measure.js";

const rounds = 7;
/** That `ps` lists. */
const crowd = 10;
const name = "bench-0";
const rootfs = busyboxRootfs();

/** With what `run` makes no network of, and a layer over the rootfs. */
const contenders = [
  { command: join(import.meta.dirname, "../cmd/sbx"), words: ["--network=none", rootfs] },
  { command: "podman", words: ["--network=none", "--rootfs", `${rootfs}:O`] },
] as const;
type Contender = (typeof contenders)[number];

const runWords = ({ words }: Contender, as: string) => [
  ...["run", "-d", "--name", as, ...words],
  ...["sleep", "100000"],
];

/** Milliseconds. */
function time(command: string, words: readonly string[]): number {
  const from = performance.now();
  output(command, words);
  return performance.now() - from;
}

function output(command: string, words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8" });
  if (status !== 0) fail(`${command} ${words.join(" ")}`, `${stderr ?? "not found"}`.trim());
  return stdout;
}

/** KB; root may look into an init of sbx's as well. */
const pssOf = (pid: number) =>
  Number(output("sudo", ["awk", "/^Pss:/ { print $2 }", `/proc/${pid}/smaps_rollup`]));

/** Each command's milliseconds, a list for each contender. */
function inTurns(measure: (contender: Contender) => number): number[][] {
  const samples: number[][] = contenders.map(() => []);
  // The first round is a warm-up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const sample = measure(contender);
      if (round > 0) samples[index]?.push(sample);
    }
  }
  return samples;
}

function row(what: string, samples: readonly number[][]): string[] {
  const [ours = Number.NaN, theirs = Number.NaN] = samples.map((each) => quantile(each, 0.5));
  return [what, ...[ours, theirs].map((value) => value.toFixed(0)), (ours / theirs).toFixed(2)];
}

const end = ({ command }: Contender, as: string) => output(command, ["rm", "-f", as]);

const starts = inTurns((contender) => {
  const sample = time(contender.command, runWords(contender, name));
  end(contender, name);
  return sample;
});
for (const contender of contenders) {
  for (let number = 0; number < crowd; number += 1) {
    output(contender.command, runWords(contender, `bench-${number}`));
  }
}
const entrances = inTurns(({ command }) => time(command, ["exec", name, "true"]));
const lists = inTurns(({ command }) => time(command, ["ps"]));

const sandboxes = await listSandboxes(callersRunDirectory(process.env));
const monitor = sandboxes.find((each) => each.name === name)?.monitor ?? 0;
const conmon = Number(output("podman", ["inspect", "--format", "{{.State.ConmonPid}}", name]));
const ours = [monitor, ...childrenOf(monitor)].map(pssOf);
const stays = [[ours.reduce((sum, each) => sum + each, 0)], [pssOf(conmon)]];

for (const contender of contenders) {
  for (let number = 0; number < crowd; number += 1) end(contender, `bench-${number}`);
}
process.stdout.write(
  table([
    ["median of milliseconds", "sbx", "podman", "ratio"],
    row("run -d", starts),
    row("exec", entrances),
    row(`ps, with ${crowd}`, lists),
    row("what stays, KB of PSS", stays),
  ]),
);
