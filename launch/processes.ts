/** The processes of a running sandbox. */
import * as fs from "node:fs";
import { isSystemError } from "./in-root.js";
import type { Sandbox } from "./records.js";

/**
 * Their pids, as the caller sees them, the init first; none where it has ended. All are below the init:
 * whose parent has ended becomes its child, see pid_namespaces(7).
 */
export function processesOf({ monitor, init }: Sandbox): number[] {
  const parents = readParents();
  // The pid is the init's as long as it is the monitor's child.
  if (parents.get(init) !== monitor) return [];
  const children = new Map<number, number[]>();
  for (const [pid, parent] of parents) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  return below(init);
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
export function parentOf(pid: number): number | null {
  try {
    // The name, in parentheses, may be anything; the last one ends it.
    const [, parent] = /^.*\) \S (\d+) /s.exec(fs.readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return Number(parent);
  } catch (error) {
    if (isSystemError(error) && ["ENOENT", "ESRCH"].includes(`${error.code}`)) return null;
    throw error;
  }
}
