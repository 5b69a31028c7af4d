/**
 * Whether the kernel killed somebody inside for want of memory: files of the sandbox's control group, as
 * Documentation/admin-guide/cgroup-v2.rst of Linux has them in "Memory Interface Files".
 */
import { constant, slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { actionOf, type Context, s, scratchSize } from "../context.js";
import { append, compose, type Piece, writeText } from "../text/text.js";

/** How many were killed, and bytes; -1 where there is no limit, or the kernel does not tell. */
const kills = slot("oomKills");
const limit = slot("oomLimit");
const peak = slot("oomPeak");

const file = slot("fd");
const place = slot("oomPlace");
const letter = slot("oomLetter");
const amount = slot("oomAmount");

const isNeeded = (c: Context) =>
  [actionOf(c, "enableControllers"), actionOf(c, "awaitLimits")].some(
    (action) => action?.controllers.includes("memory") === true,
  );

/** In the monitor, before the group is removed. The peak is told by Linux 5.19. */
export function readOom(c: Context): void {
  if (!isNeeded(c)) return;
  const { b } = c;
  const [none, next, found] = [b.fresh("oom"), b.fresh("oom"), b.fresh("oom")];
  const [word, wanted] = [slot("oomWord"), slot("oomWanted")];
  for (const number of [kills, limit, peak]) b.set(number, -1);
  b.branch(s.cgroupFd, "lt", 0, none);
  readGroupFile(c, "memory.events", none);
  b.set(wanted, constant('"oom_kill"', 0x6c6c696b5f6d6f6fn));
  b.label(next);
  b.load(8, word, place);
  b.branch(word, "eq", wanted, found);
  b.alu("add", place, place, 1);
  b.load(1, letter, place);
  b.branch(letter, "ne", 0, next);
  b.jump(none);
  b.label(found);
  b.alu("add", place, place, "oom_kill ".length);
  readNumber(c, kills);
  for (const [name, number] of [
    ["memory.max", limit],
    ["memory.peak", peak],
  ] as const) {
    const unknown = b.fresh("oom");
    readGroupFile(c, name, unknown);
    readNumber(c, number);
    b.label(unknown);
  }
  b.label(none);
}

/** Leaves its text in `scratch`, with a NUL and zeros behind it, and `place` at its start. */
function readGroupFile({ b, memory }: Context, name: string, otherwise: string): void {
  const end = slot("oomEnd");
  const flags = k("O_RDONLY", "O_CLOEXEC");
  b.orElse(otherwise, "openat", [s.cgroupFd, b.text(name), flags, 0], file);
  b.attempt("read", [file, memory.scratch, scratchSize - 8], end);
  b.ignore("it is ours", "close", [file]);
  b.branch(end, "le", 0, otherwise);
  b.set(place, memory.scratch);
  b.alu("add", end, end, place);
  b.store(8, end, 0, 0);
}

/** The digits at `place`; -1 for any other word, such as max. */
function readNumber({ b }: Context, to: Slot): void {
  const [next, end] = [b.fresh("number"), b.fresh("number")];
  b.load(1, letter, place);
  b.branch(letter, "gt", "9".charCodeAt(0), end);
  b.set(to, 0);
  b.label(next);
  b.load(1, letter, place);
  b.branch(letter, "lt", "0".charCodeAt(0), end);
  b.alu("sub", letter, letter, "0".charCodeAt(0));
  // Ten times, without a multiplication.
  b.alu("shl", amount, to, 3);
  b.alu("add", to, to, to);
  b.alu("add", to, to, amount);
  b.alu("add", to, to, letter);
  b.alu("add", place, place, 1);
  b.jump(next);
  b.label(end);
}

/** In the monitor, after `readOom`. */
export function wasOutOfMemory(c: Context, to: Slot): void {
  const { b } = c;
  b.set(to, 0);
  if (!isNeeded(c)) return;
  const none = b.fresh("oom");
  b.branch(kills, "le", 0, none);
  b.set(to, 1);
  b.label(none);
}

/** In the monitor, at the end; `status` is the command's, as wait4(2) gives it. */
export function tellOfOom(c: Context, status: Slot): void {
  if (!isNeeded(c)) return;
  const { b, plan } = c;
  const [none, own] = [b.fresh("oom"), b.fresh("oom")];
  b.branch(kills, "le", 0, none);
  compose(c, [b.text("sbx: ")]);
  b.alu("and", amount, status, 0x7f);
  b.branch(amount, "eq", signo("SIGKILL"), own);
  append(c, [b.text("a process inside was ")]);
  b.label(own);
  append(c, [b.text("killed: out of memory")]);
  ifKnown(c, limit, () => appendSize(c, ", limit ", limit));
  ifKnown(c, peak, () => appendSize(c, ", peak ", peak));
  append(c, [b.text("\n")]);
  writeText(c, 2);
  if (plan.statusFd !== null) {
    const member = (name: string, number: Slot): Piece[] => [
      b.text(`,"${name}":`),
      { decimal: number },
    ];
    compose(c, [b.text('{"event":"oom"'), ...member("kills", kills)]);
    ifKnown(c, limit, () => append(c, member("limitBytes", limit)));
    ifKnown(c, peak, () => append(c, member("peakBytes", peak)));
    append(c, [b.text("}\n")]);
    writeText(c, plan.statusFd);
  }
  b.label(none);
}

function ifKnown({ b }: Context, number: Slot, then: () => void): void {
  const unknown = b.fresh("oom");
  b.branch(number, "lt", 0, unknown);
  then();
  b.label(unknown);
}

/** In whole MiB, or KiB where it is less than one. */
function appendSize(c: Context, before: string, bytes: Slot): void {
  const { b } = c;
  const [small, end] = [b.fresh("size"), b.fresh("size")];
  const rounded = (shift: number, unit: string) => {
    b.alu("add", amount, bytes, 2 ** (shift - 1));
    b.alu("shr", amount, amount, shift);
    append(c, [{ decimal: amount }, b.text(unit)]);
  };
  append(c, [b.text(before)]);
  b.branch(bytes, "lt", 2 ** 20, small);
  rounded(20, " MiB");
  b.jump(end);
  b.label(small);
  rounded(10, " KiB");
  b.label(end);
}
