/** The commands of `sbx cache` and their options: what help, completions and parsing are made from. */
import { type FamilyTable, under } from "./option.js";

const { toggle } = under("Options:");

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
} as const satisfies FamilyTable;

export type CacheCommand = keyof typeof cacheCommands;
