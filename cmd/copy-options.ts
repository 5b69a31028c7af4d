/** The options of `sbx cp` and `sbx export`: what help, completions and parsing are made from. */
import type { OptionTable } from "./options.js";

const group = "Options:";
const toggle = { type: "boolean", negatable: false, group } as const;

export const copyCommands = {
  cp: {
    words: "NAME:SRC|SRC|- NAME:DST|DST|-",
    usage:
      "Copies files and directories into a sandbox, out of it, or from one to another; - is a tar\narchive on standard input or output. A path of this machine with a colon begins with ./ or /.",
    options: {
      archive: {
        type: "boolean",
        alias: "a",
        group,
        describe: "Keep owners by number, where they go; else files are root's in a sandbox",
      },
      "follow-link": { ...toggle, alias: "L", describe: "Copy what SRC leads to, not the link" },
      overwrite: { ...toggle, describe: "Let files replace directories, and directories files" },
    },
  },
  export: {
    words: "NAME",
    usage:
      "Writes the root of a sandbox as a tar archive: all files that it sees, with the owners that it\nsees, but what is mounted in it.",
    options: {
      output: {
        type: "string",
        nargs: 1,
        alias: "o",
        group,
        describe: "The file that is written, else standard output",
      },
    },
  },
} as const satisfies Record<string, { words: string; usage: string; options: OptionTable }>;
