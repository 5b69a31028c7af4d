/**
 * The one table of the options of `sbx run`. The parser, the help that yargs prints, the completions, the keys of
 * configuration files and the types of the library are all made from it. Other commands that make a program take what
 * it takes.
 */
import { environmentOptions } from "./environment.js";
import { fileOptions } from "./files.js";
import { idOptions } from "./ids.js";
import { isolationOptions } from "./isolation.js";
import { lifeOptions } from "./life.js";
import { networkOptions } from "./network.js";
import { type FlagsOf, type OptionTable, under } from "./option.js";
import { privilegeOptions } from "./privileges.js";
import { resourceOptions } from "./resources.js";
import { runningOptions } from "./running.js";

/** In the order of the help. */
export const runOptions = {
  ...idOptions,
  ...isolationOptions,
  ...networkOptions,
  ...privilegeOptions,
  ...resourceOptions,
  ...environmentOptions,
  ...fileOptions,
  ...runningOptions,
  ...lifeOptions,
} as const satisfies OptionTable;

export type Flags = FlagsOf<typeof runOptions>;
export type FlagName = keyof typeof runOptions;

const explaining = under("Explaining:");
const compiling = under("Compiling:");

const { detach: _, ...others } = runOptions;
/** What `sbx create` takes. */
export const createOptions = others satisfies OptionTable;

/** The stages of the compiler that `explain` can show. */
const stages = ["spec", "plan", "program"] as const;
export type Stage = (typeof stages)[number];

/** What `sbx explain run` takes. */
export const explainOptions = {
  stage: {
    ...explaining.value,
    choices: stages,
    defaultDescription: "plan",
    describe: "What to show: the checked spec, the plan of steps, or the program's operations",
  },
  ...runOptions,
} as const satisfies OptionTable;

/** What `sbx compile` takes. */
export const compileOptions = {
  output: {
    ...compiling.value,
    alias: "o",
    completes: "file",
    describe: "Write the program to this file (needed)",
  },
  arch: {
    ...compiling.value,
    choices: ["x86_64", "aarch64"],
    defaultDescription: "this machine's",
    describe: "The architecture of the machines that it is for",
  },
  kernel: {
    ...compiling.value,
    defaultDescription: "this machine's",
    describe: "The oldest Linux that it is for, as X.Y",
  },
  ...runOptions,
} as const satisfies OptionTable;

const { userns, uidmap, gidmap, config, profile } = runOptions;
/** What `sbx unshare` takes: what an id map depends on. */
export const unshareOptions = {
  userns,
  uidmap,
  gidmap,
  config,
  profile,
} as const satisfies OptionTable;
