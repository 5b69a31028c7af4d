/**
 * What a layer over the rootfs costs: a compile and the untar of small files, in place, by the
 * kernel's overlay and by fuse-overlayfs; and the launch of 1, 10 and 100 layers.
 * `npm run bench:rootfs [-- --rounds N]`, as an unprivileged user on Debian or Ubuntu with gcc. The
 * rootfs is of this machine's own packages. Some minutes.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compileSandbox } from "../launch/compile.js";
import { probe } from "../launch/facts/probe.js";
import { defaultSpec } from "../spec/default.js";
import { fail, SbxError } from "../spec/error.js";
import type { SbxKeys } from "../spec/spec.js";
import { testCache } from "../test/support/home.js";
import { busyboxRootfs } from "../test/support/rootfs.js";
import { environment, executable } from "./environment.js";
import { quantile, table, time } from "./measure.js";
import { type Command, roundRobin } from "./stopwatch.js";

/** With all that they depend on. */
const packages = ["gcc", "libc6-dev", "coreutils", "dash", "tar"];
const sources = 30;
const smallFiles = 5000;

const workloads = {
  compile:
    "cd /work && mkdir out && for f in src/*.c; do gcc -O1 -c -o out/$(basename $f .c).o $f; done && gcc -o all out/*.o && ./all",
  untar: "cd /work && mkdir out && tar -xf small.tar -C out",
} as const;

function sh(script: string, ...words: readonly string[]): void {
  const { status } = spawnSync("sh", ["-euc", script, "sh", ...words], {
    env: environment,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) fail("prepare the bench", `sh ended with ${status}: ${script}`);
}

/** The packages' files as this machine has them, and what is worked on in /work. */
function makeRootfs(path: string): void {
  mkdirSync(join(path, "work/src"), { recursive: true });
  sh(
    `root=$1; cd "$root"; mkdir usr usr/bin usr/sbin usr/lib usr/lib64 tmp proc dev sys
    for d in bin sbin lib lib64; do ln -s usr/$d $d; done; shift
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \\
      --no-enhances "$@" | grep '^[a-z]' | sort -u | while read -r p; do
        dpkg-query -L "$p" 2>/dev/null || true
      done | grep -vE '^/(usr/share/(doc|man|locale)|etc)/|^/(\\.|etc)?$' | while read -r f; do
        if [ -f "$f" ] && [ -r "$f" ]; then echo "$f"; fi
      done | tar -C / -cf - -T - 2>/dev/null | tar --keep-directory-symlink -xf - -C "$root" 2>/dev/null || true`,
    path,
    ...packages,
  );
  for (let index = 0; index < sources; index++) {
    const functions = Array.from(
      { length: 60 },
      (_, n) =>
        `int f${index}_${n}(int x) { char b[64]; snprintf(b, 64, "%d", x * ${n}); return atoi(b); }`,
    );
    const main = index === 0 ? "int main(void) { return 0; }\n" : "";
    const text = `#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n${functions.join("\n")}\n${main}`;
    writeFileSync(join(path, "work/src", `${index}.c`), text);
  }
  sh(
    `cd "$1"; mkdir small; for d in $(seq 50); do mkdir small/$d; for f in $(seq $(($2 / 50))); do
      head -c $((f % 7 * 512 + 100)) /dev/zero >small/$d/$f; done; done; tar --owner=0 --group=0 -cf small.tar small; rm -r small`,
    join(path, "work"),
    `${smallFiles}`,
  );
}

/** The program for a spec, and how to leave nothing of it between two runs. */
function programOf(rootfs: string, keys: Partial<SbxKeys>, lowers: readonly string[] = []): string {
  const spec = defaultSpec(rootfs);
  const sbx: SbxKeys = {
    ...spec.sbx,
    userns: { mode: "single" },
    network: { from: { mode: "none" } },
    ...keys,
  };
  const layers = { lowers, upper: keys.upper };
  const host = probe(rootfs, environment, undefined, layers);
  const process = { ...spec.process, terminal: false };
  return executable(compileSandbox({ ...spec, process, sbx }, host).bytes, host);
}

function work(directory: string, rounds: number): void {
  const rootfs = join(directory, "rootfs");
  makeRootfs(rootfs);
  const upper = join(directory, "upper");
  const kept = { writes: "upper", upper } as const;
  const ways: readonly (readonly [string, Partial<SbxKeys>])[] = [
    ["in place", { writes: "in-place" }],
    ["kernel, memory", {}],
    ["kernel, upper on disk", kept],
    ["fuse-overlayfs, memory", { overlay: "fuse" }],
    ["fuse-overlayfs, upper on disk", { ...kept, overlay: "fuse" }],
  ];
  const programs = ways.map(([, keys]) => programOf(rootfs, keys));
  for (const [workload, script] of Object.entries(workloads)) {
    const seconds = ways.map((): number[] => []);
    for (const index of roundRobin(
      ways.map(() => 1),
      rounds + 1,
    )) {
      spawnSync("sync");
      const start = process.hrtime.bigint();
      const { status } = spawnSync(programs[index] ?? "", ["sh", "-ec", script], {
        env: environment,
        stdio: ["ignore", "ignore", "inherit"],
      });
      if (status !== 0) fail(`${workload} ${ways[index]?.[0]}`, `it ended with ${status}`);
      seconds[index]?.push(Number(process.hrtime.bigint() - start) / 1e9);
      for (const path of [
        join(rootfs, "work/out"),
        join(rootfs, "work/all"),
        upper,
        `${upper}.work`,
      ]) {
        rmSync(path, { recursive: true, force: true });
      }
    }
    // The first round warms the caches.
    const medians = seconds.map((times) => quantile(times.slice(1), 0.5));
    const rows = ways.map(([name], index) => {
      const median = medians[index] ?? 0;
      return [name, median.toFixed(2), (median / (medians[0] ?? 1)).toFixed(2)];
    });
    process.stdout.write(`${table([[`${workload}, s`, "median", "ratio"], ...rows])}\n`);
  }
  for (const program of new Set(programs)) rmSync(program, { force: true });
}

function launches(directory: string, rounds: number): void {
  const rootfs = busyboxRootfs();
  const layers = Array.from({ length: 100 }, (_, index) => join(directory, "layers", `${index}`));
  for (const path of layers) mkdirSync(path, { recursive: true });
  const ways = [1, 10, 100].flatMap((count) => {
    const above = layers.slice(0, count - 1);
    return [
      { name: `${count}, kernel`, program: programOf(rootfs, {}, above) },
      { name: `${count}, fuse-overlayfs`, program: programOf(rootfs, { overlay: "fuse" }, above) },
    ];
  });
  const commands = ways.map(({ program }): Command => [program, "/bin/true"]);
  const schedule = roundRobin(
    commands.map(() => 1),
    rounds * 10,
  );
  const samples = time(commands, schedule, probe(rootfs, environment));
  const rows = ways.map(({ name }, index) =>
    [0.5, 0.1]
      .map((fraction) => (quantile(samples[index] ?? [], fraction) / 1e6).toFixed(2))
      .toSpliced(0, 0, name),
  );
  process.stdout.write(table([["launch of layers, ms", "median", "p10"], ...rows]));
  for (const { program } of ways) rmSync(program, { force: true });
}

try {
  const { rounds = "10" } = parseArgs({ options: { rounds: { type: "string" } } }).values;
  if (process.getuid?.() === 0) fail("bench", "it runs as root", "Run it as an unprivileged user");
  const directory = mkdtempSync(join(testCache(), "bench-"));
  try {
    work(directory, Number(rounds));
    launches(directory, Number(rounds));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
