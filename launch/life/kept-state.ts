/** How a kept sandbox fares: `state.json` in its directory, which its program writes. */
import { join } from "node:path";
import { objectIn, readPlain, replaceFile } from "./plain-file.js";

export interface KeptState {
  readonly status: "running" | "restarting" | "exited";
  /** Milliseconds since 1970; null where it has not happened. */
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  readonly exitCode: number | null;
  /** The number of the signal that ended the command. */
  readonly signal: number | null;
  /** Whether the kernel has killed some of it for want of memory. */
  readonly oom: boolean;
  /** Why it could not be started, or what is known of an end that nobody saw. */
  readonly error: string | null;
  /** How often it was started again by its restart policy. */
  readonly restarts: number;
}

const pathIn = (directory: string) => join(directory, "state.json");

/** Null where it has never been started, or the file is none of sbx's. */
export function readState(directory: string): KeptState | null {
  const said = objectIn(readPlain(pathIn(directory))?.text ?? "");
  const status = statuses.find((each) => each === said?.status);
  if (said?.version !== 1 || status === undefined) return null;
  const number = (key: string) => (Number.isSafeInteger(said[key]) ? (said[key] as number) : null);
  return {
    status,
    startedMs: number("startedMs"),
    finishedMs: number("finishedMs"),
    exitCode: number("exitCode"),
    signal: number("signal"),
    oom: said.oom === true,
    error: typeof said.error === "string" && said.error !== "" ? said.error : null,
    restarts: number("restarts") ?? 0,
  };
}

const statuses = ["running", "restarting", "exited"] as const;

/** Only with the lock of the sandbox, which its monitor holds for life. */
export function writeState(directory: string, state: KeptState): void {
  replaceFile(pathIn(directory), `${JSON.stringify({ version: 1, ...state })}\n`);
}

/** What is known of one whose monitor was killed: the kernel kills all of it then (SIGKILL). */
export function killedState(before: KeptState, nowMs: number): KeptState {
  return {
    ...before,
    status: "exited",
    finishedMs: nowMs,
    exitCode: 137,
    signal: 9,
    error: "its monitor was killed",
  };
}
