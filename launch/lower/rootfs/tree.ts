/** The removal of a directory with all that is in it. */
import { slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import { type Context, s } from "../context.js";
import { type Entries, forEntries } from "./dirents.js";

/** The path of what the subroutine `tree.remove` removes. */
export const treeTop = slot("topPath");
export const directory = slot("directory");
export const name = slot("entryName");
export const entries: Entries = { end: slot("entries"), place: slot("place"), name };
const removed = slot("removed");
const child = slot("childDirectory");

/**
 * A subroutine: removes the directory whose path is at `treeTop` with all that is in it, without recursion: entries are removed where they
 * can be, else entered; an empty directory is left through "..", and removed when its parent is read
 * again. The top is known by device and inode, so that the walk never goes above it.
 */
export function treeSubroutine(c: Context): void {
  if (!c.removesTrees) return;
  const { b, memory } = c;
  const topDevice = slot("topDevice");
  const topInode = slot("topInode");
  const device = slot("device");
  const inode = slot("inode");
  // struct stat begins with st_dev and st_ino on both architectures.
  const identify = (fd: typeof directory, toDevice: typeof device, toInode: typeof inode) => {
    b.must("fstat", [fd, memory.scratch]);
    b.load(8, toDevice, memory.scratch);
    b.load(8, toInode, memory.scratch, 8);
  };
  b.label("tree.remove");
  b.failTo("remove.end");
  b.must("openat", [k("AT_FDCWD"), treeTop, k("O_RDONLY", "O_CLOEXEC"), 0], directory);
  identify(directory, topDevice, topInode);
  b.label("remove.scan");
  b.set(removed, 0);
  b.must("lseek", [directory, 0, k("SEEK_SET")]);
  forEntries(c, directory, memory.entries, entries, {
    read: "remove.read",
    next: "remove.entry",
    done: "remove.scanned",
  });
  b.set(removed, 1);
  b.attempt("unlinkat", [directory, name, 0], s.result);
  b.branch(s.result, "eq", 0, "remove.entry");
  b.attempt("unlinkat", [directory, name, k("AT_REMOVEDIR")], s.result);
  b.branch(s.result, "eq", 0, "remove.entry");
  b.branch(s.result, "ne", minus("ENOTEMPTY"), "remove.end");
  b.must("openat", [directory, name, k("O_RDONLY", "O_CLOEXEC"), 0], child);
  b.jump("remove.enter");

  b.label("remove.scanned");
  b.branch(removed, "ne", 0, "remove.scan");
  identify(directory, device, inode);
  b.branch(device, "ne", topDevice, "remove.up");
  b.branch(inode, "eq", topInode, "remove.top");
  b.label("remove.up");
  b.must("openat", [directory, b.text(".."), k("O_RDONLY", "O_CLOEXEC"), 0], child);
  b.label("remove.enter");
  b.must("close", [directory]);
  b.set(directory, child);
  b.jump("remove.scan");
  b.label("remove.top");
  b.must("unlinkat", [k("AT_FDCWD"), treeTop, k("AT_REMOVEDIR")]);
  b.label("remove.end");
  b.return();
}
