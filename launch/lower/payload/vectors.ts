/** The environment and the arguments of the command, which are inputs of the program at run time. */
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Value } from "../../machine/ir.js";
import { type Context, s } from "../context.js";

/** What is being made, or was made last: an array of strings that ends with a null. */
export const vector = slot("vector");
const end = slot("vectorEnd");
export const entry = slot("entry");
export const cursor = slot("cursor");
export const other = slot("otherEntry");
const left = slot("left");
const right = slot("right");
export const same = slot("same");
const size = slot("size");
export const byte = slot("byte");

/** Precedence: names asked for, then settings, then all that the caller has. The first of a name wins. */
export function makeEnvironment(c: Context, action: ActionOf<"execve">): void {
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
export function makeArguments(c: Context, action: ActionOf<"execve">): void {
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

export function vectorSubroutines({ b }: Context): void {
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
}
