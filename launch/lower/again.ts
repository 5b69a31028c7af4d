/**
 * A program of the cache is given all the words that the launcher was given, and knows how many of them
 * its options take. Where its set-up fails, the cause may be what changed since it was compiled: it has
 * a fresh one compiled, whose failure is the truth.
 */
import { slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import { type Context, pathSize, s, stepOf } from "./context.js";
import { isReady } from "./control.js";
import { failure } from "./shared.js";

/** The launcher's first argument when it is to have Node compile. */
export const coldWord = "--cold";

/** How a program is found again. */
export interface Again {
  /** The launcher's path, absolute. */
  readonly launcher: string;
  /** How many words come before the command's. */
  readonly words: number;
}

const isWarm = slot("isWarm");

/** With the arguments read. The finder calls the program `sbx`; the launcher by its path. */
export function skipOptions(c: Context): void {
  if (c.again === null) return;
  const { b } = c;
  const cold = b.fresh("cold");
  const name = slot("ownName");
  b.set(isWarm, 0);
  b.load(8, name, s.argv);
  b.load(1, name, name);
  b.branch(name, "eq", "/".charCodeAt(0), cold);
  b.set(isWarm, 1);
  b.alu("add", s.argv, s.argv, 8 * c.again.words);
  b.alu("sub", s.argc, s.argc, c.again.words);
  b.ignore("chdir(2) will tell", "getcwd", [c.again.directory, pathSize]);
  b.label(cold);
}

/** Before a failure is told, when all that was begun is ended. The command's own faults stay what they are. */
export function startAgain(c: Context): void {
  if (c.again === null) return;
  const { b, memory } = c;
  const told = b.fresh("again");
  b.branch(isWarm, "eq", 0, told);
  b.branch(isReady, "ne", 0, told);
  b.branch(failure.step, "eq", stepOf(c, "execve"), told);
  b.orElse(told, "chdir", [c.again.directory]);
  b.orElse(told, "rt_sigprocmask", [k("SIG_SETMASK"), memory.callerSignals, 0, 8]);
  b.comment("LAUNCHER --cold ARGUMENT…: the two stand where argc and argv[0] were");
  const words = slot("againWords");
  const launcher = b.text(c.again.launcher);
  b.alu("sub", words, s.argv, 8 * c.again.words + 8);
  b.store(8, words, 0, launcher);
  b.store(8, words, 8, b.text(coldWord));
  b.ignore("the failure is told then", "execve", [launcher, words, s.envp]);
  b.label(told);
}
