/** The entry: the only place that reads argv and sets the exit status. */
import { writeSync } from "node:fs";
import { renderProblem, SbxError } from "../spec/error.js";
import { type OptionTable, runOptions, unshareOptions } from "./options.js";
import { asksForHelp } from "./parse.js";
import { run, runFromMemory } from "./run.js";

const argv = process.argv.slice(2);
/** The commands that become a program, with their options: the launcher knows them too. */
const compiled = new Map<string | undefined, OptionTable>([
  ["run", runOptions],
  ["unshare", unshareOptions],
]);

try {
  const [command, ...words] = argv;
  const table = compiled.get(command);
  if (command === "--memfd") await runFromMemory(argv);
  else if (table !== undefined && !asksForHelp(words, table)) await run(argv);
  else if (command === "seccomp" && !argv.includes("--help")) {
    process.exitCode = await (await import("./seccomp.js")).seccomp(argv.slice(1));
  } else process.exitCode = await (await import("./cli.js")).cli(argv);
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  // Not through process.stderr, which would leave O_NONBLOCK on a pipe that others write to.
  for (const problem of error.problems) writeSync(2, `${renderProblem(problem)}\n`);
  process.exitCode = error.exitCode;
}
