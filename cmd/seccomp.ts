/** `sbx seccomp`: profiles checked, compiled, explained and compared. */
import { isatty } from "node:tty";
import { compileFilter } from "../seccomp/compile.js";
import { describeDifference } from "../seccomp/difference.js";
import { explainCall } from "../seccomp/explain.js";
import { encodeFilter, type Instruction } from "../seccomp/instruction.js";
import { listFilter } from "../seccomp/listing.js";
import { resolveProfile, whyNot } from "../seccomp/resolve.js";
import type { RuleSet } from "../seccomp/rules.js";
import { fail, SbxError, visible } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { writeWhole } from "./files.js";
import type { FlagsOf } from "./options/option.js";
import { type SeccompCommand, seccompCommands } from "./options/seccomp.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { readCall } from "./seccomp-call.js";
import { circumstancesOf, loadProfile, readSource } from "./seccomp-input.js";

/** `argv` is what follows `seccomp`. Gives the exit status. */
export async function seccomp([name, ...argv]: readonly string[]): Promise<number> {
  const names = Object.keys(seccompCommands);
  if (name === undefined) fail("seccomp", `no command is given: there are ${names.join(", ")}`);
  if (!Object.hasOwn(seccompCommands, name)) {
    const all = `There are ${names.join(", ")}`;
    fail(`seccomp ${name}`, "no such command", didYouMean(name, names) ?? all);
  }
  return commands[name as SeccompCommand](argv);
}

const commands = { check, compile, explain, diff } satisfies Record<SeccompCommand, unknown>;

/** The flags and exactly `count` words, or at least one where it is null. */
function parse<C extends SeccompCommand>(
  command: C,
  argv: readonly string[],
  count: number | null,
) {
  const { options, words: form } = seccompCommands[command];
  const { flags, words } = parseWords(argv, options);
  if (count === null ? words.length === 0 : words.length !== count) {
    const what = ["seccomp", command, ...words].join(" ");
    fail(what, `the form is sbx seccomp ${command} ${form}`);
  }
  return { flags: flags as FlagsOf<(typeof seccompCommands)[C]["options"]>, words };
}

/** Gives 1 where the profile is wrong. */
async function check(argv: readonly string[]): Promise<number> {
  const { flags, words } = parse("check", argv, 1);
  const circumstances = circumstancesOf(flags);
  const source = readSource(words[0] ?? "");
  try {
    const profile = await loadProfile(source);
    const { ruleSet, notes } = resolveProfile(profile, circumstances);
    const { length } = compileFilter(ruleSet);
    const applying = profile.rules.filter((rule) => whyNot(rule, circumstances) === null);
    printLines([
      `${source.name}: ${applying.length} of ${profile.rules.length} rules apply`,
      `${length} instructions for ${ruleSet.architectures.join(", ")}`,
      ...notes.map((note) => `note: ${note}`),
    ]);
    return 0;
  } catch (error) {
    throw error instanceof SbxError ? new SbxError(error.problems, 1) : error;
  }
}

async function compile(argv: readonly string[]): Promise<number> {
  const { flags, words } = parse("compile", argv, 1);
  const { format = "bpf", output } = flags;
  if (format === "bpf" && output === undefined && isatty(1)) {
    const why = "the filter is no text, and standard output is a terminal";
    fail("seccomp compile", why, "Give --output=FILE, or --format=asm");
  }
  const circumstances = circumstancesOf(flags);
  const profile = await loadProfile(readSource(words[0] ?? ""));
  const { ruleSet } = resolveProfile(profile, circumstances);
  const content = encoders[format as keyof typeof encoders](compileFilter(ruleSet), ruleSet);
  if (output === undefined) print(content);
  else writeWhole(output, content, `--output ${output}`);
  return 0;
}

const encoders = {
  bpf: encodeFilter,
  json: (filter: readonly Instruction[]) =>
    `[\n${filter.map((instruction) => `  ${JSON.stringify(instruction)}`).join(",\n")}\n]\n`,
  asm: (filter: readonly Instruction[], { architectures }: RuleSet) =>
    listFilter(filter, architectures),
};

async function explain(argv: readonly string[]): Promise<number> {
  const { flags, words } = parse("explain", argv, null);
  const { arch, profile: file = "default", ...others } = flags;
  const call = readCall(words, arch);
  const circumstances = circumstancesOf({ ...others, arch: call.machine });
  const profile = await loadProfile(readSource(file));
  const { ruleSet, notes } = resolveProfile(profile, circumstances);
  printLines([
    ...explainCall(call, profile, circumstances, ruleSet),
    ...notes.map((note) => `note: ${note}`),
  ]);
  return 0;
}

/** As diff(1): 0 where there is no difference, else 1. */
async function diff(argv: readonly string[]): Promise<number> {
  const { flags, words } = parse("diff", argv, 2);
  const circumstances = circumstancesOf(flags);
  const sides = [];
  for (const file of words) {
    const source = readSource(file);
    const { ruleSet } = resolveProfile(await loadProfile(source), circumstances);
    sides.push({ name: source.name, ruleSet });
  }
  const [a, b] = sides;
  const lines = a === undefined || b === undefined ? [] : describeDifference(a, b);
  printLines(lines);
  return lines.length === 0 ? 0 : 1;
}

/** What a profile's names are made of must not steer a terminal. */
function printLines(lines: readonly string[]): void {
  print(lines.map((line) => `${visible(line)}\n`).join(""));
}
