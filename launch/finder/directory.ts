/** The directories of programs: found as `programPlaces` finds them, and only where nobody else can change what is in them. */

import { statxFields } from "../cache/entry-format.js";
import { slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import type { Slot } from "../machine/ir.js";
import { type Finder, pathSize, s } from "./state.js";

const mode = slot("mode");
const owner = slot("owner");
const group = slot("group");
const forbidden = slot("forbidden");
const cursor = slot("cursor");

/** Where the program is not in a place, or that cannot be relied on. */
export const nextPlace = "place.next";

/** Puts the path, without links, into `path`, up to `directoryEnd`: that of the cache, or in `place` 1 of the runtime directory. */
export function findDirectory(f: Finder, place: Slot): void {
  const { b, path } = f;
  const cached = b.fresh("directory");
  const named = b.fresh("directory");
  b.set(s.end, path);
  b.branch(place, "ne", 0, "directory.runtime");
  variable(f, "XDG_CACHE_HOME");
  isAbsolute(f, "directory.home");
  append(f);
  b.jump(cached);
  b.label("directory.home");
  variable(f, "HOME");
  isAbsolute(f, nextPlace);
  append(f);
  b.set(s.left, b.text("/.cache"));
  append(f);
  b.label(cached);
  b.set(s.left, b.text("/sbx/programs"));
  append(f);
  b.jump(named);
  b.label("directory.runtime");
  variable(f, "XDG_RUNTIME_DIR");
  isAbsolute(f, "miss");
  append(f);
  b.set(s.left, b.text("/sbx"));
  append(f);
  b.label(named);
  const flags = k("O_PATH", "O_CLOEXEC");
  b.orElse(nextPlace, "openat", [k("AT_FDCWD"), path, flags, 0], s.fd);
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
  const check = () => {
    b.call("directory.check");
    b.branch(s.result, "ne", 0, nextPlace);
  };
  b.alu("add", cursor, path, 1);
  b.load(1, s.other, cursor);
  b.store(1, cursor, 0, 0);
  check();
  b.store(1, cursor, 0, s.other);
  b.label("directory.next");
  b.alu("add", cursor, cursor, 1);
  b.load(1, s.byte, cursor);
  b.branch(s.byte, "eq", 0, "directory.last");
  b.branch(s.byte, "ne", "/".charCodeAt(0), "directory.next");
  b.store(1, cursor, 0, 0);
  check();
  b.store(1, cursor, 0, "/".charCodeAt(0));
  b.jump("directory.next");
  b.label("directory.last");
  check();
  b.branch(owner, "ne", s.uid, nextPlace);
  b.alu("and", mode, mode, 0o022);
  b.branch(mode, "ne", 0, nextPlace);
}

export function directorySubroutines({ b, path, stat }: Finder): void {
  b.comment(
    "result := whether others may put something else in the place of what is in the directory at path",
  );
  b.label("directory.check");
  const flags = k("AT_SYMLINK_NOFOLLOW");
  b.must("statx", [k("AT_FDCWD"), path, flags, k("STATX_BASIC_STATS"), stat]);
  b.load(4, mode, stat, statxFields.mode);
  b.load(4, owner, stat, statxFields.uid);
  b.load(4, group, stat, statxFields.gid);
  b.set(forbidden, 0o022);
  b.set(s.result, 1);
  b.branch(owner, "eq", 0, "directory.writers");
  b.branch(owner, "ne", s.uid, "directory.checked");
  b.label("directory.writers");
  b.branch(owner, "ne", s.uid, "directory.compare");
  b.branch(group, "ne", s.uid, "directory.compare");
  b.set(forbidden, 0o002);
  b.label("directory.compare");
  b.alu("and", forbidden, forbidden, mode);
  b.branch(forbidden, "eq", 0, "directory.safe");
  // S_ISVTX of inode(7): in a sticky directory only its owner can move what is another's.
  b.alu("and", forbidden, mode, 0o1000);
  b.branch(forbidden, "eq", 0, "directory.checked");
  b.label("directory.safe");
  b.set(s.result, 0);
  b.label("directory.checked");
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
