/**
 * Configuration files: INI, `[run]` with defaults of flags and `[profile NAME]` with sets of flags
 * that `--profile` takes. Keys are the long names of the options; of the list-valued ones
 * `key[] = v` or several `key = v` give one value each.
 */
import { posix } from "node:path";
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { isGiven } from "./contradictions.js";
import { foldSeccomp, isProfileWord } from "./filter.js";
import { longNames, type OptionTable, optionNamed } from "./options/option.js";
import { whyNoOption } from "./options/resources.js";
import { type Flags, runOptions } from "./options/run.js";
import { checkValue } from "./values.js";

/** The reader of one file's values: the `ini` package's, which is loaded only where a file exists. */
export interface IniSyntax {
  /** A value without its comment, quotes and escapes. */
  readonly unsafe: (text: string) => unknown;
}

export interface ConfigEnvironment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Home directory, absolute. */
  readonly home: string;
  /** The text of a file, null where it does not exist; fails, naming `at`, where it cannot be read. */
  readonly readFile: (path: string, at: string) => string | null;
}

/** The sections of one file. */
export interface Config {
  readonly file: string;
  readonly run: Flags;
  readonly profiles: ReadonlyMap<string, Flags>;
}

export const siteConfig = "/etc/sbx/sbx.ini";

/** `${XDG_CONFIG_HOME:-~/.config}/sbx/sbx.ini`; a relative XDG_CONFIG_HOME is to be ignored (XDG spec). */
export function userConfig({ variables, home }: ConfigEnvironment): string {
  const base = variables.XDG_CONFIG_HOME;
  return posix.join(base?.startsWith("/") ? base : posix.join(home, ".config"), "sbx/sbx.ini");
}

/**
 * The flags of a command line on top of what the configuration files say. In order of strength:
 * `[run]` of the site, of the user and of `--config`, the profiles as they are given, the command
 * line. List-valued options add up, others override. Fails with file and line on what a file must
 * not say, and where the file of `--config` or a profile does not exist.
 */
export async function withConfig(flags: Flags, environment: ConfigEnvironment): Promise<Flags> {
  const texts = [siteConfig, userConfig(environment)].flatMap((file) => {
    const text = environment.readFile(file, `read ${file}`);
    return text === null ? [] : [{ file, text }];
  });
  if (flags.config !== undefined) {
    const at = `--config ${flags.config}`;
    const text = environment.readFile(flags.config, at);
    if (text === null) fail(at, "No such file or directory (ENOENT)");
    texts.push({ file: flags.config, text });
  }
  if (texts.length === 0) return combine([], flags);
  // The default export: bundled in a chunk of its own, a CommonJS module has no other.
  const { default: ini } = await import("ini");
  return combine(
    texts.map(({ file, text }) => parseConfig(file, text, ini)),
    flags,
  );
}

/** Puts parsed files, weakest first, below the flags of a command line. */
export function combine(configs: readonly Config[], flags: Flags): Flags {
  const profiles = (flags.profile ?? []).flatMap((name) => {
    const found = configs.flatMap((config) => config.profiles.get(name) ?? []);
    if (found.length > 0) return found;
    const known = [...new Set(configs.flatMap((config) => [...config.profiles.keys()]))];
    const list =
      known.length > 0
        ? `There are ${known.join(", ")}`
        : "It would be a section [profile NAME] of a configuration file";
    return fail(`--profile ${name}`, "no such profile", didYouMean(name, known) ?? list);
  });
  const levels = [...configs.map(({ run }) => run), ...profiles, flags];
  return levels.map(foldSeccomp).reduce(override, {});
}

/** `stronger` on top of `weaker`, without the options of the weaker that the stronger excludes. */
function override(weaker: Flags, stronger: Flags): Flags {
  const table: OptionTable = runOptions;
  const result: Record<string, unknown> = { ...weaker };
  for (const name of Object.keys(stronger)) {
    if (!isGiven(stronger, name)) continue;
    for (const excluded of table[name]?.conflicts ?? []) delete result[excluded];
  }
  for (const [name, value] of Object.entries(stronger)) {
    const before = result[name];
    const addsUp = Array.isArray(before) && Array.isArray(value) && !table[name]?.overrides;
    result[name] = addsUp ? [...before, ...value] : value;
  }
  return result;
}

