/** The options of `sbx run` that say what its command may do. */
import { rlimitNames } from "../../spec/spec.js";
import { type OptionTable, under } from "./option.js";

const { value, values } = under("Privileges and limits:");

export const privilegeOptions = {
  "cap-add": {
    ...values,
    completes: "capability",
    describe: "Add capabilities to the default set: names or ALL (repeatable, comma lists)",
  },
  "cap-drop": {
    ...values,
    completes: "capability",
    describe: "Take capabilities away: names or ALL (repeatable, comma lists)",
  },
  "security-opt": {
    ...values,
    suggestions: [
      "no-new-privileges",
      "no-new-privileges=false",
      "seccomp=",
      "seccomp=unconfined",
      "terminal-injection",
      "mask=",
      "unmask=",
      "unmask=ALL",
    ],
    describe:
      "no-new-privileges[=BOOL], seccomp=PROFILE, terminal-injection[=BOOL], mask=PATH[:PATH], unmask=ALL|PATH[:PATH] (repeatable)",
  },
  seccomp: {
    ...value,
    completes: "profile",
    defaultDescription: "default",
    describe: "Filter of system calls: a profile's FILE, default or unconfined",
  },
  ulimit: {
    ...values,
    suggestions: rlimitNames.map((name) => `${name.slice("RLIMIT_".length).toLowerCase()}=`),
    describe: "Resource limit as TYPE=SOFT[:HARD], such as nofile=1024:4096 (repeatable)",
  },
  "oom-score-adj": {
    ...value,
    describe: "How readily the kernel kills it when memory is short, -1000 to 1000",
  },
  sysctl: {
    ...values,
    describe: "Set a kernel parameter of the sandbox's namespaces, NAME=VALUE (repeatable)",
  },
  umask: { ...value, describe: "Mode bits to clear, octal, such as 0027" },
} as const satisfies OptionTable;
