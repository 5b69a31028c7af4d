/** What the bench measures: sandboxes compiled here, and their peers on this machine. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keep } from "../launch/cache/store.js";
import { compileSandbox } from "../launch/compile.js";
import { isSystemError } from "../launch/facts/in-root.js";
import { probe } from "../launch/facts/probe.js";
import { lower } from "../launch/lower/lower.js";
import { compile } from "../launch/machine/link.js";
import { plan } from "../launch/plan.js";
import { defaultMounts, defaultNamespaces, defaultPath, defaultSpec } from "../spec/default.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import { findInPath } from "../test/support/skip.js";
import type { Command } from "./stopwatch.js";

/** A command that runs `payload` in its way, or why there is none. */
export type Contender = { readonly name: string } & (
  | {
      readonly kind: "present";
      readonly run: (payload: readonly string[]) => Command;
      /** A monitor and an init of it stay beside the payload, and nothing else. */
      readonly stays: boolean;
      /** A file that `executable` made for it. */
      readonly program: string | null;
    }
  | { readonly kind: "missing"; readonly why: string }
);
/** One that is there. */
export type Present = Extract<Contender, { kind: "present" }>;

/** The contender that the others are compared with. */
export const bubblewrap = "bubblewrap";
/** The same with what the command line of sbx always mounts: flags that follow `bubblewrapFlags`. */
const alwaysMounted = "--ro-bind /sys /sys --tmpfs /dev/shm --mqueue /dev/mqueue".split(" ");

/**
 * The same for all. What npm adds, and NODE_OPTIONS and NODE_EXTRA_CA_CERTS, which slow every Node
 * down that starts, are not in it.
 */
