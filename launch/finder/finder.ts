/**
 * The finder: the `sbx` command as a program, which becomes the program that was compiled for a command
 * line, where that is kept and everything is still as it was when it was made. Otherwise it becomes the
 * launcher, which has Node compile. The launcher, where it is what was started, becomes the finder first.
 *
 * A shell could find a program as well. But it cannot see who may write to a directory, and between a
 * test of its and the execution somebody could put another file there; here every directory on the way
 * is one that nobody else can change.
 */

import {
  hashSeed,
  header,
  headerSize,
  magic,
  maxEntryBytes,
  statxFields,
} from "../cache/entry-format.js";
import { coldWord } from "../lower/again.js";
import { builder, constant, slot } from "../machine/builder.js";
import { k, noFollow } from "../machine/constants.js";
import type { Program } from "../machine/ir.js";
import { checkSubroutines, runChecks, sameSubroutine } from "./checks.js";
import { append, directorySubroutines, findDirectory, nextPlace } from "./directory.js";
import { contentSize, type Finder, finderMemory, pathSize, s } from "./state.js";
import { findWords, type OptionWords, words, wordsEnd } from "./words.js";

const hash = slot("hash");
const field = slot("field");
const count = slot("checkCount");
const from = slot("firstCheck");
const deeper = slot("deeper");
const place = slot("place");

/** The launcher, from the directory that the finder is in. */
const launcher = "../cmd/sbx\0";

/** Its arguments are those of the `sbx` command. */
export function lowerFinder(options: OptionWords): Program {
  const b = builder();
  const f = finderMemory(b);
  b.failTo("miss");
  b.stackPointer(s.stack);
  b.load(8, s.argc, s.stack);
  b.alu("add", s.envp, s.argc, 2);
  b.alu("shl", s.envp, s.envp, 3);
  b.alu("add", s.envp, s.envp, s.stack);
  b.branch(s.argc, "lt", 1, "refuse");
  b.attempt("geteuid", [], s.uid);
  b.comment("the words that the program was compiled for");
  findWords(f, options);
  b.set(place, 0);
  b.comment("the directory of programs");
  b.label("place");
  findDirectory(f, place);
  b.comment("the entry");
  b.set(hash, constant("hashSeed", hashSeed));
  b.set(deeper, 0);
  b.set(s.left, words);
  b.set(s.right, wordsEnd);
  b.label("entry.find");
  b.call("hash");
  nameEntry(f);
  readEntry(f);
  compareWords(f);
  matchDirectory(f);
  b.comment("is everything as it was?");
  b.load(8, count, f.entry, header.checks);
  b.set(from, { ...f.entry, offset: headerSize });
  runChecks(f, from, count);
  findProgram(f);
  b.alu("add", s.right, s.stack, 8);
  b.store(8, s.right, 0, b.text("sbx"));
  b.ignore("a program that is gone is compiled anew", "execve", [f.path, s.right, s.envp]);
  b.label(nextPlace);
  b.branch(place, "ne", 0, "miss");
  b.set(place, 1);
  b.jump("place");
  b.label("miss");
  becomeLauncher(f);
  hashSubroutine(f);
  directorySubroutines(f);
  checkSubroutines(f);
  sameSubroutine(f);
  return b.finish();
}

/** `sh LAUNCHER --cold ARGUMENT…`: three words where one, argc and argv[0] were. */
function becomeLauncher({ b, path }: Finder): void {
  b.failTo("refuse");
  const self = [k("AT_FDCWD"), b.text("/proc/self/exe"), path, pathSize - 16];
  b.must("readlinkat", self, s.length);
  b.alu("add", s.end, path, s.length);
  b.label("launcher.directory");
  b.alu("sub", s.end, s.end, 1);
  b.branch(s.end, "lt", path, "refuse");
  b.load(1, s.byte, s.end);
  b.branch(s.byte, "ne", "/".charCodeAt(0), "launcher.directory");
  for (const [index, letter] of [...launcher].entries()) {
    b.store(1, s.end, 1 + index, letter.charCodeAt(0));
  }
  b.must("faccessat", [k("AT_FDCWD"), path, constant("R_OK", 4)]);
  b.alu("sub", s.left, s.stack, 8);
  b.store(8, s.left, 0, b.text("sh"));
  b.store(8, s.left, 8, path);
  b.store(8, s.left, 16, b.text(coldWord));
  b.must("execve", [b.text("/bin/sh"), s.left, s.envp]);
  b.label("refuse");
  const why =
    "sbx: start the launcher: there is no cmd/sbx beside the directory of /proc/self/exe, or no /bin/sh. Install sbx anew\n";
  b.ignore("the exit code tells as well", "write", [2, b.text(why), why.length]);
  b.exit(125);
  b.failTo("miss");
}

/** What is appended to the path next is a name in the directory of programs. */
function enterDirectory(f: Finder): void {
  f.b.set(s.end, s.directoryEnd);
  f.b.set(s.left, f.b.text("/"));
  append(f);
}

