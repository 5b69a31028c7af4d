/**
 * The library: `import { Sandbox } from "sbx"`. A sandbox is compiled once, by the options of the command
 * line, and started any number of times from this process without a fork.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { keep } from "../launch/cache/store.js";
import { compileSandbox } from "../launch/compile.js";
import { launcher } from "../launch/launcher.js";
import type { SandboxCommand, Start, Started } from "../launch/process/sandbox-process.js";
import type { DiffEntry } from "../launch/store/diff.js";
import { fail, visible } from "../spec/error.js";
import { openChanges } from "./library-changes.js";
import { execIn } from "./library-exec.js";
import { flagsOf } from "./library-flags.js";
import { type Program, programsAtHand } from "./library-programs.js";
import {
  type CommandOptions,
  settingsOf,
  startOf,
  statusFd,
  type Variables,
  variablesOf,
} from "./library-start.js";
import type { Flags } from "./options/run.js";
import { readSpec, requestOf } from "./request.js";
import { createVolumes } from "./run.js";
import type { SandboxLimits, SandboxOptions } from "./sandbox-options.js";

export type { Exit, ExitReason, SandboxCommand, Stdio } from "../launch/process/sandbox-process.js";
export type { Change, DiffEntry, EntryType } from "../launch/store/diff.js";
export { SbxError } from "../spec/error.js";
export type { SandboxLimits, SandboxOptions } from "./sandbox-options.js";

/** What differs from one command in a sandbox to the next; limits take the place of the sandbox's own. */
export interface SpawnOptions extends CommandOptions, SandboxLimits {}

export interface ExecOptions extends CommandOptions {
  /** As `--user` of `sbx exec`. Default: that of the sandbox. */
  readonly user?: string;
}

/** A sandbox that runs, by its first command, with which it ends. */
export interface SandboxProcess extends SandboxCommand {
  /** Starts one more command inside, once the first has been executed. Rejects where it has ended. */
  exec(command: string, args?: readonly string[], options?: ExecOptions): Promise<SandboxCommand>;
}

/** A sandbox as a value: it runs when a command is started in it, each time from the beginning. */
export interface Sandbox extends AsyncDisposable {
  /** Starts a command. Rejects with an `SbxError` where the sandbox cannot be had on this machine. */
  spawn(command: string, args?: readonly string[], options?: SpawnOptions): Promise<SandboxProcess>;
  /** Makes the program for such commands now, so that the first `spawn` is as fast as all others. */
  compile(options?: SpawnOptions): Promise<void>;
  /** What commands have changed of the rootfs: with `upper` or `keepChanges` only. */
  diff(): Promise<DiffEntry[]>;
  /** Ends all that runs, waits for it, and removes what `keepChanges` kept. */
  dispose(): Promise<void>;
}

const execute = promisify(execFile);

interface Known extends Program {
  readonly variables: Variables;
}

/** Rejects with an `SbxError` for options that are wrong by themselves; nothing is looked at yet. */
async function create(options: SandboxOptions): Promise<Sandbox> {
  const { rootfs, keepChanges = false, ...rest } = options;
  const given = flagsOf(rest);
  if (typeof rootfs !== "string" || rootfs === "") fail("the option rootfs", "must be a directory");
  if (keepChanges && (given.upper ?? given["in-place"] ?? given["read-only"]) !== undefined) {
    fail("the option keepChanges", "contradicts upper, inPlace and readOnly", "Leave it out");
  }
  const changes = keepChanges ? await openChanges() : null;
  const flags: Flags = changes === null ? given : { ...given, upper: changes.upper };
  const programs = programsAtHand<Known>();
  const running = new Set<SandboxCommand>();
  let isDisposed = false;

  const requireUse = () => {
    if (isDisposed) fail("start a command", "the sandbox is disposed of", "Create another one");
  };

  /** One program serves all commands that differ in their words and values of variables only. */
  const programFor = ({ cwd, env, ...options }: SpawnOptions): Promise<Known> => {
    requireUse();
    const { stdin, stdout, stderr, signal, timeoutMs, ...limits } = options;
    const own: Flags = { ...flagsOf(limits), ...(cwd === undefined ? {} : { workdir: cwd }) };
    const names = Object.keys(env ?? {}).sort();
    return programs.find(JSON.stringify([own, names]), () =>
      makeProgram({ ...flags, ...own, env: [...(flags.env ?? []), ...names] }, rootfs),
    );
  };

  const begin = (start: Start, startProcess: (start: Start) => Started): Started => {
    // Both may have happened meanwhile.
    requireUse();
    start.signal?.throwIfAborted();
    const started = startProcess(start);
    running.add(started.child);
    started.child.exit.then(() => running.delete(started.child));
    return started;
  };

  const dispose = async () => {
    isDisposed = true;
    for (const child of running) child.kill("SIGKILL");
    await Promise.all([...running].map(({ exit }) => exit));
    programs.clear();
    changes?.remove();
  };

  return {
    async spawn(command, args = [], options = {}) {
      const how = startOf(command, args, options);
      const { startProcess } = await loadProcesses();
      const { path, variables } = await programFor(options);
      const environment = settingsOf(variables, options.env);
      const { child, ready } = begin({ ...how, environment, path }, startProcess);
      const exec = execIn(child, ready, options.env, (inner) => begin(inner, startProcess).child);
      return Object.assign(child, { exec });
    },
    async compile(options = {}) {
      await programFor(options);
    },
    async diff() {
      const { upper } = flags;
      if (upper === undefined) {
        fail("compare the sandbox", "its changes are thrown away", "Give it keepChanges or upper");
      }
      return readChanges(upper);
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

let processes: Promise<typeof import("../launch/process/sandbox-process.js")> | undefined;

/** import() of what is loaded takes its time, too. */
function loadProcesses() {
  processes ??= import("../launch/process/sandbox-process.js");
  return processes;
}

/** What the launcher would find for that command line, with the status fd that `startProcess` listens on. */
async function makeProgram(flags: Flags, rootfs: string): Promise<Known> {
  const parsed = {
    flags: { ...flags, "status-fd": `${statusFd}` },
    rootfs,
    command: [],
    commandIndex: 0,
  };
  const { spec } = await readSpec(parsed, { pipes: true }, "named");
  const { host } = await requestOf(spec);
  createVolumes(spec);
  const { bytes, plan } = compileSandbox(spec, host, null, { endsWithReader: true });
  for (const warning of plan.warnings) process.emitWarning(visible(warning), "SbxWarning");
  const { home, uid } = host.user;
  const kept = keep(bytes, { env: process.env, home, uid, nowMs: Date.now() });
  const variables = variablesOf(plan);
  if (kept.kind === "file") return { path: kept.path, variables, close: () => {} };
  const { programInMemory } = await import("../launch/native/memfd.js");
  const { closeFd } = await import("../launch/native/native.js");
  const fd = programInMemory(bytes);
  return { path: `/proc/self/fd/${fd}`, variables, close: () => closeFd(fd) };
}

/** `sbx diff` has the caller's ids where files of others are in the way. */
async function readChanges(upper: string): Promise<DiffEntry[]> {
  if (!existsSync(upper)) return [];
  const { stdout } = await execute(launcher(), ["diff", "--json", upper], {
    maxBuffer: Number.POSITIVE_INFINITY,
  });
  return (JSON.parse(stdout) as { entries: DiffEntry[] }).entries;
}

/** Sandboxes: `await Sandbox.create({ rootfs: "/" })`. */
export const Sandbox = { create };
