/**
 * Parsing of `sbx run`'s command line. The options are those of the table in options/run.ts; the
 * parser is this file's own, because it runs whenever Node does on the way to a sandbox:
 * yargs/helpers, which would give yargs's parser, brings all of yargs's helpers along (bundled it
 * adds 30 ms to the 60 ms of a bare Node 20). yargs itself prints the help, from the same table.
 */
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import {
  type FlagsOf,
  longNames,
  type Option,
  type OptionTable,
  optionNamed,
} from "./options/option.js";
import { whyNoOption } from "./options/resources.js";
import { type Flags, runOptions } from "./options/run.js";
import { checkValue } from "./values.js";

/** Options as given, and how many words of argv they and a `--` after them take. */
interface Options {
  flags: Record<string, string | string[] | boolean>;
  count: number;
  help: boolean;
}

export interface ParsedRun<F = Flags> {
  readonly flags: F;
  readonly rootfs: string;
  /** Empty where no command is given. */
  readonly command: string[];
  /** How many leading words of argv come before the command's own. */
  readonly commandIndex: number;
}

/**
 * Parses the words after `run`. The first word that is no option is ROOTFS, whatever follows it is
 * the command's. Of a single-valued option that is repeated the last one counts. Fails on an
 * unknown option, a missing value, a value that the option does not take, and a missing ROOTFS.
 */
export function parseRun(argv: readonly string[]): ParsedRun;
export function parseRun<T extends OptionTable>(
  argv: readonly string[],
  table: T,
): ParsedRun<FlagsOf<T>>;
export function parseRun(argv: readonly string[], table: OptionTable = runOptions): ParsedRun {
  const { flags, command, commandIndex } = parseCommand(argv, table);
  const [rootfs] = command;
  if (rootfs === undefined) {
    fail(
      "run",
      "no ROOTFS is given",
      "Name a directory, or / for a copy of this machine's own root: sbx run / sh",
    );
  }
  if (rootfs === "") {
    fail(
      "ROOTFS",
      "must not be empty",
      "Name a directory, or / for a copy of this machine's own root",
    );
  }
  return { flags, rootfs, command: command.slice(1), commandIndex: commandIndex + 1 };
}

/** Parses options of the table; from the first other word on all is the command, which may be empty. */
export function parseCommand<T extends OptionTable>(
  argv: readonly string[],
  table: T,
): Omit<ParsedRun<FlagsOf<T>>, "rootfs"> {
  const { flags, count } = readOptions(argv, table);
  return { flags: flags as FlagsOf<T>, command: argv.slice(count), commandIndex: count };
}

/**
 * Parses the words of a command whose options may stand anywhere, up to a `--`. Fails on an unknown
 * option, a missing value and a value that the option does not take.
 */
export function parseWords<T extends OptionTable>(
  argv: readonly string[],
  table: T,
): { readonly flags: FlagsOf<T>; readonly words: readonly string[] } {
  const options: Options = { flags: {}, count: 0, help: false };
  const words: string[] = [];
  for (;;) {
    readOptions(argv, table, options);
    const word = argv[options.count];
    const isEnd = argv[options.count - 1] === "--";
    if (word === undefined || isEnd) {
      words.push(...argv.slice(options.count));
      return { flags: options.flags as FlagsOf<T>, words };
    }
    words.push(word);
    options.count++;
  }
}

/** Whether `--help` is among the options, before ROOTFS and before anything that is wrong. */
export function asksForHelp(argv: readonly string[], table: OptionTable = runOptions): boolean {
  // A line that asks for help may be wrong in other ways: only the words up to --help count.
  const index = argv.indexOf("--help");
  if (index < 0) return false;
  try {
    const { help, count } = readOptions(argv.slice(0, index + 1), table);
    return help && count === index + 1;
  } catch {
    // Wrong before --help: the parse of the whole line says what.
    return false;
  }
}

