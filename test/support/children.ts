/** The children of a process, whichever of its threads made them. */
import { readdirSync, readFileSync } from "node:fs";

/** Their pids, zombies among them: proc_pid_task_children(5) of CONFIG_PROC_CHILDREN. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
      .trim()
      .split(" ")
      .filter(Boolean)
      .map(Number),
  );
}
