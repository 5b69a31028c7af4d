/** The options of `sbx cp` and `sbx export`: what help, completions and parsing are made from. */
import { type CommandTable, under } from "./option.js";

const { value, toggle, flag } = under("Options:");

export const copyCommands = {
  cp: {
    words: "NAME:SRC|SRC|- NAME:DST|DST|-",
    usage:
      "Copies files and directories into a sandbox, out of it, or from one to another; - is a tar\narchive on standard input or output. A path of this machine with a colon begins with ./ or /.",
    options: {
      archive: {
        ...toggle,
        alias: "a",
        describe: "Keep owners by number, where they go; else files are root's in a sandbox",
      },
      "follow-link": { ...flag, alias: "L", describe: "Copy what SRC leads to, not the link" },
      overwrite: { ...flag, describe: "Let files replace directories, and directories files" },
    },
  },
  export: {
    words: "NAME",
    usage:
      "Writes the root of a sandbox as a tar archive: all files that it sees, with the owners that it\nsees, but what is mounted in it.",
    options: {
      output: {
        ...value,
        alias: "o",
        describe: "The file that is written, else standard output",
      },
    },
  },
} as const satisfies CommandTable;
