/** The options of `sbx exec`: what help, completions and parsing are made from. */
import { type OptionTable, under } from "./option.js";
import { runOptions } from "./run.js";

const { env, "env-file": envFile, workdir, tty, interactive } = runOptions;
const group = "Options:";
const { flag } = under(group);

export const execOptions = {
  detach: { ...flag, alias: "d", describe: "Leave the command in the background" },
  env: { ...env, group },
  "env-file": { ...envFile, group },
  interactive: { ...interactive, group },
  "preserve-fds": { ...runOptions["preserve-fds"], group },
  privileged: { ...flag, describe: "Refused: no command has more rights than its sandbox" },
  "status-fd": { ...runOptions["status-fd"], group },
  tty: { ...tty, group },
  user: {
    ...runOptions.user,
    group,
    defaultDescription: "that of the sandbox",
    describe: "Run as name|uid[:group|gid] of the sandbox's passwd and group files",
  },
  workdir: { ...workdir, group, defaultDescription: "that of the sandbox" },
} as const satisfies OptionTable;
