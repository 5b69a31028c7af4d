/** The directory of programs: found as `programPlaces` finds it, and only where nobody else can change what is in it. */

import { statxFields } from "../cache/entry-format.js";
import { slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import { type Finder, pathSize, s } from "./state.js";

const mode = slot("mode");
const owner = slot("owner");
const group = slot("group");
const forbidden = slot("forbidden");
const cursor = slot("cursor");

/** Puts the path, without links, into `path`, up to `directoryEnd`. */
export function findDirectory(f: Finder): void {
  const { b, path } = f;
  const cached = b.fresh("directory");
  b.set(s.end, path);
  variable(f, "XDG_CACHE_HOME");
  isAbsolute(f, "directory.home");
  append(f);
  b.jump(cached);
  b.label("directory.home");
  variable(f, "HOME");
  isAbsolute(f, "miss");
  append(f);
  b.set(s.left, b.text("/.cache"));
  append(f);
  b.label(cached);
  b.set(s.left, b.text("/sbx/programs"));
  append(f);
  const flags = k("O_PATH", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), path, flags, 0], s.fd);
  b.call("realPath");
  // What was not cut off has room for a NUL.
  b.branch(s.length, "ge", 4000, "miss");
  b.set(s.end, path);
  b.set(s.left, f.content);
  append(f);
  b.set(s.directoryEnd, s.end);
  checkWay(f);
}

/** `value`, and `left`, := what the caller has in a variable; 0 where it has none. */
function variable({ b }: Finder, name: string): void {
  b.set(s.left, b.text(`${name}=`));
  b.call("variable");
  b.set(s.left, s.value);
}

function isAbsolute({ b }: Finder, otherwise: string): void {
  b.branch(s.value, "eq", 0, otherwise);
  b.load(1, s.byte, s.value);
  b.branch(s.byte, "ne", "/".charCodeAt(0), otherwise);
}

export const append = ({ b }: Finder): void => b.call("append");

/** Who may write to a directory on the way may put another one in the place of ours: `dangerOf` in launch/facts/directories.ts. */
function checkWay({ b, path }: Finder): void {
  b.alu("add", cursor, path, 1);
  b.load(1, s.other, cursor);
  b.store(1, cursor, 0, 0);
  b.call("directory.check");
  b.store(1, cursor, 0, s.other);
  b.label("directory.next");
  b.alu("add", cursor, cursor, 1);
  b.load(1, s.byte, cursor);
  b.branch(s.byte, "eq", 0, "directory.last");
  b.branch(s.byte, "ne", "/".charCodeAt(0), "directory.next");
  b.store(1, cursor, 0, 0);
  b.call("directory.check");
  b.store(1, cursor, 0, "/".charCodeAt(0));
  b.jump("directory.next");
  b.label("directory.last");
  b.call("directory.check");
  b.branch(owner, "ne", s.uid, "miss");
  b.alu("and", mode, mode, 0o022);
  b.branch(mode, "ne", 0, "miss");
}

export function directorySubroutines({ b, path, stat }: Finder): void {
  b.comment(
    "whether others may put something else in the place of what is in the directory at path",
  );
  b.label("directory.check");
  const flags = k("AT_SYMLINK_NOFOLLOW");
  b.must("statx", [k("AT_FDCWD"), path, flags, k("STATX_BASIC_STATS"), stat]);
  b.load(4, mode, stat, statxFields.mode);
  b.load(4, owner, stat, statxFields.uid);
  b.load(4, group, stat, statxFields.gid);
  b.set(forbidden, 0o022);
  b.branch(owner, "eq", 0, "directory.writers");
  b.branch(owner, "ne", s.uid, "miss");
  b.label("directory.writers");
  b.branch(owner, "ne", s.uid, "directory.compare");
  b.branch(group, "ne", s.uid, "directory.compare");
  b.set(forbidden, 0o002);
  b.label("directory.compare");
  b.alu("and", forbidden, forbidden, mode);
  b.branch(forbidden, "eq", 0, "directory.safe");
  // S_ISVTX of inode(7): in a sticky directory only its owner can move what is another's.
  b.alu("and", forbidden, mode, 0o1000);
  b.branch(forbidden, "eq", 0, "miss");
  b.label("directory.safe");
  b.return();

  b.comment("the path gets the string at left behind it");
  b.label("append");
  b.branch(s.end, "ge", { ...path, offset: pathSize - 1 }, "miss");
  b.load(1, s.byte, s.left);
  b.store(1, s.end, 0, s.byte);
  b.branch(s.byte, "eq", 0, "append.end");
  b.alu("add", s.end, s.end, 1);
  b.alu("add", s.left, s.left, 1);
  b.jump("append");
  b.label("append.end");
  b.return();
}
