/** The options of `sbx run` that say how it is run, and where more options are found. */
import { type OptionTable, under } from "./option.js";

const { value, values, toggle, flag } = under("Running:");

export const runningOptions = {
  name: {
    ...value,
    configurable: false,
    defaultDescription: "made up",
    describe: "Name by which other commands know the sandbox",
  },
  init: {
    ...toggle,
    defaultDescription: "true",
    describe: "Run an init as PID 1 that reaps and forwards signals; --no-init for none",
  },
  tty: {
    ...toggle,
    alias: "t",
    defaultDescription: "where stdin and stdout are terminals",
    describe: "Give the command a terminal; --no-tty for none",
  },
  interactive: {
    ...flag,
    alias: "i",
    describe: "Connect stdin: in the foreground it always is; in the background for sbx attach",
  },
  "preserve-fds": {
    ...value,
    defaultDescription: "0",
    describe: "Pass this many fds from 3 on to the command",
  },
  "status-fd": {
    ...value,
    describe: "Write JSON lines (pid, ready, exit, error) to this fd",
  },
  cache: {
    ...toggle,
    configurable: false,
    defaultDescription: "true",
    describe: "Use a program again that was compiled for the same words; --no-cache to compile",
  },
  config: {
    ...value,
    completes: "file",
    configurable: false,
    describe: "Read a configuration file after the site's and the user's own",
  },
  profile: {
    ...values,
    configurable: false,
    describe: "Take a [profile NAME] of the configuration files (repeatable)",
  },
} as const satisfies OptionTable;
