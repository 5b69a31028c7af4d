/** The library's options as flags of the command line, which then go the same way. */
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { lifeOptions } from "./options/life.js";
import type { Option, OptionTable } from "./options/option.js";
import { type Flags, runOptions } from "./options/run.js";
import { checkValue } from "./values.js";

/** What has another form in the library, or no meaning there. */
export const commandLineOnly: readonly string[] = [
  "cache",
  "interactive",
  "tty",
  "status-fd",
  "preserve-fds",
  ...Object.keys(lifeOptions),
];

/** `--network-alias` is `networkAlias`. */
export const propertyOf = (option: string) =>
  option.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

const table: OptionTable = runOptions;
const names = new Map(
  Object.keys(table)
    .filter((name) => !commandLineOnly.includes(name))
    .map((name) => [propertyOf(name), name]),
);

/** Fails on properties that are no options, and on values that the option does not take. */
export function flagsOf(options: object): Flags {
  const flags: Record<string, unknown> = {};
  for (const [property, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const name = names.get(property);
    const option = name === undefined ? undefined : table[name];
    if (name === undefined || option === undefined) {
      fail(
        `the option ${property}`,
        "there is no such option",
        didYouMean(property, [...names.keys()]),
      );
    }
    flags[name] = flagOf(`the option ${property}`, name, option, value);
  }
  return flags as Flags;
}

function flagOf(at: string, name: string, { type, array }: Option, value: unknown): unknown {
  if (type === "boolean") {
    return typeof value === "boolean" ? value : fail(at, "must be true or false");
  }
  if (!array) return textOf(at, name, value);
  if (!Array.isArray(value)) fail(at, "must be an array of strings");
  return value.map((each) => textOf(at, name, each));
}

function textOf(at: string, name: string, value: unknown): string {
  if (typeof value !== "string" && typeof value !== "number") fail(at, "must be a string");
  checkValue(name, `${value}`, at);
  return `${value}`;
}
