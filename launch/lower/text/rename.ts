/** What a process is called by those who list processes. */
import { slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import { type Context, s } from "../context.js";

/** This process, and all of its arguments, are called by that name from now on. */
export function rename({ b }: Context, to: string): void {
  const name = b.text(to);
  const argument = slot("argument");
  const place = slot("place");
  const letter = slot("letter");
  const written = slot("written");
  const next = b.fresh("rename");
  const overwrite = b.fresh("overwrite");
  const done = b.fresh("renamed");
  b.ignore("a name is a courtesy", "prctl", [k("PR_SET_NAME"), name, 0, 0, 0]);
  b.set(written, name);
  b.set(argument, s.argv);
  b.label(next);
  b.load(8, place, argument);
  b.branch(place, "eq", 0, done);
  b.alu("add", argument, argument, 8);
  b.label(overwrite);
  b.load(1, letter, place);
  b.branch(letter, "eq", 0, next);
  b.load(1, letter, written);
  b.store(1, place, 0, letter);
  b.alu("add", place, place, 1);
  b.branch(letter, "eq", 0, overwrite);
  b.alu("add", written, written, 1);
  b.jump(overwrite);
  b.label(done);
}
