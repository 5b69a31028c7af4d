/** The control groups of running sandboxes: what they use, and what can be done to them as a whole. */
import * as fs from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readNumber, readUsage, type Usage } from "../../cgroup/usage.js";
import { fail } from "../../spec/error.js";
import { isSystemError } from "../facts/system-error.js";
import { parentOf } from "./processes.js";
import type { Sandbox } from "./sandbox.js";
import { isGroup } from "./sweep.js";

/** What a sandbox has used so far. */
export interface Sample extends Usage {
  /** Of a clock that only goes forward. */
  readonly timeMs: number;
  /** The lowest limit on it, which may be all of the machine's memory. */
  readonly memoryLimitBytes: number;
  readonly pidsLimit: number | null;
  /** All links but the loopback; null where the network is not the sandbox's own. */
  readonly receivedBytes: number | null;
  readonly sentBytes: number | null;
}

/** Null where the sandbox has no control group, or has just ended. */
export function sampleOf(sandbox: Sandbox): Sample | null {
  const { cgroup } = sandbox;
  if (cgroup === undefined) return null;
  const read = (file: string) => readOrNull(join(cgroup, file));
  const timeMs = performance.now();
  const usage = readUsage(read);
  if (usage.cpuUsec === null) return null;
  const links = readLinks(sandbox);
  return {
    ...usage,
    timeMs,
    memoryLimitBytes: Math.min(totalmem(), ...limitsAbove(cgroup, "memory.max")),
    pidsLimit: readNumber(read("pids.max")),
    receivedBytes: links?.received ?? null,
    sentBytes: links?.sent ?? null,
  };
}

/** The control group's directory; fails where there is none. */
export function requireGroup({ name, cgroup }: Sandbox, what: string): string {
  const at = `${what} ${name}`;
  if (cgroup === undefined) {
    const hint = "Start it with a limit, or with --cgroup-manager=auto";
    fail(at, "it has no control group", hint);
  }
  // What is written to its files must not get into any others.
  if (!fs.existsSync(cgroup)) fail(at, "it has ended");
  if (!isGroup(cgroup)) fail(at, `its record names ${cgroup}, which is no control group`);
  return cgroup;
}

/** Whether all that runs inside is stopped: `sbx pause`. */
export function isFrozen({ cgroup }: Sandbox): boolean {
  const events = cgroup === undefined ? null : readOrNull(join(cgroup, "cgroup.events"));
  return events !== null && /^frozen 1$/m.test(events);
}

/** Stops or continues all that runs inside, and waits until it is so. Fails where it is so already. */
export async function freeze(sandbox: Sandbox, frozen: boolean): Promise<void> {
  const what = frozen ? "pause" : "unpause";
  const group = requireGroup(sandbox, what);
  const [at, word] = [`${what} ${sandbox.name}`, frozen ? "1" : "0"];
  const events = () => readOrNull(join(group, "cgroup.events"));
  if (isPaused(sandbox) === frozen) {
    fail(at, frozen ? "it is paused already" : "it is not paused");
  }
  writeControl(group, "cgroup.freeze", word, at, "Linux 5.2 is the first to freeze");
  // A process in a call that nothing interrupts is stopped when that ends.
  const deadline = performance.now() + 10_000;
  for (let text = events(); !text?.includes(`frozen ${word}\n`); text = events()) {
    if (text === null) {
      // What goes on may end at once.
      if (!frozen) return;
      fail(at, "it has ended");
    }
    if (performance.now() > deadline) {
      fail(at, "not all of it has stopped within 10 s", "It will be, when its system calls end");
    }
    await sleep(5);
  }
}

/** Whether all that runs inside is stopped by `freeze`, or is to be. */
export function isPaused({ cgroup }: Sandbox): boolean {
  return cgroup !== undefined && readOrNull(join(cgroup, "cgroup.freeze"))?.trim() === "1";
}

/** Kills all that runs inside, at once, as nothing can escape from there. */
export function killAll(sandbox: Sandbox): void {
  const group = requireGroup(sandbox, "kill");
  const needed = "cgroup.kill is of Linux 5.14";
  writeControl(group, "cgroup.kill", "1", `kill ${sandbox.name}`, needed);
}

function writeControl(
  group: string,
  file: string,
  text: string,
  what: string,
  needed: string,
): void {
  // Not O_CREAT, for which the kernel says EACCES where the file is not there.
  const { O_WRONLY } = fs.constants;
  try {
    const fd = fs.openSync(join(group, file), O_WRONLY);
    try {
      fs.writeSync(fd, text);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const hasEnded = !fs.existsSync(group);
    fail(what, hasEnded ? "it has ended" : error.message, hasEnded ? undefined : needed);
  }
}

/** The number in that file of the group and of those above it. */
function limitsAbove(group: string, file: string): number[] {
  const limits: number[] = [];
  for (let at = group; at !== dirname(at); at = dirname(at)) {
    const limit = readNumber(readOrNull(join(at, file)));
    if (limit !== null) limits.push(limit);
  }
  return limits;
}

/** proc_pid_net(5): the bytes received are the first number, those sent the ninth. */
function readLinks({ monitor, init, spec }: Sandbox): { received: number; sent: number } | null {
  if (!spec.linux.namespaces.some(({ type }) => type === "network")) return null;
  const text = readOrNull(`/proc/${init}/net/dev`);
  // The pid is the init's as long as it is the monitor's child.
  if (text === null || parentOf(init) !== monitor) return null;
  const links = [...text.matchAll(/^ *([^:\n]+): *(.*)$/gm)].filter(([, name]) => name !== "lo");
  const counts = links.map(([, , numbers = ""]) => numbers.split(/\s+/).map(Number));
  const total = (index: number) => counts.reduce((sum, each) => sum + (each[index] ?? 0), 0);
  return { received: total(0), sent: total(8) };
}

function readOrNull(path: string): string | null {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    // ENODEV: the group went away while it was read. ESRCH: the process. EOPNOTSUPP: pressure is switched off.
    if (
      isSystemError(error) &&
      ["ENOENT", "ENODEV", "ESRCH", "EOPNOTSUPP"].includes(`${error.code}`)
    )
      return null;
    throw error;
  }
}
