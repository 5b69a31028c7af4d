/** What a filter returns: SECCOMP_RET_* of linux/seccomp.h. The lower the action, the stricter. */
import { errnoNumbers } from "../spec/linux.js";
import type { Verdict } from "./rules.js";

export const killThread = 0;
export const killProcess = 0x80000000;
export const trap = 0x00030000;
export const errno = 0x00050000;
export const userNotif = 0x7fc00000;
export const trace = 0x7ff00000;
export const log = 0x7ffc0000;
export const allow = 0x7fff0000;

/** What a kernel without the call would say. */
export const noSuchCall: Verdict = errno | (errnoNumbers.ENOSYS ?? 0);

/** Whether the call may be made after all, if only by leave of a tracer or a supervisor. */
export function mayLetThrough(verdict: Verdict): boolean {
  return verdict >= userNotif && verdict < killProcess;
}

/** By the names that profiles have for them, without their prefix SCMP_ACT_. */
export const actions = {
  KILL_PROCESS: killProcess,
  KILL_THREAD: killThread,
  /** The older name of KILL_THREAD. */
  KILL: killThread,
  TRAP: trap,
  ERRNO: errno,
  NOTIFY: userNotif,
  TRACE: trace,
  LOG: log,
  ALLOW: allow,
} as const satisfies Record<string, Verdict>;
export type Action = keyof typeof actions;

/** The actions whose verdict has data: an errno, or what a tracer is told. */
export function takesErrno(action: Action): boolean {
  return action === "ERRNO" || action === "TRACE";
}

/** The action of a verdict, without its data. */
export function actionOf(verdict: Verdict): Action {
  // Unsigned, as `&` is not.
  const code = (verdict & 0xffff0000) >>> 0;
  const [name] = Object.entries(actions).find(([, value]) => value === code) ?? [];
  return name as Action;
}

/** `ERRNO(EPERM)`, `TRACE(1)`, `ALLOW`. */
export function describeVerdict(verdict: Verdict): string {
  const action = actionOf(verdict);
  if (!takesErrno(action)) return action;
  const data = verdict & 0xffff;
  const [name = data] = Object.entries(errnoNumbers).find(([, number]) => number === data) ?? [];
  return `${action}(${action === "ERRNO" ? name : data})`;
}
