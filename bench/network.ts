/**
 * What the network stage costs: the throughput of pasta and slirp4netns as sbx starts them, and as started
 * by hand, and of the host itself, over a veth pair in a world of the bench's own; and what a way out adds
 * to the launch of a sandbox. `npm run bench:network [-- --rounds N]`, as an unprivileged user, with iperf3.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { compileSandbox } from "../launch/compile.js";
import { probe } from "../launch/facts/probe.js";
import { defaultSpec } from "../spec/default.js";
import { fail, SbxError } from "../spec/error.js";
import type { NetworkMode } from "../spec/network.js";
import { temporaryDirectory } from "../test/support/inside.js";
import { busyboxRootfs } from "../test/support/rootfs.js";
import { command } from "../test/support/sandbox.js";
import { findInPath } from "../test/support/skip.js";
import { makeWorld, remote, sandboxOf, type World } from "../test/support/world.js";
import { environment, executable } from "./environment.js";
import { quantile, table, time } from "./measure.js";
import { type Command, roundRobin } from "./stopwatch.js";

const seconds = 2;
const helpers = ["pasta", "slirp4netns"] as const;

/** A namespace of its own, the helper with the words that sbx gives it, and then the command. */
const byHand = {
  pasta:
    "pasta --foreground --quiet --config-net --mtu 65520 --no-map-gw --tcp-ports none --udp-ports none --tcp-ns none --udp-ns none $target",
  slirp4netns:
    "slirp4netns --configure --mtu=65520 --enable-sandbox --enable-seccomp --disable-host-loopback $target tap0",
} as const;

/** With a command in its place of a pid: in namespaces that pasta makes itself. */
const ownNamespace =
  "--quiet --config-net --no-map-gw --tcp-ports none --udp-ports none --tcp-ns none --udp-ns none";

/**
 * Whether a default route is there is seen in the namespace itself. Helper and command are in sessions of
 * their own, as sbx's are: the kernel shares the CPUs out by sessions (sched(7), "The autogroup feature").
 */
const started = (helper: (typeof helpers)[number], words: readonly string[]) => [
  "sh",
  "-c",
  `unshare --user --map-root-user --net sleep 60 & target=$!
  while [ "$(readlink /proc/$target/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
  setsid ${byHand[helper]} >/dev/null 2>&1 & helper=$!
  enter="nsenter --target $target --user --net --preserve-credentials"
  until $enter ip route | grep -q default; do sleep 0.05; done
  setsid --wait $enter "$@"; kill $target $helper`,
  "sh",
  ...words,
];

/** In a sandbox on a network of theirs, beside another one that serves; `data` is where the network is kept. */
const beside = (data: string, words: readonly string[]) => {
  const kept = ["env", `XDG_DATA_HOME=${data}`];
  const client = words.map((word) => (word === remote.ipv4 ? "server" : word));
  const [serving, asking] = [
    [...kept, ...sandboxOf("--network=siblings", "--name=server", "/", "iperf3", "--server")],
    [...kept, ...sandboxOf("--network=siblings", "/", ...client)],
  ].map((command) => command.map((word) => `'${word}'`).join(" "));
  return ["sh", "-c", `${serving} >/dev/null & sleep 2; ${asking}; kill $!; wait`];
};

/** Gigabits a second; fails where iperf3 does, whose server may not be done with the run before. */
async function gigabits(command: readonly string[]): Promise<number> {
  const [file = "", ...words] = command;
  for (let tries = 0; ; tries++) {
    const { stdout } = spawnSync(file, words, { encoding: "utf8", env: environment });
    const bits = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([\d.e+]+)/.exec(stdout)?.[1];
    if (bits !== undefined) return Number(bits) / 1e9;
    if (tries === 5) fail("measure", `iperf3 failed: ${stdout.slice(-200)}`, command.join(" "));
    await sleep(500);
  }
}

