/**
 * Memory that all processes of a program share. The inside leaves there how it failed, since a
 * seccomp filter may have left the payload no system call to tell it with. It is out of the reach of
 * the command: execve(2) takes the mapping away.
 */
import type { Action } from "../../spec/step.js";
import { slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import type { Slot, Value } from "../machine/ir.js";
import { type Context, s, stepOf } from "./context.js";

/** The address of the shared memory: one page. */
export const sharedPage = slot("sharedMemory");
const pageSize = 4096;
/** Words of 8 bytes, all 0 at first. */
const words = { failed: 0, step: 8, errno: 16, listener: 24, handedOn: 32 } as const;
type Word = keyof typeof words;

/** Slots in which the monitor keeps the failure that `readFailure` found, or its own. */
export const failure = {
  happened: slot("failed"),
  step: slot("failedStep"),
  errno: slot("failedErrno"),
} as const;

/** In the monitor, before it clones anything that uses it. */
export function shareMemory({ b }: Context): void {
  const flags = k("MAP_SHARED", "MAP_ANONYMOUS");
  b.must("mmap", [0, pageSize, k("PROT_READ", "PROT_WRITE"), flags, -1, 0], sharedPage);
}

export function putShared({ b }: Context, word: Word, value: Value): void {
  b.store(8, sharedPage, words[word], value);
}

export function getShared({ b }: Context, word: Word, to: Slot): void {
  b.load(8, to, sharedPage, words[word]);
}

/** Before the inside is made anew. */
export function forgetFailure(c: Context): void {
  for (const word of Object.keys(words)) putShared(c, word as Word, 0);
}

/** Says that the step at hand failed, without any call. */
export function leaveFailure(c: Context): void {
  putShared(c, "step", s.step);
  putShared(c, "errno", s.errno);
  putShared(c, "failed", 1);
}

/** In the monitor's loop: the sandbox cannot start, because of the step of that kind. */
export function blame(c: Context, kind: Action["kind"], errno: Slot | number): void {
  const { b } = c;
  const other = b.fresh("failure");
  b.branch(failure.happened, "ne", 0, other);
  b.set(failure.happened, 1);
  b.set(failure.step, stepOf(c, kind));
  b.set(failure.errno, errno);
  b.label(other);
  b.ignore("it may have died by itself", "kill", [s.initPid, signo("SIGKILL")]);
}

/** In the monitor, at any time after the clone. What failed inside comes before what failed outside then. */
export function readFailure(c: Context): void {
  const { b } = c;
  const none = b.fresh("failure");
  const inside = slot("failedInside");
  getShared(c, "failed", inside);
  b.branch(inside, "eq", 0, none);
  b.set(failure.happened, 1);
  getShared(c, "step", failure.step);
  getShared(c, "errno", failure.errno);
  b.label(none);
}
