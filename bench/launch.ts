/**
 * Launch time of a sandbox that does nothing, against bubblewrap, unshare(1) and a bare Node:
 * `npm run bench [-- --json FILE] [--rounds N]`, as an unprivileged user. About a minute.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compileSandbox } from "../launch/compile.js";
import { compile } from "../launch/link.js";
import { probe } from "../launch/probe.js";
import { keep } from "../launch/store.js";
import { defaultMounts, defaultNamespaces, defaultPath, defaultSpec } from "../spec/default.js";
import { fail, SbxError } from "../spec/error.js";
import type { Spec } from "../spec/spec.js";
import { copyBusyboxRootfs } from "../test/support/rootfs.js";
import { findInPath } from "../test/support/skip.js";
import { type Command, stopwatch, stopwatchExit } from "./stopwatch.js";
import { childrenOf, pssKilobytes, quantile, roundRobin, table } from "./support.js";

/** What is measured: a command that runs `payload` in its way, or why there is none. */
type Contender = { readonly name: string } & (
  | { readonly kind: "present"; readonly run: (payload: readonly string[]) => Command }
  | { readonly kind: "missing"; readonly why: string }
);
type Present = Extract<Contender, { kind: "present" }>;

interface Result {
  readonly name: string;
  readonly command: Command;
  readonly nanoseconds: readonly number[];
}

const bubblewrap = "bubblewrap";
const leastRounds = 200;
const warmUpRounds = 5;
/** What the rounds may take; what is left of a minute is for warming up and the rest. */
const budgetNanoseconds = 48e9;
/** Contenders above this are run in some rounds only where the budget asks for it. */
const slowNanoseconds = 25e6;

/**
 * The same for all. What npm adds, and NODE_OPTIONS and NODE_EXTRA_CA_CERTS, which slow every Node
 * down that starts, are not in it.
 */
