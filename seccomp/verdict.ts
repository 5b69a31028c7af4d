/** What a filter may tell the kernel to do with a call: SECCOMP_RET_* of linux/seccomp.h, seccomp(2). */
import { errnoNumbers } from "../spec/linux.js";
import type { Verdict } from "./rules.js";

/** By the names that profiles have for them, without their prefix SCMP_ACT_. */
export const actions = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0x00000000,
  /** The older name of KILL_THREAD. */
  KILL: 0x00000000,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  NOTIFY: 0x7fc00000,
  TRACE: 0x7ff00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
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
  const [errno = data] = Object.entries(errnoNumbers).find(([, number]) => number === data) ?? [];
  return `${action}(${action === "ERRNO" ? errno : data})`;
}
