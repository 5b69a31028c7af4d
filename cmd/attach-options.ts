/** The options of `sbx attach`: what help, completions and parsing are made from. */
import type { OptionTable } from "./options.js";

const group = "Options:";

export const attachOptions = {
  "detach-keys": {
    type: "string",
    nargs: 1,
    group,
    defaultDescription: "ctrl-p,ctrl-q",
    describe: "Keys that leave the sandbox to itself; none where empty",
  },
  "no-stdin": {
    type: "boolean",
    negatable: false,
    group,
    describe: "Do not pass standard input on",
  },
  "sig-proxy": {
    type: "boolean",
    group,
    defaultDescription: "true",
    describe: "Pass signals on to a sandbox without a terminal",
  },
} as const satisfies OptionTable;
