/** What the kernel's seccomp can do: /proc/sys/kernel/seccomp/actions_avail, see seccomp(2). */
import type { FilterFlag } from "../spec/actions/privileges.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Action } from "./verdict.js";

/** The kernel version that brought each flag, seccomp(2). */
export const flagVersions = {
  SECCOMP_FILTER_FLAG_TSYNC: "3.17",
  SECCOMP_FILTER_FLAG_LOG: "4.14",
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: "4.17",
  SECCOMP_FILTER_FLAG_NEW_LISTENER: "5.0",
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH: "5.7",
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: "5.19",
} as const satisfies Record<FilterFlag, string>;

/** An action of a filter, by the name that the file has for it. */
export interface SeccompAction {
  readonly name: string;
  /** The kernel version that brought it, seccomp(2). */
  readonly since: string;
}

/** The actions that profiles use. */
const usedActions: readonly SeccompAction[] = [
  { name: "allow", since: "3.5" },
  { name: "errno", since: "3.5" },
  { name: "kill_thread", since: "3.5" },
  { name: "trap", since: "3.5" },
  { name: "trace", since: "3.5" },
  { name: "kill_process", since: "4.14" },
  { name: "log", since: "4.14" },
  { name: "user_notif", since: "5.0" },
];

/** The names in the text of the file: one line, separated by blanks. */
export function parseActions(text: string): string[] {
  return text.split(/\s+/).filter((name) => name !== "");
}

/** The actions that profiles use and the kernel lacks, oldest first. */
export function missingActions(available: readonly string[]): SeccompAction[] {
  return usedActions.filter(({ name }) => !available.includes(name));
}

/** The version that brought the action, where this kernel does not have it; else null. */
export function lackedAction(
  action: Action,
  { kernel, seccomp }: Pick<Host, "kernel" | "seccomp">,
): string | null {
  const word = action === "NOTIFY" ? "user_notif" : action.toLowerCase();
  const known = usedActions.find(({ name }) => name === word || name === `${word}_thread`);
  if (known === undefined) return null;
  const [major = 0, minor = 0] = known.since.split(".").map(Number);
  const has = seccomp.actions?.includes(known.name) ?? kernelAtLeast({ kernel }, major, minor);
  return has ? null : known.since;
}
