/** Every command but a plain `run`, and all help: the only file that loads yargs. */
import { readFileSync } from "node:fs";
import yargs from "yargs";
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { commands, completionScript, type Shell, shells } from "./completion.js";
import { explainOptions } from "./explain.js";
import { runOptions } from "./options.js";
import { asksForHelp } from "./parse.js";

/** Carries the command line out, and gives the exit status. */
export async function cli(argv: readonly string[]): Promise<number> {
  process.stdout.on("error", stopAtClosedPipe);
  // The options of a run are not left to yargs: what follows ROOTFS is the command's.
  if (argv[0] === "explain" && argv[1] === "run" && !asksForHelp(argv.slice(2), explainOptions)) {
    const { explain } = await import("./explain.js");
    print(await explain(argv.slice(2)));
    return 0;
  }
  let status = 0;
  const words = argv[0] === "help" ? [...argv.slice(1), "--help"] : [...argv];
  await yargs()
    .scriptName("sbx")
    .usage("$0 COMMAND\n\nIsolated Linux containers without root.")
    .command(["run [options] ROOTFS [COMMAND..]"], commands.run, (y) =>
      y
        .usage(
          "$0 run [options] ROOTFS [COMMAND…]\n\nRuns a command, or a shell, in a sandbox made of ROOTFS: a directory, or / for a\nthrow-away copy of this machine's own root. Options end at ROOTFS.",
        )
        .options(runOptions)
        .example("$0 run / bash", "a shell in a copy of this machine; changes vanish")
        .example("$0 run ./debian apt list", "a command in a directory, which stays as it is")
        .example("$0 run --in-place -w /src ./debian make", "changes go into the directory")
        .example("$0 run --read-only --user nobody ./debian id", "look, but don't touch")
        .example("$0 run -e LANG --ulimit nofile=256 / ./job", "a variable of yours, a limit"),
    )
    .command("explain run [options] ROOTFS [COMMAND..]", commands.explain, (y) =>
      y
        .usage(
          "$0 explain run [options] ROOTFS [COMMAND…]\n\nShows what that run would do, and does nothing.",
        )
        .options(explainOptions)
        .example("$0 explain run ./debian", "the steps, in their order")
        .example("$0 explain run --stage=program / true", "the program, like an annotated strace"),
    )
    .command(
      "check",
      commands.check,
      (y) =>
        y
          .option("json", { type: "boolean", default: false, describe: "Print one JSON object" })
          .example("$0 check", "what is there, what is missing, how to mend it"),
      async ({ json }) => {
        const { check } = await import("./check.js");
        status = await check({ json });
      },
    )
    .command(
      "completion <shell>",
      commands.completion,
      (y) =>
        y
          .positional("shell", { type: "string", choices: shells, demandOption: true })
          .example(
            "$0 completion bash > ~/.local/share/bash-completion/completions/sbx",
            "for bash",
          ),
      ({ shell }) => print(completionScript(shell as Shell)),
    )
    .help("help", "Show help")
    .version(version())
    .wrap(Math.min(100, Number(process.env.COLUMNS) || 100))
    .demandCommand(1, "")
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      if (error) throw error;
      refuse(argv, message);
    })
    .parseAsync(words);
  return status;
}

/** What yargs does not understand, in words of ours. */
function refuse([word]: readonly string[], message: string): never {
  if (word === undefined) {
    fail(
      "sbx",
      "no command is given",
      `There are ${Object.keys(commands).join(", ")}: see sbx --help`,
    );
  }
  if (!(word in commands) && !word.startsWith("-")) {
    fail(
      `sbx ${word}`,
      "no such command",
      didYouMean(word, Object.keys(commands)) ?? "See sbx --help",
    );
  }
  fail(
    `sbx ${word}`,
    message.replace(/\s*\n\s*/g, ", "),
    `See sbx ${word in commands ? `${word} ` : ""}--help`,
  );
}

/** As other programs do by SIGPIPE, which Node ignores: `sbx explain run / | head` is no failure. */
function stopAtClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

function print(text: string): void {
  process.stdout.write(text);
}

/** package.json lies beside dist/ and, where the sources are run, beside cmd/. */
function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return version;
}