async function throughput(world: World, rounds: number): Promise<string> {
  const server = spawn(world.remote[0] ?? "", [...world.remote.slice(1), "iperf3", "--server"], {
    stdio: "ignore",
  });
  await sleep(500);
  const data = temporaryDirectory("bench");
  const create = [command, "network", "create", "siblings"];
  spawnSync("env", [`XDG_DATA_HOME=${data}`, ...create], { env: environment, stdio: "ignore" });
  const directions = { out: [], in: ["--reverse"] } as const;
  const rows: string[][] = [["Gbit/s, median", ...Object.keys(directions)]];
  const client = `iperf3 --client ${remote.ipv4} --time ${seconds} --json`.split(" ");
  const ways: readonly (readonly [string, (words: readonly string[]) => readonly string[]])[] = [
    ["host", (words) => words],
    ...helpers.flatMap((helper) => [
      [
        `${helper}, sbx`,
        (words: readonly string[]) => sandboxOf(`--network=${helper}`, "/", ...words),
      ] as const,
      [`${helper}, by hand`, (words: readonly string[]) => started(helper, words)] as const,
    ]),
    ["veth between siblings", (words) => beside(data, words)],
  ];
  const samples = ways.map((): Record<string, number[]> => ({ out: [], in: [] }));
  for (const index of roundRobin(
    ways.map(() => 1),
    rounds,
  )) {
    for (const [direction, more] of Object.entries(directions)) {
      const words = ways[index]?.[1]([...client, ...more]) ?? [];
      samples[index]?.[direction]?.push(await gigabits([...world.here, ...words]));
    }
  }
  for (const [index, [name]] of ways.entries()) {
    const median = (direction: string) =>
      quantile(samples[index]?.[direction] ?? [], 0.5).toFixed(2);
    rows.push([name, ...Object.keys(directions).map(median)]);
  }
  server.kill("SIGKILL");
  return table(rows);
}

/** Programs of a busybox sandbox with such a network, and what others make of it. */
function launches(rounds: number): string {
  // Not the one of all tests: podman makes /etc/mtab in it.
  const rootfs = join(temporaryDirectory("bench"), "rootfs");
  cpSync(busyboxRootfs(), rootfs, { recursive: true, verbatimSymlinks: true });
  const host = probe(rootfs, environment);
  const program = (mode: Extract<NetworkMode, { mode: "none" | "pasta" | "slirp4netns" }>) => {
    const { sbx, ...spec } = defaultSpec(rootfs);
    const process = { ...spec.process, terminal: false };
    const keys = { ...sbx, userns: { mode: "single" as const }, network: { from: mode } };
    return executable(compileSandbox({ ...spec, process, sbx: keys }, host).bytes, host);
  };
  const compiled = (["none", ...helpers] as const).map(
    (mode) => [mode, program({ mode })] as const,
  );
  const rootlesskit = findInPath("rootlesskit");
  const podman = findInPath("podman");
  const pasta = findInPath("pasta");
  const others: (readonly [string, Command])[] = [
    ...(pasta === null
      ? []
      : [["pasta by itself", [pasta, ...ownNamespace.split(" "), "/bin/true"]] as const]),
    ...(rootlesskit === null
      ? []
      : helpers
          .slice(1)
          .map((helper): readonly [string, Command] => [
            `rootlesskit, ${helper}`,
            [rootlesskit, `--net=${helper}`, "--disable-host-loopback", "/bin/true"],
          ])),
    ...(podman === null
      ? []
      : ["none", ...helpers].map((mode): readonly [string, Command] => [
          `podman, ${mode}`,
          [podman, "run", "--rm", `--network=${mode}`, "--rootfs", rootfs, "true"],
        ])),
  ].filter(([, [file, ...words]]) => spawnSync(file, words, { env: environment }).status === 0);
  const commands: (readonly [string, Command])[] = [
    ...compiled.map(([mode, path]): readonly [string, Command] => [
      `compiled, ${mode}`,
      [path, "true"],
    ]),
    ...others,
  ];
  const schedule = roundRobin(
    commands.map(() => 1),
    rounds,
  );
  const samples = time(
    commands.map(([, command]) => command),
    schedule,
    host,
  );
  for (const [, path] of compiled) rmSync(path);
  const milliseconds = (values: readonly number[], at: number) =>
    (quantile(values, at) / 1e6).toFixed(1);
  return table([
    ["launch, ms", "p10", "median"],
    ...commands.map(([name], index) => {
      const values = samples[index] ?? [];
      return [name, milliseconds(values, 0.1), milliseconds(values, 0.5)];
    }),
  ]);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
  const rounds = Number(values.rounds);
  if (findInPath("iperf3") === null)
    fail("measure", "iperf3 is not installed", "apt install iperf3");
  const world = await makeWorld();
  try {
    process.stdout.write(await throughput(world, rounds));
  } finally {
    await world.end();
  }
  process.stdout.write(`\n${launches(rounds * 6)}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
