/**
 * The library: `import { Sandbox } from "sbx"`. A sandbox is compiled once, by the options of the command
 * line, and started any number of times from this process without a fork.
 */
import { execFile } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { compileSandbox } from "../launch/compile.js";
import type { DiffEntry } from "../launch/diff.js";
import { launcher, removeTrees } from "../launch/mapped.js";
import { cacheHome } from "../launch/probe.js";
import { type SandboxCommand, type Started, statusFd } from "../launch/sandbox-process.js";
import { keep } from "../launch/store.js";
import { fail, visible } from "../spec/error.js";
import { flagsOf } from "./library-flags.js";
import { type CommandOptions, startOf } from "./library-start.js";
import type { Flags } from "./options.js";
import { createVolumes, readSpec, requestOf } from "./run.js";
import type { SandboxLimits, SandboxOptions } from "./sandbox-options.js";

export type { Change, DiffEntry, EntryType } from "../launch/diff.js";
export type { Exit, ExitReason, SandboxCommand, Stdio } from "../launch/sandbox-process.js";
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

/** A program, and how it is found for as long as `close` is not called. */
interface Kept {
  readonly path: string;
  readonly close: () => void;
}

/** Of one sandbox, at hand. Each may be an fd. */
const mostPrograms = 64;

/** Rejects with an `SbxError` for options that are wrong by themselves; nothing is looked at yet. */
async function create(options: SandboxOptions): Promise<Sandbox> {
  const { rootfs, keepChanges = false, ...rest } = options;
  const given = flagsOf(rest);
  if (typeof rootfs !== "string" || rootfs === "") fail("the option rootfs", "must be a directory");
  if (keepChanges && (given.upper ?? given["in-place"] ?? given["read-only"]) !== undefined) {
    fail("the option keepChanges", "contradicts upper, inPlace and readOnly", "Leave it out");
  }
  const scratch = keepChanges ? makeScratch() : null;
  const flags: Flags = scratch === null ? given : { ...given, upper: join(scratch, "upper") };
  const programs = new Map<string, Promise<Kept>>();
  const running = new Set<SandboxCommand>();
  let isDisposed = false;

  const requireUse = (signal?: AbortSignal) => {
    if (isDisposed) fail("start a command", "the sandbox is disposed of", "Create another one");
    signal?.throwIfAborted();
  };

  /** One program serves all commands that differ in their words and values of variables only. */
  const programFor = (options: SpawnOptions, isGone = false): Promise<Kept> => {
    requireUse();
    const { stdin, stdout, stderr, signal, timeoutMs, cwd, env, ...limits } = options;
    const own: Flags = { ...flagsOf(limits), ...(cwd === undefined ? {} : { workdir: cwd }) };
    const names = Object.keys(env ?? {}).sort();
    const all = { ...flags, ...own, env: [...(flags.env ?? []), ...names] };
    const key = JSON.stringify([own, names]);
    const known = isGone ? undefined : programs.get(key);
    const made = known ?? makeProgram(all, rootfs);
    // Those that were used last are the last ones.
    programs.delete(key);
    programs.set(key, made);
    // What was missing may be there the next time.
    made.catch(() => forget(key, made));
    for (const [oldest, program] of programs) {
      if (programs.size > mostPrograms) forget(oldest, program);
    }
    return made;
  };

  const forget = (key: string, made: Promise<Kept>) => {
    if (programs.get(key) === made) programs.delete(key);
    // Who waits for it has started it by then.
    made.then(
      ({ close }) => close(),
      () => {},
    );
  };

  const track = (started: Started): Started => {
    running.add(started.child);
    started.child.exit.then(() => running.delete(started.child));
    return started;
  };

  const dispose = async () => {
    isDisposed = true;
    for (const child of running) child.kill("SIGKILL");
    await Promise.all([...running].map(({ exit }) => exit));
    for (const [key, made] of programs) forget(key, made);
    if (scratch !== null) removeTrees([scratch]);
  };

  return {
    async spawn(command, args = [], options = {}) {
      const how = startOf(command, args, options);
      const { startProcess } = await import("../launch/sandbox-process.js");
      let { path } = await programFor(options);
      // `sbx cache prune` removes files.
      if (!existsSync(path)) ({ path } = await programFor(options, true));
      requireUse(options.signal);
      const { child, ready } = track(startProcess({ ...how, path }));
      const exec: SandboxProcess["exec"] = async (inner, words = [], own = {}) => {
        const settings = { ...own, env: { ...options.env, ...own.env } };
        const howInside = startOf(inner, words, settings);
        const { programIn } = await import("./library-exec.js");
        await ready;
        const fd = await programIn(child.pid, settings);
        try {
          requireUse(settings.signal);
          const entrance = { ...howInside, path: `/proc/self/fd/${fd}`, enters: true };
          return track(startProcess(entrance)).child;
        } finally {
          closeSync(fd);
        }
      };
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

/** A directory of its own: not in /tmp, which is another one inside where the rootfs is `/`. */
function makeScratch(): string {
  const cache = join(cacheHome(process.env, homedir()), "sbx");
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  return mkdtempSync(join(cache, "changes-"));
}

/** What the launcher would find for that command line, with the status fd that `startProcess` listens on. */
async function makeProgram(flags: Flags, rootfs: string): Promise<Kept> {
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
  if (kept.kind === "file") return { path: kept.path, close: () => {} };
  const { programInMemory } = await import("../launch/memfd.js");
  const fd = programInMemory(bytes);
  return { path: `/proc/self/fd/${fd}`, close: () => closeSync(fd) };
}

/** `sbx diff` has the caller's ids where files of others are in the way. */
async function readChanges(upper: string): Promise<DiffEntry[]> {
  if (!existsSync(upper)) return [];
  const { stdout } = await execute(launcher, ["diff", "--json", upper], {
    maxBuffer: Number.POSITIVE_INFINITY,
  });
  return (JSON.parse(stdout) as { entries: DiffEntry[] }).entries;
}

/** Sandboxes: `await Sandbox.create({ rootfs: "/" })`. */
export const Sandbox = { create };
