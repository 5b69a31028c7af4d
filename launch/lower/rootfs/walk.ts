/**
 * The lookup of a path from fd to fd, where the kernel has no openat2(2), or something is to be made on the way. Symbolic
 * links are followed here, in the sandbox's root, and magic ones refused.
 */
import { at, slot } from "../../machine/builder.js";
import { k, minus, openLink } from "../../machine/constants.js";
import type { Slot, Value } from "../../machine/ir.js";
import { type Context, octal, s, textSize } from "../context.js";
import { compose, textLength } from "../text/text.js";
import { fileType, statx, typeOf } from "./file-type.js";
import { procMagic } from "./filesystem.js";

/** What is looked up, and what is made where it is missing. */
export const path = slot("resolvePath");
export const made = slot("resolveMade");
/** The fd that was found, or a negative errno. */
export const resolved = slot("resolved");

/** As many symbolic links as the kernel follows: MAXSYMLINKS, path_resolution(7). */
const maxLinks = 40;
const nameMax = 255;

const current = slot("walkDirectory");
const child = slot("walkChild");
const rest = slot("walkRest");
const links = slot("walkLinks");
const tries = slot("walkTries");
const letter = slot("walkLetter");
const length = slot("walkLength");
const place = slot("walkPlace");
const [slash, dot] = ["/", "."].map((text) => text.charCodeAt(0)) as [number, number];

export function walk(c: Context): void {
  const { b } = c;
  const name = b.buffer("walkName", nameMax + 1);
  b.label("path.walk");
  b.set(rest, path);
  b.set(links, 0);
  b.set(tries, 0);
  b.attempt("openat", [s.rootFd, b.text("."), k("O_PATH", "O_CLOEXEC"), 0], current);
  b.branch(current, "ge", 0, "walk.next");
  b.set(resolved, current);
  b.return();

  b.label("walk.next");
  skipSlashes(c, rest);
  b.branch(letter, "eq", 0, "walk.end");
  b.set(length, 0);
  b.label("walk.letter");
  b.alu("add", place, name, length);
  b.load(1, letter, rest);
  b.branch(letter, "eq", 0, "walk.name");
  b.branch(letter, "eq", slash, "walk.name");
  b.set(resolved, minus("ENAMETOOLONG"));
  b.branch(length, "ge", nameMax, "walk.fail");
  b.store(1, place, 0, letter);
  b.alu("add", length, length, 1);
  b.alu("add", rest, rest, 1);
  b.jump("walk.letter");
  b.label("walk.name");
  b.store(1, place, 0, 0);
  b.branch(length, "ne", 2, "walk.down");
  for (const index of [0, 1]) {
    b.load(1, letter, name, index);
    b.branch(letter, "ne", dot, "walk.down");
  }
  stepUp(c);

  b.label("walk.down");
  b.attempt("openat", [current, name, openLink, 0], child);
  b.set(resolved, child);
  b.branch(child, "lt", 0, "walk.missing");
  typeOf(c, child);
  b.branch(fileType, "eq", k("S_IFLNK"), "walk.link");
  b.label("walk.enter");
  b.ignore("it is ours", "close", [current]);
  b.set(current, child);
  b.jump("walk.next");
  followLink(c);
  makeMissing(c, name);

  b.label("walk.end");
  b.set(resolved, current);
  b.return();
  b.label("walk.fail");
  b.ignore("it is ours", "close", [current]);
  b.return();
}

/** Moves a slot on to what is no slash, and loads that into `letter`. */
function skipSlashes({ b }: Context, cursor: Slot): void {
  const [next, end] = [b.fresh("slash"), b.fresh("slash")];
  b.label(next);
  b.load(1, letter, cursor);
  b.branch(letter, "ne", slash, end);
  b.alu("add", cursor, cursor, 1);
  b.jump(next);
  b.label(end);
}

