/**
 * Memory that a process has no more use for once it only waits, as the monitor and the init do while
 * the payload runs: given back, it does not stay resident. What turns out to be needed again comes back
 * from the file, or as zeros.
 */
import { landmark, slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import type { Slot } from "../machine/ir.js";
import { type Context, recordRoom, s, scratchSize, textSize, words64 } from "./context.js";
import { sharedPage } from "./shared.js";

const because = "it stays resident, and that is all";
const from = slot("giveBackFrom");
const size = slot("giveBackSize");
const pageSize = 4096;

const pauseNanoseconds = 100_000_000n;

/** The address of a timespec: how long nothing is to happen before; 0 where it is done, or is not to be. */
export const untilGiveBack = slot("untilGiveBack");

/** Before `giveBackSoon`. */
export const giveBackState = ({ b }: Context): void => b.set(untilGiveBack, 0);

/** The payload runs: if that takes a while, it is worth it. Who runs for a moment does not pay for it. */
export function giveBackSoon(c: Context): void {
  c.b.set(untilGiveBack, c.b.bytes("pause", words64([0n, pauseNanoseconds])));
}

/** In the monitor, which has its own reasons to wait no longer than `timeout`, if that is not 0. */
export function waitToGiveBack({ b }: Context, timeout: Slot): void {
  const own = b.fresh("idle");
  b.branch(timeout, "ne", 0, own);
  b.set(timeout, untilGiveBack);
  b.label(own);
}

/** In the monitor, where `happened` is 0 after a wait in vain. It still tells of the end: code, texts and buffers come back. */
export function giveBackInMonitor(c: Context, happened: Slot): void {
  const { b } = c;
  const busy = b.fresh("idle");
  b.branch(happened, "ne", 0, busy);
  b.branch(untilGiveBack, "eq", 0, busy);
  b.set(untilGiveBack, 0);
  b.alu("sub", size, landmark("resident"), landmark("start"));
  // Of another kind than what is resident, it is not mapped together with that at the next fault.
  for (const advice of ["MADV_RANDOM", "MADV_DONTNEED"] as const) {
    b.ignore(because, "madvise", [landmark("start"), size, k(advice)]);
  }
  giveBackBuffers(c);
  b.ignore(because, "madvise", [sharedPage, pageSize, k("MADV_DONTNEED")]);
  b.label(busy);
}

/** In the init, which has nothing to do any more but to wait, and the arguments of which are its name. */
export function giveBackInInit(c: Context): void {
  const { b } = c;
  const name = slot("nameOnStack");
  const none = b.fresh("stack");
  b.set(untilGiveBack, 0);
  b.alu("sub", size, landmark("resident"), landmark("start"));
  b.ignore(because, "munmap", [landmark("start"), size]);
  giveBackBuffers(c);
  b.comment("of the stack only the page stays that has the name");
  b.load(8, name, s.argv);
  b.alu("and", name, name, -pageSize);
  b.alu("and", from, s.argv, -pageSize);
  b.alu("sub", size, name, from);
  b.branch(size, "eq", 0, none);
  b.ignore(because, "madvise", [from, size, k("MADV_DONTNEED")]);
  b.label(none);
}

function giveBackBuffers({ b, memory, plan }: Context): void {
  for (const [buffer, bytes] of [
    [memory.text, textSize],
    [memory.name, textSize],
    [memory.scratch, scratchSize],
    [memory.recordText, recordRoom(plan)],
  ] as const) {
    if (bytes === 1) continue;
    b.ignore(because, "madvise", [buffer, bytes, k("MADV_DONTNEED")]);
  }
}