const environment: NodeJS.ProcessEnv = Object.fromEntries(
  ["PATH", "HOME", "USER", "TERM", "LANG", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);

/** As bubblewrap isolates: no capability, and of the mounts only what `--proc` and `--dev` make. */
function bare(rootfs: string): Spec {
  const spec = defaultSpec(rootfs);
  const ofBubblewrap = ["/proc", "/dev", "/dev/pts"];
  return {
    ...spec,
    mounts: defaultMounts(defaultNamespaces).filter((m) => ofBubblewrap.includes(m.destination)),
    linux: { namespaces: spec.linux.namespaces },
    sbx: { ...spec.sbx, userns: { mode: "single" }, writes: "in-place", capDrop: ["ALL"] },
  };
}

/** Makes a file of the program, where sbx keeps its own. */
function executable(bytes: Uint8Array): string {
  const { home, uid } = probe("/", environment).user;
  const kept = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
  if (kept.kind === "file") return kept.path;
  return fail("keep a program", kept.refusals.join("; "), "Set XDG_CACHE_HOME to a directory");
}

function compiled(name: string, spec: Spec): Present {
  const path = executable(compileSandbox(spec, probe(spec.root.path, environment)).bytes);
  return { kind: "present", name, run: (payload) => [path, ...payload] };
}

/** sbx's own sandbox with subordinate ids; without any it would be the single-id one once more. */
function fullyMapped(name: string, spec: Spec): Contender {
  const { plan } = compileSandbox(spec, probe(spec.root.path, environment));
  const mapped = plan.steps.some(({ action }) => action.kind === "mapIds" && action.helpers);
  if (mapped) return compiled(name, spec);
  return { kind: "missing", name, why: "no subordinate ids, or no newuidmap: see `sbx check`" };
}

/** A program that may not be installed, or too old for its arguments: tried once. */
function peer(name: string, program: string, run: Present["run"]): Contender {
  if (findInPath(program) === null) {
    return { kind: "missing", name, why: `${program} is not installed` };
  }
  const [path, ...words] = run(["/bin/true"]);
  const tried = spawnSync(path, words, { env: environment, encoding: "utf8", timeout: 10_000 });
  if (tried.status === 0) return { kind: "present", name, run };
  const said = tried.error?.message ?? tried.stderr.trim().split("\n")[0];
  return { kind: "missing", name, why: `it does not work here: ${said}` };
}

/**
 * The flags that make bubblewrap do what `bare` asks for. Left over: bubblewrap makes the root and
 * the devices nosuid (and the root nodev), and gives its /dev no size limit; sbx closes the caller's
 * fds, has the init not dumpable, kills the sandbox however the monitor dies and not only after its
 * own set-up, tells a failing set-up from a failing payload, and returns only when every process of
 * the sandbox is gone, while bubblewrap returns as soon as the command has ended.
 */
function bubblewrapFlags(rootfs: string): string[] {
  const isolation = ["--unshare-all", "--uid", "0", "--gid", "0", "--cap-drop", "ALL"];
  const root = ["--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "--chdir", "/"];
  const set = { PATH: defaultPath, HOME: "/root", HOSTNAME: "sbx" };
  const variables = Object.entries(set).flatMap(([name, value]) => ["--setenv", name, value]);
  const session = ["--die-with-parent", "--new-session", "--hostname", "sbx", "--clearenv"];
  return [...isolation, ...root, ...session, ...variables, "--"];
}

function contenders(rootfs: string): Contender[] {
  const single = defaultSpec(rootfs);
  const bwrap = findInPath("bwrap") ?? "bwrap";
  const unshare = findInPath("unshare") ?? "unshare";
  const sbx = join(import.meta.dirname, "../cmd/sbx");
  return [
    compiled("compiled, isolated as bubblewrap", bare(rootfs)),
    compiled("compiled, sbx's defaults", {
      ...single,
      sbx: { ...single.sbx, userns: { mode: "single" } },
    }),
    fullyMapped("compiled, defaults, all ids", single),
    peer(bubblewrap, "bwrap", (payload) => [bwrap, ...bubblewrapFlags(rootfs), ...payload]),
    // Without a rootfs, and only these namespaces: what a shell script would do.
    peer("unshare --map-auto", "unshare", ([command = "", ...words]) => [
      unshare,
      ..."--map-auto -r --fork --pid --mount-proc --".split(" "),
      join(rootfs, command),
      ...words,
    ]),
    { kind: "present", name: "node -e 0", run: () => [process.execPath, "-e", "0"] },
    peer("cold sbx run", "node", (payload) => [sbx, "run", rootfs, ...payload]),
  ];
}

/** Runs the commands by a stopwatch; nanoseconds by command, in the order of the runs. */
function time(commands: readonly Command[], schedule: readonly number[]): number[][] {
  const program = executable(compile(stopwatch(commands, schedule), probe("/", environment).architecture));
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

/** How many rounds apart each command is run, so that all of them together keep to the budget. */
function periods(medians: readonly number[], rounds: number): number[] {
  for (let period = 1; ; period++) {
    const each = medians.map((median) => (median > slowNanoseconds ? period : 1));
    const cost = medians.reduce((sum, median, index) => sum + median / (each[index] ?? 1), 0);
    if (cost * rounds <= budgetNanoseconds || period >= rounds / 20) return each;
  }
}

function measure(present: readonly Present[], rounds: number): Result[] {
  const commands = present.map(({ run }) => run(["/bin/true"]));
  const once = commands.map(() => 1);
  const warm = time(commands, roundRobin(once, warmUpRounds)).map((ns) => quantile(ns, 0.5));
  const samples = time(commands, roundRobin(periods(warm, rounds), rounds));
  return present.flatMap(({ name }, index) => {
    const [command, nanoseconds] = [commands[index], samples[index]];
    return command && nanoseconds ? [{ name, command, nanoseconds }] : [];
  });
}

interface Memory {
  readonly name: string;
  /** In KB; null where it may not be read. */
  readonly monitor: number | null;
  readonly init: number | null;
}

/** The memory of what stays beside a payload that runs. */
async function memoryOf({ name, run }: Present): Promise<Memory> {
  const [path, ...words] = run(["/bin/sh", "-c", "echo; read -r _"]);
  const child = spawn(path, words, { env: environment, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  await Promise.race([once(child.stdout, "data"), ended]);
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null) fail(name, "it ended before its payload ran");
  const [init] = childrenOf(pid);
  const memory = { name, monitor: pssKilobytes(pid), init: init ? pssKilobytes(init) : null };
  child.stdin.end("\n");
  await ended;
  return memory;
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
    return [name, ...cells.map((c) => c.value), ...cells.map((c) => c.ratio), `${nanoseconds.length}`];
  };
  const heading = ["launch to end, ms", "median", "p10", "median/bwrap", "p10/bwrap", "runs"];
  const missing = all.flatMap((c) => (c.kind === "missing" ? [`missing: ${c.name}: ${c.why}\n`] : []));
  const pss = memory.map((m) => [m.name, kilobytes(m.monitor), kilobytes(m.init)]);
  const text = [
    table([heading, ...results.map(row)]),
    ...missing,
    "\n",
    table([["resident memory, PSS", "monitor", "init"], ...pss]),
  ];
  process.stdout.write(text.join(""));
}
