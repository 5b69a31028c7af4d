/** The search for the command in PATH, and execve(2). */
import { slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import { type Context, failWithResult, s, scratchSize } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { leaveFailure, putShared } from "../shared.js";
import { byte, cursor, entry, other, same, vector } from "./vectors.js";

export const command = slot("command");
export const environment = slot("environment");
const path = slot("path");
const out = slot("out");
const word = slot("word");
/** 1 the second time, when the ENOENT of a file that is there is known to be its interpreter's. */
const isLooking = slot("isLooking");

/**
 * As execvp(3) looks a command up, in the PATH of the new environment, but never running a shell. Only
 * when nothing could be executed it looks a second time, for a file that is there: a filter may be in
 * force by then that kills who asks.
 */
export function searchAndRun(c: Context): void {
  const { b, memory } = c;
  const limit = { ...memory.scratch, offset: scratchSize - 1 };
  const notFound = b.fresh("notFound");
  const wholeName = slot("failureSoFar");
  const again = b.fresh("again");
  const told = b.fresh("told");
  b.set(wholeName, minus("ENOENT"));
  b.set(isLooking, 0);
  b.label(again);

  const search = b.fresh("search");
  const scan = b.fresh("scan");
  b.set(cursor, command);
  b.load(1, byte, cursor);
  b.branch(byte, "eq", 0, notFound);
  b.label(scan);
  b.load(1, byte, cursor);
  b.branch(byte, "eq", 0, search);
  b.alu("add", cursor, cursor, 1);
  b.branch(byte, "ne", "/".charCodeAt(0), scan);
  b.set(path, command);
  b.call("command.run");
  b.set(wholeName, s.result);
  b.jump(notFound);

  b.label(search);
  b.set(cursor, b.text("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  findPath(c);
  const directory = b.fresh("directory");
  const copied = b.fresh("directory");
  const letter = b.fresh("letter");
  const name = b.fresh("name");
  const run = b.fresh("run");
  const next = b.fresh("next");
  b.label(directory);
  b.set(out, memory.scratch);
  b.label(letter);
  b.load(1, byte, cursor);
  b.branch(byte, "eq", 0, copied);
  b.branch(byte, "eq", ":".charCodeAt(0), copied);
  b.branch(out, "ge", limit, copied);
  b.store(1, out, 0, byte);
  b.alu("add", out, out, 1);
  b.alu("add", cursor, cursor, 1);
  b.jump(letter);
  b.label(copied);
  const named = b.fresh("named");
  b.branch(out, "ne", memory.scratch, named);
  b.store(1, out, 0, ".".charCodeAt(0));
  b.alu("add", out, out, 1);
  b.label(named);
  b.store(1, out, 0, "/".charCodeAt(0));
  b.set(word, command);
  b.label(name);
  b.alu("add", out, out, 1);
  b.branch(out, "ge", limit, next);
  b.load(1, byte, word);
  b.store(1, out, 0, byte);
  b.alu("add", word, word, 1);
  b.branch(byte, "ne", 0, name);
  b.label(run);
  b.set(path, memory.scratch);
  b.call("command.run");
  for (const name of ["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP"]) {
    b.branch(s.result, "eq", minus(name), next);
  }
  b.set(wholeName, s.result);
  b.branch(s.result, "eq", minus("EACCES"), next);
  b.jump(notFound);
  b.label(next);
  const skip = b.fresh("skip");
  b.label(skip);
  b.load(1, byte, cursor);
  b.branch(byte, "eq", 0, notFound);
  b.alu("add", cursor, cursor, 1);
  b.branch(byte, "ne", ":".charCodeAt(0), skip);
  b.jump(directory);

  b.label(notFound);
  b.branch(wholeName, "ne", minus("ENOENT"), told);
  b.branch(isLooking, "ne", 0, told);
  b.set(isLooking, 1);
  b.jump(again);
  b.label(told);
  b.set(s.result, wholeName);
  failWithResult(b);
}

/** Sets `cursor` to the value of PATH where the new environment has it. */
function findPath({ b }: Context): void {
  const next = b.fresh("path");
  const done = b.fresh("path");
  const variable = slot("variable");
  b.set(other, b.text("PATH="));
  b.set(variable, environment);
  b.label(next);
  b.load(8, entry, variable);
  b.branch(entry, "eq", 0, done);
  b.alu("add", variable, variable, 8);
  b.call("name.same");
  b.branch(same, "eq", 0, next);
  b.alu("add", cursor, entry, "PATH=".length);
  b.label(done);
}

export function runSubroutine(c: Context): void {
  const { b } = c;
  b.comment("execve path, or look for it; result := why not");
  b.label("command.run");
  b.branch(isLooking, "ne", 0, "command.look");
  putShared(c, "failed", 0);
  b.attempt("execve", [path, vector, environment], s.result);
  // A filter may be in the way of all that follows.
  b.alu("sub", s.errno, 0, s.result);
  leaveFailure(c);
  b.return();
  b.label("command.look");
  b.attempt("faccessat", [k("AT_FDCWD"), path, 0], byte);
  b.set(s.result, minus("ENOENT"));
  b.branch(byte, "ne", 0, "command.look.end");
  b.set(s.result, -pseudoErrno.noInterpreter);
  b.label("command.look.end");
  b.return();
}
