/** What stays in memory beside a payload that runs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { unlessRefused } from "../launch/facts/system-error.js";
import { lower } from "../launch/lower/lower.js";
import { compile } from "../launch/machine/link.js";
import { plan } from "../launch/plan.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Present } from "./contenders.js";
import { environment, executable } from "./environment.js";

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
  return unlessRefused(() => readFileSync(path, "utf8"));
}
