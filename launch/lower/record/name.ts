/** The name of the record: taken from one that is left behind, found again after a rename, given up. */
import { at, slot } from "../../machine/builder.js";
import { k, minus, noFollow } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, failWithResult, s, textSize } from "../context.js";
import { l } from "../life/life.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { branchUnlessSame } from "../rootfs/filesystem.js";
import { compose } from "../text/text.js";
import { directory, record, recordStep, sandboxName, temporary } from "./place.js";

const other = slot("otherRecord");
const [foundIn, foundName] = [slot("foundIn"), slot("foundName")];

/** Goes on where the record of that name is removed, and fails where its sandbox is running. */
export function removeStale(c: Context, again: string): void {
  const { b, memory } = c;
  const [open, held] = [b.fresh("stale"), b.fresh("stale")];
  const [locked, gone] = [b.fresh("stale"), b.fresh("stale")];
  const flags = noFollow("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.attempt("openat", [directory, sandboxName, flags, 0], s.result);
  b.branch(s.result, "ge", 0, open);
  b.branch(s.result, "eq", minus("ENOENT"), again);
  failWithResult(b);
  b.label(open);
  b.set(other, s.result);
  b.attempt("flock", [other, k("LOCK_EX", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", 0, locked);
  b.branch(s.result, "eq", minus("EAGAIN"), held);
  failWithResult(b);
  b.label(held);
  b.set(s.errno, pseudoErrno.nameTaken);
  b.fail();
  b.label(locked);
  const there = at(memory.scratch, 512);
  b.must("fstat", [other, memory.scratch]);
  b.orElse(gone, "newfstatat", [directory, sandboxName, there, k("AT_SYMLINK_NOFOLLOW")]);
  branchUnlessSame(c, there, gone);
  b.must("unlinkat", [directory, sandboxName, 0]);
  b.label(gone);
  b.must("close", [other]);
}

/**
 * At a restart: takes the place of the record of the run before, under whatever name that has by now.
 * Goes to `otherwise` where there is none.
 */
export function replaceEarlier(c: Context, otherwise: string): void {
  const { b } = c;
  b.branch(l.restarts, "eq", 0, otherwise);
  findRecord(c, l.record, otherwise);
  b.must("renameat2", [directory, temporary, foundIn, foundName, 0]);
  b.jump("record.kept");
}

/** Where a record of ours is by now: somebody may have renamed the sandbox. */
function findRecord(c: Context, fd: Slot, otherwise: string): void {
  const { b, memory } = c;
  const [renamed, found] = [b.fresh("record"), b.fresh("record")];
  const there = at(memory.scratch, 512);
  const compare = (to: string) => {
    b.orElse(to, "newfstatat", [foundIn, foundName, there, k("AT_SYMLINK_NOFOLLOW")]);
    branchUnlessSame(c, there, to);
  };
  b.orElse(otherwise, "fstat", [fd, memory.scratch]);
  b.set(foundIn, directory);
  b.set(foundName, sandboxName);
  compare(renamed);
  b.jump(found);
  b.label(renamed);
  compose(c, [b.text("/proc/self/fd/"), { decimal: fd }]);
  const place = [k("AT_FDCWD"), memory.text, memory.name, textSize - 1] as const;
  b.orElse(otherwise, "readlinkat", place, s.result);
  b.alu("add", s.result, s.result, memory.name);
  b.store(1, s.result, 0, 0);
  b.set(foundIn, k("AT_FDCWD"));
  b.set(foundName, memory.name);
  compare(otherwise);
  b.label(found);
}

/** In the monitor, when all that was made for the sandbox is gone; the lock goes with the process. */
export function removeRecord(c: Context): void {
  if (recordStep(c) !== undefined) c.b.call("record.remove");
}

/** What the function above calls. */
export function recordSubroutine(c: Context): void {
  if (recordStep(c) === undefined) return;
  const { b } = c;
  b.label("record.remove");
  b.branch(record, "lt", 0, "record.remove.end");
  findRecord(c, record, "record.remove.end");
  b.ignore("somebody was faster", "unlinkat", [foundIn, foundName, 0]);
  b.label("record.remove.end");
  b.return();
}
