/** Tells `sbx events` what a command has done. */
import { writeSync } from "node:fs";
import { callersRunDirectory } from "../launch/facts/run-directory.js";
import { isSystemError } from "../launch/facts/system-error.js";
import { appendEvent, type EventAction } from "../launch/life/events.js";
import type { SandboxView } from "../launch/life/sandboxes.js";
import { renderProblem } from "../spec/error.js";

/** It is done, whether it can be told or not: that is a line on stderr. */
export async function tell(
  action: EventAction,
  { id, name }: Pick<SandboxView, "id" | "name">,
  attributes: Readonly<Record<string, string | number>> = {},
): Promise<void> {
  const { path } = callersRunDirectory(process.env);
  // Then there are no running sandboxes either.
  if (path === null) return;
  try {
    await appendEvent(path, { timeMs: Date.now(), action, id, name, attributes });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const problem = { what: `tell of ${action} ${name} in ${path}/events`, why: error.message };
    writeSync(2, `${renderProblem(problem)}\n`);
  }
}
