/** The commands of `sbx seccomp` and their options: what help, completions and parsing are made from. */
import { type FamilyTable, type OptionTable, under } from "./option.js";

const { value, toggle } = under("Options:");

/** What the conditions of a profile are resolved against, and how strictly it is taken. */
const circumstances = {
  arch: {
    ...value,
    choices: ["amd64", "arm64"],
    defaultDescription: "this machine's",
    describe: "The machine that the filter is for",
  },
  caps: {
    ...value,
    completes: "capability",
    defaultDescription: "the default set of sbx run",
    describe: "The capabilities that are held: a comma list, ALL or none",
  },
  kernel: {
    ...value,
    defaultDescription: "this one's",
    describe: "The kernel's version, as X.Y",
  },
  exact: {
    ...toggle,
    describe: "Leave the rule out that numbers newer than the profile knows get ENOSYS",
  },
  strict: {
    ...toggle,
    describe: "Take names of system calls that Linux does not have for errors",
  },
} as const satisfies OptionTable;

export const seccompCommands = {
  check: {
    words: "FILE",
    describe: "Check a profile: errors with line and path",
    options: circumstances,
  },
  compile: {
    words: "FILE",
    describe: "Compile a profile into a filter for any program",
    options: {
      ...circumstances,
      format: {
        ...value,
        choices: ["bpf", "json", "asm"],
        defaultDescription: "bpf",
        describe: "An array of struct sock_filter, its members as JSON, or a listing",
      },
      output: {
        ...value,
        alias: "o",
        completes: "file",
        defaultDescription: "standard output",
        describe: "Write to this file",
      },
    },
  },
  explain: {
    words: "SYSCALL [ARGUMENT…]",
    describe: "Show which rule decides about a call, and why",
    options: {
      ...circumstances,
      arch: {
        ...circumstances.arch,
        choices: ["amd64", "x86", "x32", "arm64", "arm"],
        describe: "The architecture that the call is one of",
      },
      profile: {
        ...value,
        completes: "file",
        defaultDescription: "default",
        describe: "The profile: a file, - for standard input, or default",
      },
    },
  },
  diff: {
    words: "FILE FILE",
    describe: "Show what one profile allows that another does not",
    options: circumstances,
  },
} as const satisfies FamilyTable;
export type SeccompCommand = keyof typeof seccompCommands;
