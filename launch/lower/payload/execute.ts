/** The payload's last step: execve, of what is put together before the others. */
import { actionOf, type Context, s, stepOf } from "../context.js";
import { command, environment, runSubroutine, searchAndRun } from "./search.js";
import { makeArguments, makeEnvironment, vector, vectorSubroutines } from "./vectors.js";

/** Before any step of the payload's: what a filter must let through for execve is execve alone. */
export function prepareExecute(c: Context): void {
  const { b } = c;
  const action = actionOf(c, "execve");
  if (action === undefined) return;
  b.comment("the command's environment and words");
  b.set(s.step, stepOf(c, "execve"));
  makeEnvironment(c, action);
  b.set(environment, vector);
  makeArguments(c, action);
}

/** The step itself. */
export function execute(c: Context): void {
  c.b.load(8, command, vector);
  searchAndRun(c);
}

export function executeSubroutines(c: Context): void {
  vectorSubroutines(c);
  runSubroutine(c);
}
