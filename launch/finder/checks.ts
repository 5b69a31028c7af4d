/** Asks the machine again what the compile was told: launch/cache/entry-format.ts has the form of the checks. */

import {
  anyByte,
  anyLine,
  checkKinds,
  checkWords,
  statxFields,
  statxSize,
  unameSize,
} from "../cache/entry-format.js";
import { at, slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import type { Slot } from "../machine/ir.js";
import { contentSize, type Finder, s } from "./state.js";

const check = slot("check");
const left = slot("checksLeft");
const kind = slot("checkKind");
const first = slot("firstOperand");
const second = slot("secondOperand");
const third = slot("thirdOperand");
const template = slot("template");
const templateEnd = slot("templateEnd");
const wanted = slot("wantedByte");
const contentEnd = slot("contentEnd");

/** For a file of /proc/sys the kernel clears as much memory as is asked for: `proc_sys_call_handler()`. */
const readBytes = 4096;

/** The checks from `check` on, `left` of them; goes on behind them where all are as they were. */
export function runChecks(f: Finder, from: Slot, count: Slot): void {
  const { b } = f;
  b.set(check, from);
  b.set(left, count);
  b.label("check.next");
  b.branch(left, "eq", 0, "check.done");
  b.alu("sub", left, left, 1);
  b.load(8, kind, check);
  b.load(8, first, check, 8);
  b.load(8, second, check, 16);
  b.load(8, third, check, 24);
  b.alu("add", check, check, 8 * checkWords);
  // The first operand of all is an offset.
  b.alu("add", first, first, f.entry);
  for (const [name, number] of Object.entries(checkKinds)) {
    b.branch(kind, "eq", number, `check.${name}`);
  }
  b.jump("miss");
  const bodies: Readonly<Record<keyof typeof checkKinds, () => void>> = {
    file: () => checkFile(f),
    identity: () => checkIdentity(f),
    absent: () => checkAbsent(f),
    access: () => checkAccess(f),
    open: () => checkOpen(f),
    text: () => checkText(f),
    real: () => checkReal(f),
    variable: () => checkVariable(f),
    uname: () => checkUname(f),
    ids: () => checkIds(f),
  };
  for (const [name, body] of Object.entries(bodies)) {
    b.label(`check.${name}`);
    body();
    b.jump("check.next");
  }
  b.label("check.done");
}

function statx({ b, stat }: Finder): void {
  b.must("statx", [k("AT_FDCWD"), first, second, k("STATX_BASIC_STATS"), stat]);
}

/** What lies between two offsets of struct statx is as it was. */
function compareStat({ b, stat }: Finder, from: number, to: number): void {
  b.set(s.left, at(stat, from));
  b.alu("add", s.right, third, from);
  b.set(s.length, to - from);
  b.call("compare");
}

function checkIdentity(f: Finder): void {
  statx(f);
  f.b.alu("add", third, third, f.entry);
  compareStat(f, statxFields.uid, statxFields.size);
  compareStat(f, statxFields.device, statxSize);
}

function checkFile(f: Finder): void {
  checkIdentity(f);
  compareStat(f, statxFields.size, statxFields.size + 8);
  compareStat(f, statxFields.ctime, statxFields.mtime + 16);
}

/** `third` is the errno, 0 for none; a result that is no error is whatever it is. */
function compareErrno({ b }: Finder): void {
  const failed = b.fresh("errno");
  b.branch(s.result, "lt", 0, failed);
  b.set(s.result, 0);
  b.label(failed);
  b.alu("add", s.result, s.result, third);
  b.branch(s.result, "ne", 0, "miss");
}

function checkAbsent(f: Finder): void {
  const { b, stat } = f;
  b.attempt("statx", [k("AT_FDCWD"), first, second, k("STATX_BASIC_STATS"), stat], s.result);
  compareErrno(f);
}

function checkAccess(f: Finder): void {
  f.b.attempt("faccessat", [k("AT_FDCWD"), first, second], s.result);
  compareErrno(f);
}

function checkOpen(f: Finder): void {
  const { b } = f;
  const none = b.fresh("opened");
  b.alu("or", second, second, k("O_CLOEXEC"));
  b.attempt("openat", [k("AT_FDCWD"), first, second, 0], s.result);
  b.branch(s.result, "lt", 0, none);
  b.ignore("it was only tried", "close", [s.result]);
  b.label(none);
  compareErrno(f);
}

function checkText(f: Finder): void {
  const { b, content } = f;
  b.alu("add", template, second, f.entry);
  b.alu("add", templateEnd, template, third);
  b.must("openat", [k("AT_FDCWD"), first, k("O_RDONLY", "O_CLOEXEC"), 0], s.fd);
  b.set(contentEnd, content);
  b.label("text.read");
  b.branch(contentEnd, "gt", at(content, contentSize - readBytes), "miss");
  b.must("read", [s.fd, contentEnd, readBytes], s.result);
  b.alu("add", contentEnd, contentEnd, s.result);
  b.branch(s.result, "gt", 0, "text.read");
  b.ignore("it was read", "close", [s.fd]);

  b.set(s.left, content);
  b.label("text.next");
  b.branch(template, "eq", templateEnd, "text.end");
  b.load(1, wanted, template);
  b.alu("add", template, template, 1);
  b.branch(wanted, "eq", anyLine, "text.line");
  b.branch(s.left, "eq", contentEnd, "miss");
  b.load(1, s.byte, s.left);
  b.alu("add", s.left, s.left, 1);
  b.branch(wanted, "eq", s.byte, "text.next");
  b.branch(wanted, "eq", anyByte, "text.next");
  b.jump("miss");
  b.label("text.line");
  b.branch(s.left, "eq", contentEnd, "text.next");
  b.load(1, s.byte, s.left);
  b.branch(s.byte, "eq", "\n".charCodeAt(0), "text.next");
  b.alu("add", s.left, s.left, 1);
  b.jump("text.line");
  b.label("text.end");
  b.branch(s.left, "ne", contentEnd, "miss");
}

function checkReal(f: Finder): void {
  const { b, content } = f;
  const there = b.fresh("real");
  b.attempt("openat", [k("AT_FDCWD"), first, k("O_PATH", "O_CLOEXEC"), 0], s.fd);
  b.branch(s.fd, "ge", 0, there);
  b.branch(second, "ne", 0, "miss");
  b.jump("check.next");
  b.label(there);
  b.branch(second, "eq", 0, "miss");
  b.call("realPath");
  b.set(s.left, content);
  b.alu("add", s.right, second, f.entry);
  b.call("same");
  b.branch(s.result, "eq", 0, "miss");
}

function checkVariable(f: Finder): void {
  const { b } = f;
  const wantsSome = b.fresh("variable");
  b.set(s.left, first);
  b.call("variable");
  b.branch(second, "ne", 0, wantsSome);
  b.branch(s.value, "ne", 0, "miss");
  b.jump("check.next");
  b.label(wantsSome);
  b.branch(s.value, "eq", 0, "miss");
  b.set(s.left, s.value);
  b.alu("add", s.right, second, f.entry);
  b.call("same");
  b.branch(s.result, "eq", 0, "miss");
}

function checkUname({ b, uname }: Finder): void {
  b.must("uname", [uname]);
  b.set(s.left, uname);
  b.set(s.right, first);
  b.set(s.length, unameSize);
  b.call("compare");
}

function checkIds({ b }: Finder): void {
  for (const [index, name] of ["getuid", "geteuid", "getgid", "getegid"].entries()) {
    b.attempt(name, [], s.result);
    b.load(8, s.other, first, 8 * index);
    b.branch(s.result, "ne", s.other, "miss");
  }
}

export function checkSubroutines({ b, content, fdName }: Finder): void {
  b.comment("misses where length bytes at left and right differ");
  b.label("compare");
  b.branch(s.length, "eq", 0, "compare.end");
  b.load(1, s.byte, s.left);
  b.load(1, s.other, s.right);
  b.branch(s.byte, "ne", s.other, "miss");
  b.alu("add", s.left, s.left, 1);
  b.alu("add", s.right, s.right, 1);
  b.alu("sub", s.length, s.length, 1);
  b.jump("compare");
  b.label("compare.end");
  b.return();

  b.comment("value := that of the variable at left, `NAME=`, or 0");
  b.label("variable");
  const each = slot("eachVariable");
  const name = slot("variableName");
  b.set(each, s.envp);
  b.label("variable.next");
  b.load(8, s.value, each);
  b.branch(s.value, "eq", 0, "variable.end");
  b.alu("add", each, each, 8);
  b.set(name, s.left);
  b.label("variable.letter");
  b.load(1, s.byte, name);
  b.branch(s.byte, "eq", 0, "variable.end");
  b.load(1, s.other, s.value);
  b.branch(s.byte, "ne", s.other, "variable.next");
  b.alu("add", name, name, 1);
  b.alu("add", s.value, s.value, 1);
  b.jump("variable.letter");
  b.label("variable.end");
  b.return();

  b.comment("content := where the fd leads, of the length length; closes it");
  b.label("realPath");
  const digits = slot("digits");
  const number = slot("number");
  b.set(number, s.fd);
  // `/proc/self/fd/` has 14 bytes; leading zeros would name nothing.
  b.set(digits, at(fdName, 63));
  b.label("realPath.digit");
  b.alu("sub", digits, digits, 1);
  b.alu("rem", s.byte, number, 10);
  b.alu("add", s.byte, s.byte, "0".charCodeAt(0));
  b.store(1, digits, 0, s.byte);
  b.alu("div", number, number, 10);
  b.branch(number, "ne", 0, "realPath.digit");
  const directory = "/proc/self/fd/";
  b.alu("sub", digits, digits, directory.length);
  for (const [index, letter] of [...directory].entries()) {
    b.store(1, digits, index, letter.charCodeAt(0));
  }
  b.must("readlinkat", [k("AT_FDCWD"), digits, content, contentSize - 1], s.length);
  b.alu("add", s.right, content, s.length);
  b.store(1, s.right, 0, 0);
  b.ignore("it was ours", "close", [s.fd]);
  b.return();
}

export function sameSubroutine({ b }: Finder): void {
  b.comment("result := whether the strings at left and right are the same");
  b.label("same");
  b.set(s.result, 0);
  b.load(1, s.byte, s.left);
  b.load(1, s.other, s.right);
  b.branch(s.byte, "ne", s.other, "same.end");
  b.alu("add", s.left, s.left, 1);
  b.alu("add", s.right, s.right, 1);
  b.branch(s.byte, "ne", 0, "same");
  b.set(s.result, 1);
  b.label("same.end");
  b.return();
}
