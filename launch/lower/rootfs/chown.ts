/**
 * Changes the owner of a tree, from fd to fd: no link is followed, and whoever moves directories about
 * meanwhile cannot lead the walk out of them. What has that owner already keeps its set-user-ID bit.
 */

import { errnoNumbers } from "../../../spec/linux.js";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, minus, openLink } from "../../machine/constants.js";
import { type Context, s, scratchSize } from "../context.js";
import { dirent, type Entries, forEntries } from "./dirents.js";
import { fileType, typeOf } from "./file-type.js";

/** How many directories are open at once: fewer than the usual limit of 1024 files. */
const maxDepth = 500;

const directory = slot("chownDirectory");
const child = slot("chownChild");
const name = slot("chownName");
const entries: Entries = { end: slot("chownEntries"), place: slot("chownPlace"), name };
const next = slot("chownNext");
const depth = slot("chownDepth");
const cell = slot("chownCell");
const owner = slot("chownOwner");

export function chownTree(c: Context, action: ActionOf<"chownTree">): void {
  const { b } = c;
  const label = (part: string) => b.fresh(`chown${part}`);
  const [read, entry, found] = [label("Read"), label("Entry"), label("Found")];
  const [enter, fits, leave, end] = [label("Enter"), label("Fits"), label("Leave"), label("End")];
  const stack = b.buffer(b.fresh("chownStack"), 8 * maxDepth);
  const buffer = b.buffer(b.fresh("chownEntries"), scratchSize);
  const flags = k("O_RDONLY", "O_CLOEXEC");
  // The top is found without having been read from a directory.
  for (const unset of [directory, entries.end, entries.place, next]) b.set(unset, 0);
  b.set(depth, -1);
  b.must("openat", [k("AT_FDCWD"), b.text(action.target), openLink, 0], child);
  b.jump(found);

  forEntries(c, directory, buffer, entries, { read, next: entry, done: leave }, () =>
    b.load(8, next, entries.place, dirent.next),
  );
  b.attempt("openat", [directory, name, openLink, 0], child);
  b.branch(child, "ge", 0, found);
  b.comment("gone meanwhile");
  b.branch(child, "eq", minus("ENOENT"), entry);
  b.alu("sub", s.errno, 0, child);
  b.fail();

  b.label(found);
  giveTo(c, action.uid, action.gid);
  b.branch(fileType, "eq", k("S_IFDIR"), enter);
  b.must("close", [child]);
  b.branch(depth, "ge", 0, entry);
  b.jump(end);

  b.label(enter);
  const top = b.fresh("chown");
  b.branch(depth, "lt", 0, top);
  b.comment("the entries after this one are read when it is done");
  b.must("lseek", [directory, next, k("SEEK_SET")]);
  b.label(top);
  b.alu("add", depth, depth, 1);
  b.branch(depth, "lt", maxDepth, fits);
  b.set(s.errno, Number(errnoNumbers.ENAMETOOLONG));
  b.fail();
  b.label(fits);
  b.must("openat", [child, b.text("."), flags, 0], directory);
  b.must("close", [child]);
  b.alu("shl", cell, depth, 3);
  b.alu("add", cell, cell, stack);
  b.store(8, cell, 0, directory);
  b.jump(read);

  b.label(leave);
  b.must("close", [directory]);
  b.alu("sub", depth, depth, 1);
  b.branch(depth, "lt", 0, end);
  b.alu("shl", cell, depth, 3);
  b.alu("add", cell, cell, stack);
  b.load(8, directory, cell);
  b.jump(read);
  b.label(end);
}

/** stx_uid and stx_gid follow each other, of 4 bytes each: statx(2). */
function giveTo(c: Context, uid: number, gid: number): void {
  const { b, memory } = c;
  const [change, done] = [b.fresh("owner"), b.fresh("owner")];
  typeOf(c, child);
  b.load(4, owner, memory.scratch, 20);
  b.branch(owner, "ne", uid, change);
  b.load(4, owner, memory.scratch, 24);
  b.branch(owner, "eq", gid, done);
  b.label(change);
  b.must("fchownat", [child, b.text(""), uid, gid, k("AT_EMPTY_PATH")]);
  b.label(done);
}
