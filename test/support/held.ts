/** What a process holds: its children, whichever of its threads made them, and its fds. */
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

/** Tells whether this process holds no more than it does now, of what is yet to be closed among it. */
export function asNow(): () => boolean {
  const fds = () => readdirSync("/proc/self/fd").length;
  const [before, children] = [fds(), childrenOf(process.pid)];
  return () =>
    fds() <= before && childrenOf(process.pid).every((child) => children.includes(child));
}
