/** Every command but a plain `run`, and all help: the only file that loads yargs. */
import type { Argv } from "yargs";
import yargs from "yargs";
import { refuse, understood } from "./complaints.js";
import {
  commands,
  completionScript,
  families,
  type Shell,
  shells,
  volumeCommands,
} from "./completion.js";
import { type LiveCommand, liveCommands } from "./options/live.js";
import { limitOptions } from "./options/resources.js";
import {
  compileOptions,
  createOptions,
  explainOptions,
  runOptions,
  unshareOptions,
} from "./options/run.js";
import { asksForHelp } from "./parse.js";
import { print } from "./print.js";
import { version } from "./version.js";

/** Carries the command line out, and gives the exit status. */
export async function cli(argv: readonly string[]): Promise<number> {
  // The options of a run are not left to yargs: what follows ROOTFS is the command's.
  if (argv[0] === "explain" && argv[1] === "run" && !asksForHelp(argv.slice(2), explainOptions)) {
    const { explain } = await import("./explain.js");
    print(await explain(argv.slice(2)));
    return 0;
  }
  if (argv[0] === "update" && !argv.includes("--help")) {
    return (await import("./update.js")).update(argv.slice(1));
  }
  const words = understood(argv[0] === "help" ? [...argv.slice(1), "--help"] : argv, argv);
  let status = 0;
  const all = yargs()
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
    .command("create [options] ROOTFS [COMMAND..]", commands.create, (y) =>
      y
        .usage(
          "$0 create [options] ROOTFS [COMMAND…]\n\nMakes what sbx start runs in the background, and prints its ID. Options are those of sbx run.",
        )
        .options(createOptions)
        .example("$0 create --name web -p 8080:80 ./site ./serve", "for sbx start web"),
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
    .command("compile [options] ROOTFS [COMMAND..]", commands.compile, (y) =>
      y
        .usage(
          "$0 compile -o FILE [options] ROOTFS [COMMAND…]\n\nWrites the program of that run to FILE, which starts the sandbox without sbx and Node. Its\narguments are a command in COMMAND's stead; FILE --sbx-info tells what it was made from.",
        )
        .options(compileOptions)
        .example("$0 compile -o job ./debian make", "./job runs make, ./job CC=cc -v that")
        .example("$0 compile --userns=single -o job ./debian", "for whoever starts it")
        .example("$0 compile --arch=aarch64 -o job ./debian", "for another machine"),
    )
    .command(
      "volume <command> [name..]",
      commands.volume,
      (y) =>
        y
          .positional("command", { type: "string", choices: volumeCommands, demandOption: true })
          .positional("name", { type: "string", array: true, default: [] as string[] })
          .option("json", { type: "boolean", default: false, describe: "ls: print JSON" })
          .option("quiet", {
            alias: "q",
            type: "boolean",
            default: false,
            describe: "ls: only names",
          })
          .option("all", {
            alias: "a",
            type: "boolean",
            default: false,
            describe: "inspect, rm: all",
          })
          .option("force", {
            alias: "f",
            type: "boolean",
            default: false,
            describe: "rm: pass over what is absent; prune: do not ask",
          })
          .example("$0 volume create data", "a volume for sbx run -v data:/data")
          .example("$0 volume prune -f", "remove all that no sandbox uses"),
      async ({ command, name: names, ...flags }) => {
        const { volume } = await import("./volume.js");
        status = await volume(command as (typeof volumeCommands)[number], { names, ...flags });
      },
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
    .command("unshare [options] [COMMAND..]", commands.unshare, (y) =>
      y
        .usage(
          "$0 unshare [options] [COMMAND…]\n\nRuns a command, or $SHELL, as root of the id map that a sandbox has, with nothing else\nof one: for files that a sandbox wrote as other ids.",
        )
        .options(unshareOptions)
        .example("$0 unshare ls -ln ./upper", "owners as the sandbox knows them"),
    )
    .command("update [options] NAME..", commands.update, (y) =>
      y
        .usage(
          "$0 update [options] NAME…\n\nChanges limits of running sandboxes: all that are given, or none of a sandbox's.",
        )
        .options(limitOptions)
        .example("$0 update -m 1g --cpus 2 build", "more for the sandbox of that name")
        .example("$0 update --pids-limit=-1 build", "one limit less"),
    )
    .command(
      "diff <sandbox>",
      commands.diff,
      (y) =>
        y
          .positional("sandbox", {
            type: "string",
            demandOption: true,
            describe: "A sandbox; or a kept upper, which is named with a slash, as ./upper",
          })
          .option("lower", {
            type: "string",
            array: true,
            nargs: 1,
            describe: "What lies below, if not as the upper was made (repeatable, topmost first)",
          })
          .option("json", { type: "boolean", default: false, describe: "Print one JSON object" })
          .example("$0 diff web", "what it adds (A), changes (C) and deletes (D)"),
      async ({ sandbox, lower, json }) => {
        const { diff } = await import("./diff.js");
        status = await diff(sandbox, { lower, json });
      },
    )
    .command("seccomp", commands.seccomp, (y) => {
      withCommands(y, "seccomp");
      y.usage(
        "$0 seccomp COMMAND\n\nProfiles in the form of podman, docker or an OCI config.json. FILE may be - for\nstandard input, or default, the profile that sbx run takes.",
      )
        .example("$0 seccomp check profile.json", "what is wrong, with line and path")
        .example("$0 seccomp compile --format=asm default", "the filter, to read")
        .example("$0 seccomp explain clone 0x10000000", "why a call is refused")
        .example("$0 seccomp diff default profile.json", "what either allows more");
    })
    .command("network", commands.network, (y) => {
      withCommands(y, "network");
      y.usage(
        "$0 network COMMAND\n\nNetworks on which sandboxes reach one another by name: sbx run --network=NAME.",
      )
        .example("$0 network create lab", "with a subnet that is free")
        .example("$0 network create --internal --ipv6 quiet", "without a way out")
        .example("$0 network inspect lab", "its addresses, and who is on it");
    })
    .command("cache", commands.cache, (y) => {
      withCommands(y, "cache");
      y.usage(
        "$0 cache COMMAND\n\nPrograms that were compiled by sbx run, which the same words use again.",
      );
    })
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
    );
  for (const [name, { words, usage, options }] of Object.entries(liveCommands)) {
    all.command(
      `${name} ${words.replaceAll("…", "..")}`.trim(),
      commands[name as LiveCommand],
      (y) => y.usage(`$0 ${name} ${words}\n\n${usage}`).options(options),
    );
  }
  await all
    .help("help", "Show help")
    .version(version())
    .wrap(Math.min(100, Number(process.env.COLUMNS) || process.stdout.columns || 100))
    .parserConfiguration({ "sort-commands": true })
    .demandCommand(1, "")
    .strict()
    .exitProcess(false)
    .fail((message: string | null, error) => {
      if (error) throw error;
      refuse(argv, message);
    })
    .parseAsync(words);
  return status;
}

/** The help of the commands that a command has; each parses its own words. */
function withCommands(y: Argv, family: keyof typeof families): void {
  for (const [name, { words, describe, options }] of Object.entries(families[family])) {
    y.command(`${name} ${words}`, describe, (each) =>
      each.usage(`$0 ${family} ${name} [options] ${words}\n\n${describe}.`).options(options),
    );
  }
}