/** The path of the entry, of the hash in hexadecimal. */
function nameEntry(f: Finder): void {
  const { b, path } = f;
  enterDirectory(f);
  const shift = slot("shift");
  const letter = b.fresh("digit");
  b.set(shift, 64);
  b.label("entry.digit");
  b.alu("sub", shift, shift, 4);
  b.alu("shr", s.byte, hash, shift);
  b.alu("and", s.byte, s.byte, 0xf);
  b.alu("add", s.byte, s.byte, "0".charCodeAt(0));
  b.branch(s.byte, "le", "9".charCodeAt(0), letter);
  b.alu("add", s.byte, s.byte, "a".charCodeAt(0) - "9".charCodeAt(0) - 1);
  b.label(letter);
  b.store(1, s.end, 0, s.byte);
  b.alu("add", s.end, s.end, 1);
  b.branch(shift, "gt", 0, "entry.digit");
  b.branch(s.end, "ge", { ...path, offset: pathSize - 16 }, "miss");
  b.set(s.left, b.text(".run"));
  append(f);
}

/** A file of the caller's that nobody else can write to, whole. */
function readEntry({ b, path, stat, entry }: Finder): void {
  const mode = slot("entryMode");
  const flags = noFollow("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.orElse(nextPlace, "openat", [k("AT_FDCWD"), path, flags, 0], s.fd);
  b.must("statx", [s.fd, b.text(""), k("AT_EMPTY_PATH"), k("STATX_BASIC_STATS"), stat]);
  b.load(4, s.other, stat, statxFields.uid);
  b.branch(s.other, "ne", s.uid, "miss");
  b.load(4, mode, stat, statxFields.mode);
  b.alu("and", s.other, mode, 0o022);
  b.branch(s.other, "ne", 0, "miss");
  b.alu("and", mode, mode, k("S_IFMT"));
  b.branch(mode, "ne", k("S_IFREG"), "miss");
  b.must("read", [s.fd, entry, maxEntryBytes], s.length);
  b.ignore("it was read", "close", [s.fd]);
  b.branch(s.length, "lt", headerSize, "miss");
  b.load(8, field, entry, header.magic);
  b.branch(field, "ne", constant("magic", magic), "miss");
  b.load(8, field, entry, header.size);
  b.branch(field, "ne", s.length, "miss");
}

/** Other words may have the same hash. */
function compareWords({ b, entry }: Finder): void {
  b.set(s.left, words);
  b.alu("sub", s.length, wordsEnd, words);
  b.load(8, field, entry, header.keyLength);
  b.branch(field, "ne", s.length, "miss");
  b.load(8, s.right, entry, header.key);
  b.alu("add", s.right, s.right, entry);
  b.call("compare");
}

/** Goes back to look for the entry of the working directory where this one only leads there. */
function matchDirectory({ b, content, entry }: Finder): void {
  const directory = slot("directory");
  b.load(8, field, entry, header.deeper);
  b.load(8, directory, entry, header.directory);
  b.branch(field, "ne", 0, "directory.deeper");
  b.branch(directory, "eq", 0, "directory.matched");
  b.must("getcwd", [content, contentSize], s.result);
  b.set(s.left, content);
  b.alu("add", s.right, directory, entry);
  b.call("same");
  b.branch(s.result, "eq", 0, "miss");
  b.jump("directory.matched");
  b.label("directory.deeper");
  b.branch(deeper, "ne", 0, "miss");
  b.set(deeper, 1);
  b.must("getcwd", [content, contentSize], s.result);
  b.set(s.left, content);
  b.alu("add", s.right, content, s.result);
  b.jump("entry.find");
  b.label("directory.matched");
}

/** The path of the program, which is as `keep` has left it. */
function findProgram(f: Finder): void {
  const { b, path, stat, entry } = f;
  enterDirectory(f);
  b.load(8, s.left, entry, header.program);
  b.alu("add", s.left, s.left, entry);
  append(f);
  b.must("statx", [k("AT_FDCWD"), path, k("AT_SYMLINK_NOFOLLOW"), k("STATX_BASIC_STATS"), stat]);
  b.load(4, s.other, stat, statxFields.uid);
  b.branch(s.other, "ne", s.uid, "miss");
  b.load(4, s.other, stat, statxFields.mode);
  b.branch(s.other, "ne", constant("S_IFREG|0700", 0o100700), "miss");
}

function hashSubroutine({ b }: Finder): void {
  const shifted = slot("shifted");
  b.comment("hash goes on over the bytes from left to before right");
  b.label("hash");
  b.branch(s.left, "ge", s.right, "hash.end");
  b.load(1, s.byte, s.left);
  b.alu("shl", shifted, hash, 5);
  b.alu("add", hash, hash, shifted);
  b.alu("add", hash, hash, s.byte);
  b.alu("add", s.left, s.left, 1);
  b.jump("hash");
  b.label("hash.end");
  b.return();
}
