/** What the kernel's seccomp can do: /proc/sys/kernel/seccomp/actions_avail, see seccomp(2). */

/** An action of a filter, by the name that the file has for it. */
export interface SeccompAction {
  readonly name: string;
  /** The kernel version that brought it, seccomp(2). */
  readonly since: string;
}

/** The actions that profiles use. */
export const usedActions: readonly SeccompAction[] = [
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
