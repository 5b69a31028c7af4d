/** What completions offer, whatever the shell: commands, options and the words of their values. */
import { capabilityNames } from "../spec/capabilities.js";
import { cacheCommands } from "./options/cache.js";
import { liveCommands } from "./options/live.js";
import { networkCommands } from "./options/networks.js";
import { aliasesOf, type Option, type OptionTable } from "./options/option.js";
import { limitOptions } from "./options/resources.js";
import {
  compileOptions,
  createOptions,
  explainOptions,
  runOptions,
  unshareOptions,
} from "./options/run.js";
import { seccompCommands } from "./options/seccomp.js";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** The commands of sbx, with what each one does. */
export const commands = {
  run: "Run a command in a sandbox",
  explain: "Show what a run would do",
  create: "Make a sandbox that is started later",
  compile: "Write the program of a run to a file",
  unshare: "Run a command with a sandbox's id map alone",
  update: "Change limits of running sandboxes",
  diff: "Show what a sandbox, or a kept upper, changes",
  ps: "List sandboxes",
  inspect: "Show all that is known of sandboxes",
  cp: "Copy files into sandboxes and out of them",
  export: "Write all files of a sandbox as a tar archive",
  rename: "Give a sandbox another name",
  rm: "Remove sandboxes, or kept uppers",
  prune: "Remove all sandboxes that do not run",
  volume: "Keep, list and remove named volumes",
  network: "Keep, list and remove networks of sandboxes",
  port: "Show the published ports of a running sandbox",
  stats: "Show what running sandboxes use",
  top: "Show the processes of a running sandbox",
  pause: "Stop all that runs in sandboxes",
  unpause: "Let paused sandboxes go on",
  start: "Start sandboxes that are kept",
  restart: "End sandboxes, and start them again",
  stop: "End sandboxes by a signal, after a time by SIGKILL",
  kill: "Kill sandboxes, or signal their commands",
  wait: "Wait until sandboxes have ended",
  exec: "Run one more command in a running sandbox",
  attach: "Be the terminal, or the pipes, of a sandbox in the background",
  events: "Show what happens to sandboxes",
  logs: "Show what sandboxes in the background have written",
  cache: "List and remove programs that are used again",
  check: "Show what this host offers and what it lacks",
  seccomp: "Check, compile, explain and compare seccomp profiles",
  completion: "Print a completion script",
  help: "Show help",
} as const;

/** The commands of `sbx volume`. */
export const volumeCommands = ["create", "ls", "inspect", "rm", "prune"] as const;

/** What `--network` takes besides the names of networks, each of which is a file NAME.json of the store. */
export const networkWords = [
  "none",
  "host",
  "auto",
  "private",
  "pasta",
  "slirp4netns",
  "container:",
  "ns:",
] as const;

/** The words that an option's value is chosen from, or none where it is open. */
export function wordsFor(option: Option): readonly string[] {
  if (option.completes === "capability") {
    return ["ALL", ...capabilityNames.map((name) => name.slice("CAP_".length))];
  }
  return option.choices ?? option.suggestions ?? [];
}

/** How an option is written, long name first: `--user`, `-u`. */
export function spellings(name: string, option: Option): string[] {
  return [name, ...aliasesOf(option)].map((each) => (each.length > 1 ? `--${each}` : `-${each}`));
}

/** The options in the order of the table. */
export const entries = Object.entries<Option>(runOptions);
const besidesRun = (table: OptionTable) =>
  Object.entries<Option>(table).filter(([name]) => !Object.hasOwn(runOptions, name));
/** The options that only `explain run` has. */
export const explainEntries = besidesRun(explainOptions);
/** The options that only `compile` has. */
export const compileEntries = besidesRun(compileOptions);
/** The options of `create`, all of which `run` has too. */
export const createEntries = Object.entries<Option>(createOptions);
/** The options of `unshare`, all of which `run` has too. */
export const unshareEntries = Object.entries<Option>(unshareOptions);
/** Commands that have commands of their own. */
export const families = {
  seccomp: seccompCommands,
  network: networkCommands,
  cache: cacheCommands,
} as const;

/** A command that parses its own words, which may stand anywhere. */
export interface FamilyEntry {
  /** As `network rm`, or `stop`. */
  readonly path: string;
  readonly options: typeof entries;
  /** What its words are. */
  readonly takes: "profile" | "network" | "sandbox" | "sandbox or upper" | null;
}
export const familyEntries = Object.entries(families).flatMap(([family, each]) =>
  Object.entries(each).map(([name, { options, words }]): FamilyEntry => {
    const isNetwork = family === "network" && words === "NAME…";
    const isProfile = family === "seccomp" && name !== "explain";
    return {
      path: `${family} ${name}`,
      options: Object.entries<Option>(options),
      takes: isNetwork ? "network" : isProfile ? "profile" : null,
    };
  }),
);
/** The commands that name sandboxes or tell of them. */
export const liveEntries = Object.entries({
  update: { words: "NAME…", options: limitOptions },
  ...liveCommands,
}).map(([path, { words, options }]): FamilyEntry => {
  const takes = words.includes("UPPER") ? "sandbox or upper" : "sandbox";
  return {
    path,
    options: Object.entries<Option>(options),
    takes: words.includes("NAME") ? takes : null,
  };
});
export const isToggle = (option: Option) => option.type === "boolean";

/** A word of sh, bash or zsh that stands for the text as it is. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** `--no-x`, where that may be given. */
export function negation(name: string, option: Option): string[] {
  return isToggle(option) && option.negatable !== false ? [`--no-${name}`] : [];
}
