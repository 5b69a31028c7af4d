/** What the launch times are of: sandboxes compiled here, and their peers on this machine. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileSandbox } from "../launch/compile.js";
import { probe } from "../launch/facts/probe.js";
import { defaultSpec } from "../spec/default.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import { findInPath } from "../test/support/skip.js";
import { environment, executable } from "./environment.js";
import { alwaysMounted, asBubblewrap, bare, bubblewrapFlags } from "./isolation.js";
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