/**
 * Parses one file. The lines are told apart here, because `ini` itself gives no line numbers and
 * overwrites repeated keys; what a value means, `ini` says.
 */
export function parseConfig(file: string, text: string, ini: IniSyntax): Config {
  const run: Flags = {};
  const profiles = new Map<string, Flags>();
  let section: Flags | null = null;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    const at = `${file}:${index + 1}`;
    if (line === "" || line.startsWith(";") || line.startsWith("#")) continue;
    if (line.startsWith("[")) section = sectionAt(at, line, run, profiles);
    else if (section === null) fail(at, `${line} is in no section`, "Put it below a line [run]");
    else readEntry(file, at, line, section, ini);
  }
  return { file, run, profiles };
}

function sectionAt(at: string, line: string, run: Flags, profiles: Map<string, Flags>): Flags {
  const name = /^\[([^\]]*)\]\s*([;#].*)?$/.exec(line)?.[1]?.trim();
  if (name === undefined) fail(at, `${line} is no section`, "The form is [run]");
  if (name === "run") return run;
  const [kind = "", profile] = name.split(/\s+(.*)/s);
  if (kind !== "profile" || profile === undefined || profile === "") {
    const meant = didYouMean(kind, ["run", "profile"])?.replace("profile", "profile NAME");
    fail(at, `no such section: [${name}]`, meant ?? "There are [run] and [profile NAME]");
  }
  const section = profiles.get(profile) ?? {};
  profiles.set(profile, section);
  return section;
}

function readEntry(file: string, at: string, line: string, section: Flags, ini: IniSyntax): void {
  const table: OptionTable = runOptions;
  const equals = line.indexOf("=");
  const key = (equals < 0 ? line : line.slice(0, equals)).trim();
  const bare = key.replace(/\[\]$/, "");
  const name = bare.length > 1 ? optionNamed(table, bare) : null;
  const option = name === null ? undefined : table[name];
  if (name === null || option === undefined) {
    const reason = whyNoOption(bare);
    if (reason !== null) fail(`${at}: ${bare}`, ...reason);
    const near = didYouMean(bare, longNames(table));
    fail(at, `no such key: ${bare}`, near ?? "The keys are the long options of sbx run");
  }
  const where = `${at}: ${name}`;
  if (option.configurable === false) fail(where, "can only be given on the command line");
  if (key !== bare && option.array !== true) fail(where, "takes one value, not a list");
  const value = equals < 0 ? null : textOf(line.slice(equals + 1), ini);
  const entries: Record<string, unknown> = section;
  if (option.type === "boolean") {
    // A key alone is true, as ini has it.
    if (value !== null && value !== "true" && value !== "false") {
      fail(`${where} = ${value}`, "must be true or false");
    }
    entries[name] = value !== "false";
    return;
  }
  if (value === null) fail(where, "needs a value", `The form is ${name} = VALUE`);
  checkValue(name, value, `${where} = ${value}`);
  const read = anchored(name, value, posix.dirname(file));
  const before = entries[name];
  entries[name] = option.array === true ? [...(Array.isArray(before) ? before : []), read] : read;
}

/** A path is relative to the file that names it: the directory that sbx is called in is another each time. */
function anchored(name: string, value: string, directory: string): string {
  if (name === "security-opt") {
    const [start, path] = /^seccomp[=:](.+)$/s.exec(value) ?? [];
    return start === undefined ? value : `seccomp=${anchored("seccomp", path ?? "", directory)}`;
  }
  if (name === "seccomp" && isProfileWord(value)) return value;
  if (name === "volume") return /^\.\.?\//.test(value) ? posix.resolve(directory, value) : value;
  const { completes } = (runOptions as OptionTable)[name] ?? {};
  return completes === "file" || completes === "profile" ? posix.resolve(directory, value) : value;
}

/** The text of a value, without comment, quotes and escapes. */
function textOf(raw: string, ini: IniSyntax): string {
  const value = ini.unsafe(raw);
  // Of what stands in single quotes ini makes whatever JSON would: '["sh"]' an array, '1e3' 1000.
  return typeof value === "string" ? value : raw.trim().slice(1, -1);
}
