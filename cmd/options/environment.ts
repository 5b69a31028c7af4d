/** The options of `sbx run` that say what its command is, and is given. */
import { type OptionTable, under } from "./option.js";

const { value, values, toggle } = under("Environment and command:");

export const environmentOptions = {
  env: {
    ...values,
    alias: "e",
    completes: "variable",
    describe: "Set a variable, K=V, or pass the caller's on, K (repeatable)",
  },
  "env-file": {
    ...values,
    completes: "file",
    describe: "Read variables from a file, a line K=V or K each (repeatable)",
  },
  "env-host": { ...toggle, describe: "Pass all of the caller's variables on" },
  workdir: {
    ...value,
    alias: "w",
    defaultDescription: "/",
    describe: "Directory inside that the command starts in",
  },
  entrypoint: {
    ...value,
    describe: "What runs before the command's words: a program or a JSON array of words",
  },
} as const satisfies OptionTable;
