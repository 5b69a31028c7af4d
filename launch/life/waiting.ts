/** How the end of a sandbox, or another change of its, is waited for, and what its exit code is. */
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closeEvents, openEvents, readEvents } from "./events.js";
import { isRunning } from "./locks.js";
import { openPlain } from "./plain-file.js";
import type { Sandbox } from "./sandbox.js";
import { listViews, type Places, type SandboxView, type Status } from "./sandboxes.js";

/** What can be waited for; a sandbox that is not kept is removed as it exits. */
export const conditions = [
  "created",
  "running",
  "paused",
  "restarting",
  "exited",
  "removed",
] as const;
export type Condition = (typeof conditions)[number];

/** What a monitor's end by SIGKILL is to who has started it, with all that is inside. */
const killed = 128 + 9;

/** What only lists of sandboxes tell of is looked for so often. */
const lookMs = 100;

/**
 * Waits until one of them is so. Gives the exit code where that is the end, which the sandbox may have had before,
 * else null.
 */
export async function awaitCondition(
  places: Places,
  view: SandboxView,
  wanted: readonly Condition[],
): Promise<number | null> {
  let now: SandboxView | null = view;
  let exitCode: number | null = null;
  for (;;) {
    const status: Status | "removed" = now?.status ?? "removed";
    const isEnd = status === "exited" || status === "removed";
    if (wanted.includes(status) || (status === "removed" && wanted.includes("exited"))) {
      return isEnd ? (now?.exitCode ?? exitCode ?? toldExitCode(places, view) ?? killed) : null;
    }
    if (status === "removed") return null;
    const isForEnd = wanted.every((each) => each === "exited" || each === "removed");
    if (isForEnd && now?.record != null) exitCode = await awaitEnd(places, now.record);
    else await sleep(lookMs);
    now = (await listViews(places)).views.find(({ id }) => id === view.id) ?? null;
  }
}

/** What the events say of one that was gone before its record could be opened; null where they do not. */
function toldExitCode({ run }: Places, { id }: SandboxView): number | null {
  if (run.path === null) return null;
  const log = openEvents(run.path);
  try {
    const end = readEvents(log).findLast((each) => each.action === "die" && each.id === id);
    return end === undefined ? null : Number(end.attributes.exitCode);
  } finally {
    closeEvents(log);
  }
}

/**
 * Waits until the monitor has ended. It writes the exit code behind the record of a sandbox of which nothing else is kept;
 * null where it has not.
 */
async function awaitEnd({ run }: Places, sandbox: Sandbox): Promise<number | null> {
  // First of all: with the end it is gone.
  const record = openPlain(join(run.path ?? "", "sandboxes", sandbox.name));
  const { closeProcess, ended, openProcess } = await import("./signal.js");
  const monitor = openProcess(sandbox.monitor);
  try {
    const isIt = record !== null && fs.fstatSync(record).ino === sandbox.inode;
    if (monitor !== null && isRunning(sandbox)) await ended(monitor, Number.POSITIVE_INFINITY);
    else await sleep(lookMs);
    if (!isIt) return null;
    const [, line = ""] = fs.readFileSync(record, "utf8").split("\n");
    return /^\d+$/.test(line) ? Number(line) : null;
  } finally {
    if (monitor !== null) closeProcess(monitor);
    if (record !== null) fs.closeSync(record);
  }
}
