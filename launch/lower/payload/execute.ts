/**
 * The payload's last steps: its environment and arguments, which are inputs of the program at run
 * time, the search in PATH, and execve.
 */
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Value } from "../../machine/ir.js";
import { type Context, failWithResult, pseudoErrno, s, scratchSize } from "../context.js";
import { leaveFailure, putShared } from "../shared.js";

const vector = slot("vector");
const end = slot("vectorEnd");
const entry = slot("entry");
const cursor = slot("cursor");
const other = slot("otherEntry");
const left = slot("left");
const right = slot("right");
const same = slot("same");
const size = slot("size");
const environment = slot("environment");
const command = slot("command");
const byte = slot("byte");
const path = slot("path");
const out = slot("out");
const word = slot("word");
/** 1 the second time, when the ENOENT of a file that is there is known to be its interpreter's. */
const isLooking = slot("isLooking");

/** Before any step of the payload's: what a filter must let through for execve is execve alone. */
export function prepareExecute(c: Context): void {
  const { b, plan } = c;
  const number = plan.steps.findIndex(({ action }) => action.kind === "execve");
  const action = plan.steps[number]?.action;
  if (action?.kind !== "execve") return;
  b.comment("the command's environment and words");
  b.set(s.step, number);
  makeEnvironment(c, action);
  b.set(environment, vector);
  makeArguments(c, action);
}

/** The step itself. */
export function execute(c: Context): void {
  c.b.load(8, command, vector);
  searchAndRun(c);
}

/** Precedence: names asked for, then settings, then all that the caller has. The first of a name wins. */
function makeEnvironment(c: Context, action: ActionOf<"execve">): void {
  const { b } = c;
  const settings = action.environment.length + action.inherited.length;
  countCallers(c);
  b.alu("add", size, size, settings + 1);
  allocate(c);
  if (action.inherited.length > 0) {
    eachCallers(c, () => {
      const next = b.fresh("inherit");
      const take = b.fresh("inherit");
      for (const name of action.inherited) {
        b.set(other, b.text(`${name}=`));
        b.call("name.same");
        b.branch(same, "ne", 0, take);
      }
      b.jump(next);
      b.label(take);
      b.call("vector.add");
      b.label(next);
    });
  }
  for (const setting of action.environment) {
    b.set(entry, b.text(setting));
    b.call("vector.add");
  }
  if (action.inheritAll) eachCallers(c, () => b.call("vector.add"));
  b.store(8, end, 0, 0);
}

function countCallers({ b }: Context): void {
  const next = b.fresh("count");
  const counted = b.fresh("count");
  b.set(size, 0);
  b.set(cursor, s.envp);
  b.label(next);
  b.load(8, entry, cursor);
  b.branch(entry, "eq", 0, counted);
  b.alu("add", size, size, 1);
  b.alu("add", cursor, cursor, 8);
  b.jump(next);
  b.label(counted);
}

/** For each variable of the caller's: `body` with it in `entry`. */
function eachCallers({ b }: Context, body: () => void): void {
  const callers = slot("callers");
  const next = b.fresh("each");
  const done = b.fresh("each");
  b.set(callers, s.envp);
  b.label(next);
  b.load(8, entry, callers);
  b.branch(entry, "eq", 0, done);
  b.alu("add", callers, callers, 8);
  body();
  b.jump(next);
  b.label(done);
}

/** Memory for `size` words, at `vector` and, to be filled from there, at `end`. */
function allocate({ b }: Context): void {
  b.alu("shl", size, size, 3);
  b.must(
    "mmap",
    [0, size, k("PROT_READ", "PROT_WRITE"), k("MAP_PRIVATE", "MAP_ANONYMOUS"), -1, 0],
    vector,
  );
  b.set(end, vector);
}

/** The prefix, then the program's own arguments, or the fallback where it has none. */
function makeArguments(c: Context, action: ActionOf<"execve">): void {
  const { b } = c;
  const push = (value: Value) => {
    b.store(8, end, 0, value);
    b.alu("add", end, end, 8);
  };
  b.alu("add", size, s.argc, action.prefix.length + action.fallback.length + 1);
  allocate(c);
  for (const argument of action.prefix) push(b.text(argument));
  const given = b.fresh("given");
  const done = b.fresh("arguments");
  b.branch(s.argc, "gt", 1, given);
  if (action.prefix.length === 0) for (const argument of action.fallback) push(b.text(argument));
  b.jump(done);
  b.label(given);
  b.alu("add", cursor, s.argv, 8);
  const next = b.fresh("argument");
  b.label(next);
  b.load(8, entry, cursor);
  b.branch(entry, "eq", 0, done);
  push(entry);
  b.alu("add", cursor, cursor, 8);
  b.jump(next);
  b.label(done);
  b.store(8, end, 0, 0);
}

/**
 * As execvp(3) looks a command up, in the PATH of the new environment, but never running a shell. Only
 * when nothing could be executed it looks a second time, for a file that is there: a filter may be in
 * force by then that kills who asks.
 */
function searchAndRun(c: Context): void {
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

export function executeSubroutines(c: Context): void {
  const { b } = c;
  b.comment("same := whether entry and otherEntry name the same variable");
  b.label("name.same");
  b.set(left, entry);
  b.set(right, other);
  b.set(same, 0);
  b.label("name.same.letter");
  const mirror = slot("mirror");
  b.load(1, byte, left);
  b.load(1, mirror, right);
  b.branch(byte, "ne", mirror, "name.same.end");
  b.branch(byte, "eq", 0, "name.same.end");
  b.alu("add", left, left, 1);
  b.alu("add", right, right, 1);
  b.branch(byte, "ne", "=".charCodeAt(0), "name.same.letter");
  b.set(same, 1);
  b.label("name.same.end");
  b.return();

  b.comment("add entry to the vector unless its name is there");
  b.label("vector.add");
  const known = slot("known");
  b.set(known, vector);
  b.label("vector.add.next");
  b.branch(known, "eq", end, "vector.add.append");
  b.load(8, other, known);
  b.call("name.same");
  b.branch(same, "ne", 0, "vector.add.end");
  b.alu("add", known, known, 8);
  b.jump("vector.add.next");
  b.label("vector.add.append");
  b.store(8, end, 0, entry);
  b.alu("add", end, end, 8);
  b.label("vector.add.end");
  b.return();

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
