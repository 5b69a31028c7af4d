/** Waits for what comes about by itself. */
import { setTimeout as sleep } from "node:timers/promises";
import { type LeftProcess, patienceMs, processesNaming } from "./sandbox.js";

/** Waits until it is so; fails after a generous time, `what` saying in words what was waited for. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  limitMs = patienceMs,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so after ${limitMs} ms: ${what}`);
    await sleep(10);
  }
}

/**
 * The processes that name the text, where they do not go: who was killed is seen until the kernel has come to it, which
 * on a busy machine is after the end of who waited for something else.
 */
export async function leftNaming(text: string): Promise<LeftProcess[]> {
  const deadline = performance.now() + patienceMs;
  while (processesNaming(text).length > 0 && performance.now() < deadline) await sleep(10);
  return processesNaming(text);
}
