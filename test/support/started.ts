/** Sandboxes that a test acts on from outside while they run. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { busyboxRootfs } from "./rootfs.js";
import { command, patienceMs } from "./sandbox.js";

/**
 * Starts a sandbox of the busybox rootfs whose shell script prints "ready", then acts on it by the
 * pid of its monitor, which is killed after `limitMs`; gives how it ended, and what it printed.
 */
export async function started(
  options: readonly string[],
  script: string,
  act: (pid: number) => void | Promise<void>,
  limitMs = patienceMs,
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
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  await Promise.race([
    ready,
    ended.then(() => Promise.reject(new Error(`it ended early: ${out}`))),
  ]);
  await act(child.pid ?? 0);
  const end = await ended;
  clearTimeout(timer);
  return { ...end, out };
}

/** The children of a process, see proc_pid_task(5). */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