function readOptions(
  argv: readonly string[],
  table: OptionTable,
  options: Options = { flags: {}, count: 0, help: false },
): Options {
  while (options.count < argv.length) {
    const word = argv[options.count] as string;
    if (word === "--") {
      options.count++;
      break;
    }
    // A lone dash is no option, getopt(3), nor is a number.
    if (!/^-\D/.test(word)) break;
    options.count++;
    if (word === "--help") options.help = true;
    else if (word.startsWith("--")) readLong(word, argv, options, table);
    else readCluster(word, argv, options, table);
  }
  return options;
}

/** `--name`, `--name value`, `--name=value` or `--no-name`. */
function readLong(
  word: string,
  argv: readonly string[],
  options: Options,
  table: OptionTable,
): void {
  const equals = word.indexOf("=");
  const given = word.slice(2, equals < 0 ? undefined : equals);
  const attached = equals < 0 ? null : word.slice(equals + 1);
  const name = given.length > 1 ? optionNamed(table, given) : null;
  if (name !== null) {
    take(name, `--${given}`, attached, argv, options, table);
    return;
  }
  const negated = given.startsWith("no-") ? optionNamed(table, given.slice(3)) : null;
  if (negated !== null && table[negated]?.type === "boolean") {
    if (attached !== null) fail(word, `--${given} takes no value`);
    options.flags[negated] = false;
    return;
  }
  if (negated !== null) fail(`--${given}`, `--${negated} takes a value and cannot be negated`);
  const reason = whyNoOption(given);
  if (reason !== null) fail(`--${given}`, ...reason);
  const near = didYouMean(
    `--${given}`,
    longNames(table).flatMap((long) =>
      table[long]?.type === "boolean" ? [`--${long}`, `--no-${long}`] : [`--${long}`],
    ),
  );
  fail(`--${given}`, "no such option", near ?? "--help lists the options");
}

/** `-it`, `-u0`, `-u 0`, `-eK=V`: flags, of which the last may take a value. */
function readCluster(
  word: string,
  argv: readonly string[],
  options: Options,
  table: OptionTable,
): void {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] as string;
    const name = optionNamed(table, letter);
    if (name === null) {
      const long = `-${word}`;
      const meant = optionNamed(table, word.slice(1)) !== null && word.length > 2;
      fail(
        `-${letter}`,
        word.length > 2 ? `no such option, in ${word}` : "no such option",
        meant ? `Did you mean ${long}?` : "--help lists the options",
      );
    }
    const rest = word.slice(at + 1);
    if (table[name]?.type === "boolean") {
      if (rest.startsWith("=")) {
        take(name, `-${letter}`, rest.slice(1), argv, options, table);
        return;
      }
      options.flags[name] = true;
      continue;
    }
    const attached = rest === "" ? null : rest.replace(/^=/, "");
    take(name, `-${letter}`, attached, argv, options, table);
    return;
  }
}

/** -h is help to many: here it is the host name, as it is to podman and docker. */
function whatItTakes(shown: string, option: Option | undefined): string | undefined {
  return shown === "-h" ? `${option?.describe}; for help, sbx run --help` : option?.describe;
}

/** Sets one option, from the value attached to its name or the word that follows. */
function take(
  name: string,
  shown: string,
  attached: string | null,
  argv: readonly string[],
  options: Options,
  table: OptionTable,
): void {
  const option = table[name];
  if (option?.type === "boolean") {
    if (attached !== null && attached !== "true" && attached !== "false") {
      fail(`${shown}=${attached}`, "must be true or false");
    }
    options.flags[name] = attached !== "false";
    return;
  }
  const value = attached ?? argv[options.count];
  if (value === undefined) fail(shown, "needs a value", whatItTakes(shown, option));
  if (attached === null) options.count++;
  checkValue(name, value, `${shown} ${value}`.trimEnd(), table);
  const before = options.flags[name];
  options.flags[name] =
    option?.array === true ? [...(Array.isArray(before) ? before : []), value] : value;
}
