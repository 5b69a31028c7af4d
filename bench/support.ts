/** What the bench measures: sandboxes compiled here, and their peers on this machine. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compileSandbox } from "../launch/compile.js";
import { isSystemError } from "../launch/in-root.js";
import { probe } from "../launch/probe.js";
import { keep } from "../launch/store.js";
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

/**
 * The same for all. What npm adds, and NODE_OPTIONS and NODE_EXTRA_CA_CERTS, which slow every Node
 * down that starts, are not in it.
 */
export const environment: NodeJS.ProcessEnv = Object.fromEntries(
  ["PATH", "HOME", "USER", "TERM", "LANG", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);

/**
 * As bubblewrap isolates: no capability, no filter of system calls, no files of its own in /etc, and of
 * the mounts only what `--proc` and `--dev` make.
 */
function bare(rootfs: string): Spec {
  const spec = defaultSpec(rootfs);
  const { etcFiles: _, ...sbx } = spec.sbx;
  const ofBubblewrap = ["/proc", "/dev", "/dev/pts"];
  return {
    ...spec,
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
  if (findInPath(program) === null) {
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
  return [...isolation, ...root, ...session, ...variables, "--"];
}

/** All of them, on a rootfs that has a static /bin/busybox. */
export function contenders(rootfs: string): Contender[] {
  const host = probe(rootfs, environment);
  const connected = defaultSpec(rootfs);
  const network = { from: { mode: "none" as const } };
  const spec: Spec = { ...connected, sbx: { ...connected.sbx, network } };
  const single: Spec = { ...spec, sbx: { ...spec.sbx, userns: { mode: "single" } } };
  const bwrap = findInPath("bwrap") ?? "bwrap";
  const unshare = findInPath("unshare") ?? "unshare";
  const sbx = join(import.meta.dirname, "../cmd/sbx");
  return [
    compiled("compiled, isolated as bubblewrap", bare(rootfs), host),
    compiled("compiled, defaults, --network=none", single, host),
    fullyMapped("compiled, the same, all ids", spec, host),
    peer(bubblewrap, "bwrap", (payload) => [bwrap, ...bubblewrapFlags(rootfs), ...payload]),
    // Without a rootfs, and only these namespaces: what a shell script would do.
    peer("unshare --map-auto", "unshare", ([command = "", ...words]) => [
      unshare,
      ..."--map-auto -r --fork --pid --mount-proc --".split(" "),
      join(rootfs, command),
      ...words,
    ]),
    {
      kind: "present",
      name: "node -e 0",
      run: () => [process.execPath, "-e", "0"],
      stays: false,
      program: null,
    },
    peer("cold sbx run", "node", (payload) => [
      sbx,
      ..."run --network=none --userns=single --no-cache".split(" "),
      rootfs,
      ...payload,
    ]),
    // The warm-up has it compiled.
    peer("warm sbx run", "node", (payload) => [
      sbx,
      ..."run --network=none --userns=single".split(" "),
      rootfs,
      ...payload,
    ]),
  ];
}

/** What stays beside a payload that runs. */
export interface Memory {
  readonly name: string;
  /** In KB; null where it may not be read. */
  readonly monitor: number | null;
  readonly init: number | null;
}

/** Starts a payload that waits, and looks. */
export async function memoryOf({ name, run }: Present): Promise<Memory> {
  const [path, ...words] = run(["/bin/sh", "-c", "echo; read -r _"]);
  const child = spawn(path, words, { env: environment, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  await Promise.race([once(child.stdout, "data"), ended]);
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null)
    fail(name, "it ended before its payload ran");
  const [init] = childrenOf(pid);
  const memory = { name, monitor: pssKilobytes(pid), init: init ? pssKilobytes(init) : null };
  child.stdin.end("\n");
  await ended;
  return memory;
}

/** The pids of a process's children: proc_pid_tid_children(5); needs CONFIG_PROC_CHILDREN. */
function childrenOf(pid: number): number[] {
  return (read(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean).map(Number);
}

/**
 * Resident memory, each page divided by the number of processes that share it, in KB: `Pss` of
 * /proc/PID/smaps_rollup (Linux 4.14). Null where that may not be read, as of a process that is not
 * dumpable.
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
