/** What a process holds: its children, whichever of its threads made them, and its fds. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

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

/** What its fds lead to, as proc_pid_fd(5) has it; nothing where it has ended, or is another user's. */
export function opensOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    // Also where one is closed meanwhile: who waits looks again.
    return [];
  }
}

/** Tells whether this process holds no more than it does now, of what is yet to be closed among it. */
export function asNow(): () => boolean {
  const fds = () => readdirSync("/proc/self/fd").length;
  const [before, children] = [fds(), childrenOf(process.pid)];
  return () =>
    fds() <= before && childrenOf(process.pid).every((child) => children.includes(child));
}
