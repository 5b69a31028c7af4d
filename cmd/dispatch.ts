/** From the words of a command line to the command; the only place that sets the exit status. */
import { writeSync } from "node:fs";
import { isSystemError } from "../launch/facts/system-error.js";
import { renderProblem, SbxError } from "../spec/error.js";
import { liveCommands } from "./options/live.js";
import type { OptionTable } from "./options/option.js";
import { compileOptions, createOptions, runOptions, unshareOptions } from "./options/run.js";
import { asksForHelp } from "./parse.js";
import { run, runFromMemory } from "./run.js";

/** The commands that become a program, with their options: the launcher knows them too. */
const compiled = new Map<string | undefined, OptionTable>([
  ["run", runOptions],
  ["create", createOptions],
  ["unshare", unshareOptions],
  ["start", liveCommands.start.options],
  ["restart", liveCommands.restart.options],
  ["attach", liveCommands.attach.options],
  ["exec", liveCommands.exec.options],
]);

/** The commands that parse their own words. */
const selfParsed = {
  compile: async () => (await import("./compile.js")).compile,
  seccomp: async () => (await import("./seccomp.js")).seccomp,
  network: async () => (await import("./network.js")).network,
  cache: async () => (await import("./cache.js")).cache,
  port: async () => (await import("./port.js")).port,
  stats: async () => (await import("./stats.js")).stats,
  top: async () => (await import("./top.js")).top,
  pause: async () => (await import("./pause.js")).pause,
  unpause: async () => (await import("./pause.js")).unpause,
  stop: async () => (await import("./stop.js")).stop,
  kill: async () => (await import("./stop.js")).kill,
  wait: async () => (await import("./wait.js")).wait,
  ps: async () => (await import("./ps.js")).ps,
  inspect: async () => (await import("./inspect.js")).inspect,
  cp: async () => (await import("./cp.js")).cp,
  export: async () => (await import("./export.js")).exportRoot,
  // The other side of these two, in the sandbox's id map: nothing for people.
  "--copy": async () => (await import("./copy-side.js")).copySide,
  rename: async () => (await import("./rename.js")).rename,
  rm: async () => (await import("./rm.js")).rm,
  prune: async () => (await import("./rm.js")).prune,
  events: async () => (await import("./events.js")).events,
  logs: async () => (await import("./logs.js")).logs,
};
const isSelfParsed = (command: string | undefined): command is keyof typeof selfParsed =>
  command !== undefined && Object.hasOwn(selfParsed, command);
/** What follows ROOTFS is the command's. */
const needsHelp = (command: string, words: readonly string[]): boolean =>
  command === "compile" ? asksForHelp(words, compileOptions) : words.includes("--help");

/** `argv` is what follows `sbx`. */
export async function dispatch(argv: readonly string[]): Promise<void> {
  try {
    const [command, ...words] = argv;
    const table = compiled.get(command);
    if (command === "--memfd") await runFromMemory(argv);
    else if (table !== undefined && !asksForHelp(words, table)) await run(argv);
    else if (isSelfParsed(command) && !needsHelp(command, words)) {
      const carryOut = await selfParsed[command]();
      process.exitCode = await carryOut(words);
    } else process.exitCode = await (await import("./cli.js")).cli(argv);
  } catch (thrown) {
    // A full disk, or a limit, may show anywhere.
    const error = isSystemError(thrown)
      ? new SbxError([{ what: argv[0] ?? "start", why: thrown.message }])
      : thrown;
    if (!(error instanceof SbxError)) throw error;
    // Not through process.stderr, which would leave O_NONBLOCK on a pipe that others write to.
    for (const problem of error.problems) writeSync(2, `${renderProblem(problem)}\n`);
    process.exitCode = error.exitCode;
  }
}
