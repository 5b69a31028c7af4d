/** The commands of `sbx cache` and their options: what help, completions and parsing are made from. */
import type { OptionTable } from "./options.js";

const toggle = { type: "boolean", group: "Options:" } as const;

export const cacheCommands = {
  ls: {
    words: "",
    describe: "List the command lines whose programs are kept",
    options: { json: { ...toggle, describe: "Print an array of objects" } },
  },
  prune: {
    words: "",
    describe: "Remove all programs that are kept; those that run go on",
    options: {},
  },
} as const satisfies Record<
  string,
  { readonly words: string; readonly describe: string; readonly options: OptionTable }
>;

export type CacheCommand = keyof typeof cacheCommands;
