/** Sandboxes that a test acts on from outside while they run. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { busyboxRootfs } from "./rootfs.js";
import { command, patienceMs } from "./sandbox.js";

/**
 * Starts a sandbox of the busybox rootfs whose shell script prints "ready", then acts on it by the
 * pid of its monitor; gives how it ended, and what it printed. It is killed where it takes too long to be
 * ready, or to end once that is done: how long `act` may take is its own business.
 */
export async function started(
  options: readonly string[],
  script: string,
  act: (pid: number) => void | Promise<void>,
): Promise<{ code: number | null; signal: string | null; out: string }> {
  const child = spawn(command, ["run", ...options, busyboxRootfs(), "sh", "-c", script]);
  let out = "";
  child.stderr.on("data", (chunk) => {
    out += chunk;
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      out += chunk;
      if (out.includes("ready\n")) resolve();
    });
    child.on("close", () => reject(new Error(`it ended before it was ready:\n${out}`)));
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal })),
  );
  const inTime = <T>(what: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    return what.finally(() => clearTimeout(timer));
  };
  await inTime(ready);
  try {
    await act(child.pid ?? 0);
  } catch (error) {
    // The next test shall not find it.
    child.kill("SIGKILL");
    throw error;
  }
  return { ...(await inTime(ended)), out };
}

/** The children of a process, see proc_pid_task(5). */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

/** Kills a process that may have ended meanwhile, and been waited for. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
