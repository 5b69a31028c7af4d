/** The processes of a running sandbox. */
import * as fs from "node:fs";
import { type Rlimit, rlimitNames } from "../../spec/spec.js";
import { isSystemError, unlessRefused } from "../facts/system-error.js";
import type { Sandbox } from "./sandbox.js";

/**
 * Their pids, as the caller sees them, the init first; none where it has ended. All are below the init, whose child
 * becomes who has lost its parent, see pid_namespaces(7); but for the commands of `sbx exec`, whose parent is outside:
 * these are known by their mounts, as pids may be shared.
 */
export function processesOf({ monitor, init, namespaces }: Sandbox): number[] {
  const parents = readParents();
  // The pid is the init's as long as it is the monitor's child.
  if (parents.get(init) !== monitor) return [];
  const children = new Map<number, number[]>();
  for (const [pid, parent] of parents) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  const own = namespaceAt(`/proc/${monitor}/fd/${namespaces.mount}`);
  const entered = [...parents.keys()].filter(
    (pid) => own !== null && namespaceAt(`/proc/${pid}/ns/mnt`) === own,
  );
  return [...new Set([init, ...entered].flatMap(below))];
}

/** As `mnt:[4026531832]`; null where it has ended, or is another user's. */
function namespaceAt(path: string): string | null {
  return unlessRefused(() => fs.readlinkSync(path));
}

/** The child that a process has had longest; null where it has none. */
export function firstChildOf(pid: number): number | null {
  const children = [...readParents()].flatMap(([child, parent]) => (parent === pid ? [child] : []));
  const ticks = (child: number) => Number(statOf(child)?.startTicks);
  return children.sort((a, b) => ticks(a) - ticks(b) || a - b)[0] ?? null;
}

/** The parent of each process, see proc_pid_stat(5). */
function readParents(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const name of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent !== null) parents.set(Number(name), parent);
  }
  return parents;
}

/** Null where it has ended. */
export const parentOf = (pid: number) => statOf(pid)?.parent ?? null;

/** Of proc_pid_stat(5). */
export interface Stat {
  /** `T` is stopped. */
  readonly state: string;
  readonly parent: number;
  /** When it started: since the boot. */
  readonly startTicks: string;
}

/** Null where it has ended. */
export function statOf(pid: number): Stat | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name, in parentheses, may be anything; the last one ends it. The state follows, the third field.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // A zombie has ended, but for its parent.
  const [state = "", parent] = fields;
  if (state === "Z" || state === "X") return null;
  return { state, parent: Number(parent), startTicks: fields[22 - 3] ?? "" };
}

/** The resource limits of a process, as far as the caller may set such; none where it has ended. */
export function rlimitsOf(pid: number): Rlimit[] {
  const [own, its] = [readLimits("self"), readLimits(pid)];
  return its.map(({ type, soft, hard }, index) => {
    const most = own[index]?.hard ?? hard;
    return { type, soft: smaller(soft, most), hard: smaller(hard, most) };
  });
}

/** Of proc_pid_limits(5), whose lines are in the order of the numbers: fs/proc/base.c. */
function readLimits(pid: number | "self"): Rlimit[] {
  const lines = (readOrNull(`/proc/${pid}/limits`) ?? "").matchAll(/^Max .{22}(\w+) +(\w+) /gm);
  const value = (word = "") => (word === "unlimited" ? word : Number(word));
  return [...lines].flatMap(([, soft, hard], index) => {
    const type = rlimitNames[index];
    return type === undefined ? [] : { type, soft: value(soft), hard: value(hard) };
  });
}

type Limit = Rlimit["soft"];
const number = (limit: Limit) => (limit === "unlimited" ? Number.POSITIVE_INFINITY : limit);
const smaller = (a: Limit, b: Limit) => (number(a) < number(b) ? a : b);

function readOrNull(path: string): string | null {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    if (isSystemError(error) && ["ENOENT", "ESRCH"].includes(`${error.code}`)) return null;
    throw error;
  }
}
