/** Removal of groups that were made inside or left behind: one that has others below it cannot be removed. */
import { constant, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { dirent, type Entries, forEntries } from "../rootfs/dirents.js";

/** DT_DIR of readdir(3). */
const isDirectory = 4;

const name = slot("groupName");
const entries: Entries = { end: slot("groupEntries"), place: slot("groupPlace"), name };
const word = slot("groupWord");

/**
 * The groups in `directory`, each left in `name` for the code that `take` makes, which goes on to the `next` one
 * or elsewhere; to `end` behind the last. Uses `scratch`.
 */
function forGroups(c: Context, directory: Slot, end: string, take: (next: string) => void): void {
  const { b, memory } = c;
  const [read, next] = [b.fresh("groups"), b.fresh("groups")];
  b.must("lseek", [directory, 0, k("SEEK_SET")]);
  forEntries(c, directory, memory.scratch, entries, { read, next, done: end });
  b.alu("sub", word, name, dirent.name);
  b.load(1, word, word, dirent.type);
  b.branch(word, "ne", isDirectory, next);
  take(next);
}

/**
 * In the monitor, with the directory locked: groups of sandboxes that nobody has locked. What cannot be
 * removed stays, as somebody may still be in it.
 */
export function removeStaleGroups(c: Context, directory: Slot): void {
  const { b } = c;
  const [stale, end] = [slot("staleFd"), b.fresh("groups")];
  forGroups(c, directory, end, (next) => {
    const held = b.fresh("groups");
    b.load(4, word, name);
    b.branch(word, "ne", constant('"sbx-"', 0x2d786273), next);
    b.orElse(next, "openat", [directory, name, k("O_RDONLY", "O_CLOEXEC"), 0], stale);
    b.orElse(held, "flock", [stale, k("LOCK_EX", "LOCK_NB")]);
    b.ignore("the next one tries again", "unlinkat", [directory, name, k("AT_REMOVEDIR")]);
    b.label(held);
    b.must("close", [stale]);
    b.jump(next);
  });
  b.label(end);
}

/**
 * In the janitor, who has rights over groups of all ids inside: all below the sandbox's group, without
 * recursion. What cannot be removed is entered, and left by ".." when nothing is below it any more.
 * What somebody is in stays, so the tries are counted. Closes the group.
 */
export function removeGroups(c: Context): void {
  const { b } = c;
  const [directory, child] = [slot("groupFd"), slot("childGroupFd")];
  const [depth, tries] = [slot("groupDepth"), slot("groupTries")];
  const [scan, enter] = [b.fresh("groups"), b.fresh("groups")];
  const [up, end] = [b.fresh("groups"), b.fresh("groups")];
  b.failTo(end);
  b.set(directory, s.cgroupFd);
  b.set(depth, 0);
  b.set(tries, 10_000);
  b.label(scan);
  forGroups(c, directory, up, (next) => {
    b.alu("sub", tries, tries, 1);
    b.branch(tries, "lt", 0, end);
    b.attempt("unlinkat", [directory, name, k("AT_REMOVEDIR")], s.result);
    b.branch(s.result, "eq", 0, next);
    b.must("openat", [directory, name, k("O_RDONLY", "O_CLOEXEC"), 0], child);
    b.alu("add", depth, depth, 1);
    b.jump(enter);
  });
  b.label(up);
  b.alu("sub", depth, depth, 1);
  b.branch(depth, "lt", 0, end);
  b.must("openat", [directory, b.text(".."), k("O_RDONLY", "O_CLOEXEC"), 0], child);
  b.label(enter);
  b.must("close", [directory]);
  b.set(directory, child);
  b.jump(scan);
  b.label(end);
}
