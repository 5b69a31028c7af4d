/** Entries of directories as getdents64(2) gives them. */
import { slot } from "../../machine/builder.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, scratchSize } from "../context.js";

/** struct linux_dirent64: d_ino, d_off, d_reclen (2 bytes), d_type (1), d_name. */
export const dirent = { next: 8, length: 16, type: 18, name: 19 } as const;

const letter = slot("letter");

/** The end of what was read, the next entry in it, and the name of the one at hand. */
export interface Entries {
  readonly end: Slot;
  readonly place: Slot;
  readonly name: Slot;
}

/**
 * Goes over the entries of a directory, from where that stands, "." and ".." aside: the code behind this is for each,
 * and goes to `next` for another one. When there are no more it goes on at `done`. `look` may be at the entry itself.
 */
export function forEntries(
  c: Context,
  directory: Slot,
  buffer: Address,
  { end, place, name }: Entries,
  to: { readonly read: string; readonly next: string; readonly done: string },
  look = () => {},
): void {
  const { b } = c;
  b.label(to.read);
  b.must("getdents64", [directory, buffer, scratchSize], end);
  b.branch(end, "eq", 0, to.done);
  b.set(place, buffer);
  b.alu("add", end, end, buffer);
  b.label(to.next);
  b.branch(place, "ge", end, to.read);
  look();
  takeEntry(c, place, name, to.next);
}

/** The name of the entry at `place`, which moves on to the next one; "." and ".." go to `skip`. */
function takeEntry({ b }: Context, place: Slot, name: Slot, skip: string): void {
  const own = b.fresh("name");
  const dot = ".".charCodeAt(0);
  b.alu("add", name, place, dirent.name);
  b.load(1, letter, place, dirent.length + 1);
  b.alu("shl", letter, letter, 8);
  b.alu("add", place, place, letter);
  b.alu("sub", letter, name, dirent.name);
  b.load(1, letter, letter, dirent.length);
  b.alu("add", place, place, letter);
  b.load(1, letter, name);
  b.branch(letter, "ne", dot, own);
  b.load(1, letter, name, 1);
  b.branch(letter, "eq", 0, skip);
  b.branch(letter, "ne", dot, own);
  b.load(1, letter, name, 2);
  b.branch(letter, "eq", 0, skip);
  b.label(own);
}