export const environment: NodeJS.ProcessEnv = Object.fromEntries(
  ["PATH", "HOME", "USER", "TERM", "LANG", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);

/** The others, by what they are called in the table. */
export const names = {
  bare: "compiled, isolated as bubblewrap",
  filtered: "the same, with the default filter",
  bareAllIds: "the first, all ids",
  allIds: "compiled, defaults, all ids",
  byHand: "the first, written in C by hand",
  namespaces: "seven namespaces alone, in C",
  unshare: "unshare --map-auto",
  runc: "runc, rootless",
  crun: "crun, rootless",
  node: "node -e 0",
  bubblewrapMounts: "bubblewrap, mounts of sbx run",
  warm: "sbx run, isolated as bubblewrap",
  warmLauncher: "the same, by cmd/sbx",
  warmDefaults: "sbx run, defaults",
  cold: "sbx run --no-cache",
} as const;

/**
 * As bubblewrap isolates: no capability, no filter of system calls, no terminal, no files of its own in
 * /etc, and of the mounts only what `--proc` and `--dev` make.
 */
export function bare(rootfs: string): Spec {
  const spec = defaultSpec(rootfs);
  const { etcFiles: _, ...sbx } = spec.sbx;
  const ofBubblewrap = ["/proc", "/dev", "/dev/pts"];
  return {
    ...spec,
    process: { ...spec.process, terminal: false },
    mounts: defaultMounts(defaultNamespaces).filter((m) => ofBubblewrap.includes(m.destination)),
    linux: { namespaces: spec.linux.namespaces },
    sbx: {
      ...sbx,
      userns: { mode: "single" },
      network: { from: { mode: "none" } },
      writes: "in-place",
      capDrop: ["ALL"],
      seccomp: "unconfined",
    },
  };
}

/** Makes a file of the program, where sbx keeps its own; the caller removes it. */
export function executable(bytes: Uint8Array, { user }: Host): string {
  const { home, uid } = user;
  const kept = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
  if (kept.kind === "file") return kept.path;
  return fail(
    "keep a program",
    kept.refusals.join("; "),
    "Set XDG_CACHE_HOME to a directory where programs may be executed",
  );
}

function compiled(name: string, spec: Spec, host: Host): Present {
  const program = executable(compileSandbox(spec, host).bytes, host);
  const run: Present["run"] = (payload) => [program, ...payload];
  const refusal = tryOut(run);
  if (refusal !== null) {
    rmSync(program);
    fail(name, refusal, "`npm test` looks closer");
  }
  return { kind: "present", name, run, stays: true, program };
}

/** Whether the payload really runs: exit code 0 alone could be had for less. Null where it does. */
function tryOut(run: Present["run"]): string | null {
  const [path, ...words] = run(["/bin/echo", "ran"]);
  const tried = spawnSync(path, words, { env: environment, encoding: "utf8", timeout: 10_000 });
  if (tried.status === 0 && tried.stdout === "ran\n") return null;
  const said = tried.error?.message ?? tried.stderr.trim().split("\n")[0];
  return `the payload did not run: ${said || `it ended with ${tried.signal ?? tried.status}`}`;
}

/** sbx's own sandbox with subordinate ids; without any it would be the single-id one once more. */
function fullyMapped(name: string, spec: Spec, host: Host): Contender {
  const { steps } = compileSandbox(spec, host).plan;
  const mapped = steps.some(({ action }) => action.kind === "mapIds" && action.helpers !== null);
  if (mapped) return compiled(name, spec, host);
  return { kind: "missing", name, why: "no subordinate ids, or no newuidmap: see `sbx check`" };
}

/** A program that may not be installed, or too old for its arguments: tried once. */
function peer(name: string, program: string, run: Present["run"]): Contender {
  if (!program.startsWith("/") && findInPath(program) === null) {
    return { kind: "missing", name, why: `${program} is not installed` };
  }
  const refusal = tryOut(run);
  if (refusal !== null) return { kind: "missing", name, why: refusal };
  return { kind: "present", name, run, stays: name === bubblewrap, program: null };
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
  return [...isolation, ...root, ...session, ...variables];
}

/** What makes `sbx run` isolate as `bare` does, but for its mounts: `alwaysMounted`. */
const asBubblewrap =
  "--in-place --cap-drop=ALL --seccomp=unconfined --security-opt=unmask=ALL --no-hosts --no-tty".split(
    " ",
  );

/** A static program of C, made in the directory of the file of that name here. */
function inC(
  name: string,
  directory: string,
  file: "sandbox" | "namespaces",
  more: readonly string[],
  argumentsOf: (payload: readonly string[]) => readonly string[],
): Contender {
  const program = join(directory, file);
  const source = join(import.meta.dirname, `${file}.c`);
  const words = ["-O2", "-static", ...more, "-o", program, source];
  const { status, stderr } = spawnSync("gcc", words, { encoding: "utf8" });
  if (status !== 0) return { kind: "missing", name, why: `gcc: ${stderr ?? "not installed"}` };
  return peer(name, program, (payload) => [program, ...argumentsOf(payload)]);
}

/** What the first contender does, written by hand. */
function byHand(rootfs: string, directory: string, records: string | null): Contender {
  const name = names.byHand;
  if (records === null) return { kind: "missing", name, why: "no directory for records" };
  const place = [rootfs, `${records}/sandboxes`];
  return inC(name, directory, "sandbox", [], (payload) => [...place, ...payload]);
}

/**
 * An OCI runtime on a bundle in the directory, with what `runtime spec --rootless` asks for. The command is
 * part of the bundle, and so the same at each start.
 */
function runtime(name: string, program: string, rootfs: string, directory: string): Contender {
  const path = findInPath(program);
  if (path === null) return { kind: "missing", name, why: `${program} is not installed` };
  const bundle = join(directory, program);
  mkdirSync(bundle);
  spawnSync(path, ["spec", "--rootless"], { cwd: bundle });
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  const run: Present["run"] = (payload) => {
    config.root = { path: rootfs, readonly: false };
    config.process = { ...config.process, terminal: false, args: payload };
    writeFileSync(file, JSON.stringify(config));
    return [path, "--root", join(bundle, "state"), "run", "--bundle", bundle, `bench-${program}`];
  };
  const refusal = tryOut(run);
  if (refusal !== null) return { kind: "missing", name, why: refusal };
  return { kind: "present", name, run, stays: false, program: null };
}

/** All of them, on a rootfs that has a static /bin/busybox; files of theirs are made in the directory. */
export function contenders(rootfs: string, directory: string): Contender[] {
  const host = probe(rootfs, environment);
  const connected = defaultSpec(rootfs);
  const network = { from: { mode: "none" as const } };
  const spec: Spec = { ...connected, sbx: { ...connected.sbx, network } };
  const isolated = bare(rootfs);
  const allIds: Spec = { ...isolated, sbx: { ...isolated.sbx, userns: { mode: "auto" } } };
  const filtered: Spec = { ...isolated, sbx: { ...isolated.sbx, seccomp: "default" } };
  const bwrap = findInPath("bwrap") ?? "bwrap";
  const unshare = findInPath("unshare") ?? "unshare";
  const launcher = join(import.meta.dirname, "../cmd/sbx");
  // What README links as `sbx`.
  const sbx = join(import.meta.dirname, `../dist/sbx-find-${host.architecture}`);
  return [
    compiled(names.bare, isolated, host),
    compiled(names.filtered, filtered, host),
    fullyMapped(names.bareAllIds, allIds, host),
    fullyMapped(names.allIds, spec, host),
    ...[
      { name: bubblewrap, more: [] },
      { name: names.bubblewrapMounts, more: alwaysMounted },
    ].map(({ name, more }) =>
      peer(name, "bwrap", (payload) => {
        return [bwrap, ...bubblewrapFlags(rootfs), ...more, "--", ...payload];
      }),
    ),
    byHand(rootfs, directory, host.run.path),
    inC(
      names.namespaces,
      directory,
      "namespaces",
      ["-nostdlib", "-fno-stack-protector"],
      (payload) => {
        const [command = "", ...words] = payload;
        return [join(rootfs, command), ...words];
      },
    ),
    // Without a rootfs, and only these namespaces: what a shell script would do.
    peer(names.unshare, "unshare", ([command = "", ...words]) => [
      unshare,
      ..."--map-auto -r --fork --pid --mount-proc --".split(" "),
      join(rootfs, command),
      ...words,
    ]),
    runtime(names.runc, "runc", rootfs, directory),
    runtime(names.crun, "crun", rootfs, directory),
    {
      kind: "present",
      name: names.node,
      run: () => [process.execPath, "-e", "0"],
      stays: false,
      program: null,
    },
    // One id, as bubblewrap maps: newuidmap is another contender's.
    ...[
      { name: names.warm, path: sbx, more: asBubblewrap },
      { name: names.warmLauncher, path: launcher, more: asBubblewrap },
      { name: names.warmDefaults, path: sbx, more: [] },
    ].map(({ name, path, more }) =>
      peer(name, "node", (payload) => {
        return [path, "run", "--network=none", "--userns=single", ...more, rootfs, ...payload];
      }),
    ),
    peer(names.cold, "node", (payload) => {
      return [sbx, "run", "--no-cache", "--network=none", "--userns=single", rootfs, ...payload];
    }),
  ];
}

/** What stays beside a payload that runs: KB, PSS; null where it may not be read. */
export interface Memory {
  readonly name: string;
  readonly monitor: number | null;
  readonly init: number | null;
}

/** Starts a payload that waits, and looks, a while later. */
export async function memoryOf({ name, run }: Present): Promise<Memory> {
  const held = await hold(run);
  await sleep(settleMs);
  const memory = { name, ...pssOf(held.pid) };
  await held.end();
  return memory;
}

/** After so long nothing changes any more: memory is given back after a tenth of a second. */
export const settleMs = 1000;

/** A sandbox whose payload waits until it is told to end. */
export interface Held {
  readonly pid: number;
  readonly end: () => Promise<void>;
}

/** Gives it as soon as its payload runs. */
export async function hold(run: Present["run"]): Promise<Held> {
  const [path, ...words] = run(["/bin/sh", "-c", "echo; read -r _"]);
  const child = spawn(path, words, { env: environment, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  await Promise.race([once(child.stdout, "data"), ended]);
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null)
    fail(path, "it ended before its payload ran");
  const end = async () => {
    child.stdin.end("\n");
    await ended;
  };
  return { pid, end };
}

/** Of a process and its first child, in KB. */
export function pssOf(pid: number): Pick<Memory, "monitor" | "init"> {
  const [init] = childrenOf(pid);
  return { monitor: pssKilobytes(pid), init: init ? pssKilobytes(init) : null };
}

/**
 * The program with an init that others may look into: its memory is the same, and can be read. The caller
 * removes the file.
 */
export function readable(spec: Spec, host: Host): Present["run"] {
  const planned = plan(spec, host);
  const steps = planned.steps.filter(({ action }) => action.kind !== "nonDumpable");
  const program = executable(compile(lower({ ...planned, steps }), host.architecture), host);
  return (payload) => [program, ...payload];
}

/** The pids of a process's children: proc_pid_tid_children(5); needs CONFIG_PROC_CHILDREN. */
function childrenOf(pid: number): number[] {
  return (read(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean).map(Number);
}

/**
 * Resident memory, each page divided by the number of processes that share it: `Pss` of
 * /proc/PID/smaps_rollup (Linux 4.14). Null where that may not be read.
 */
function pssKilobytes(pid: number): number | null {
  const size = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return size === undefined ? null : Number(size);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isSystemError(error)) return null;
    throw error;
  }
}