/** ".." of the root is the root itself. Goes on behind the code it makes only through labels. */
function stepUp(c: Context): void {
  const { b, memory } = c;
  const [inode, device, other] = [slot("walkInode"), slot("walkDevice"), slot("walkOther")];
  const up = b.fresh("walk");
  typeOf(c, s.rootFd);
  b.load(8, inode, memory.scratch, statx.inode);
  b.load(8, device, memory.scratch, statx.device);
  typeOf(c, current);
  b.load(8, other, memory.scratch, statx.inode);
  b.branch(other, "ne", inode, up);
  b.load(8, other, memory.scratch, statx.device);
  b.branch(other, "eq", device, "walk.next");
  b.label(up);
  b.attempt("openat", [current, b.text(".."), k("O_PATH", "O_CLOEXEC"), 0], child);
  b.set(resolved, child);
  b.branch(child, "lt", 0, "walk.fail");
  b.jump("walk.enter");
}

/** The link's text, a slash and what was to follow become what is left of the path. */
function followLink(c: Context): void {
  const { b, memory } = c;
  const text = at(memory.scratch, 0);
  const joined = slot("walkJoined");
  const buffers = [b.buffer("walkPath", textSize), b.buffer("walkOtherPath", textSize)] as const;
  b.label("walk.link");
  b.alu("add", links, links, 1);
  b.set(resolved, minus("ELOOP"));
  b.branch(links, "gt", maxLinks, "walk.failChild");
  refuseMagicLink(c);
  b.attempt("readlinkat", [child, b.text(""), text, textSize - 1], length);
  b.set(resolved, length);
  b.branch(length, "lt", 0, "walk.failChild");
  b.alu("add", place, text, length);
  b.store(1, place, 0, 0);
  b.comment("what is left may lie in the one buffer: join in the other");
  b.set(joined, buffers[0]);
  const join = b.fresh("walk");
  b.alu("and", place, links, 1);
  b.branch(place, "eq", 0, join);
  b.set(joined, buffers[1]);
  b.label(join);
  compose(c, [text, b.text("/"), { string: rest }], joined);
  b.set(resolved, minus("ENAMETOOLONG"));
  b.branch(textLength, "ge", textSize - 1, "walk.failChild");
  b.set(rest, joined);
  b.ignore("it is ours", "close", [child]);
  b.load(1, letter, rest);
  b.branch(letter, "ne", slash, "walk.next");
  b.attempt("openat", [s.rootFd, b.text("."), k("O_PATH", "O_CLOEXEC"), 0], child);
  b.set(resolved, child);
  b.branch(child, "lt", 0, "walk.fail");
  b.jump("walk.enter");
  b.label("walk.failChild");
  b.ignore("it is ours", "close", [child]);
  b.jump("walk.fail");
}

/** Magic links are those of a procfs that are below its root, where /proc/self and the like are: proc(5). */
function refuseMagicLink(c: Context): void {
  const { b, memory } = c;
  const [rootInode, plain] = [1, b.fresh("walk")];
  b.attempt("fstatfs", [child, memory.scratch], place);
  b.branch(place, "lt", 0, "walk.failChild");
  b.load(8, place, memory.scratch);
  b.branch(place, "ne", procMagic, plain);
  typeOf(c, current);
  b.load(8, place, memory.scratch, statx.inode);
  b.branch(place, "ne", rootInode, "walk.failChild");
  b.label(plain);
}

/** Made by somebody else meanwhile, it is looked at again, but not for ever. */
function makeMissing(c: Context, name: Value): void {
  const { b } = c;
  const [directory, tried] = [b.fresh("make"), b.fresh("make")];
  b.label("walk.missing");
  b.branch(child, "ne", minus("ENOENT"), "walk.fail");
  b.branch(made, "eq", 0, "walk.fail");
  b.set(place, rest);
  skipSlashes(c, place);
  b.branch(letter, "ne", 0, directory);
  b.alu("and", length, made, k("S_IFMT"));
  b.branch(length, "eq", k("S_IFDIR"), directory);
  b.attempt("mknodat", [current, name, made, 0], length);
  b.jump(tried);
  b.label(directory);
  b.attempt("mkdirat", [current, name, octal(0o755)], length);
  b.label(tried);
  b.branch(length, "eq", 0, "walk.down");
  b.set(resolved, length);
  b.branch(length, "ne", minus("EEXIST"), "walk.fail");
  b.alu("add", tries, tries, 1);
  b.branch(tries, "le", maxLinks, "walk.down");
  b.jump("walk.fail");
}
