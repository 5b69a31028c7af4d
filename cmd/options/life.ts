/** The options of `sbx run` and `sbx create` for what runs in the background, as podman-run(1) has them. */
import { type OptionTable, under } from "./option.js";

const { value, values, flag } = under("In the background:");

export const lifeOptions = {
  detach: {
    ...flag,
    configurable: false,
    alias: "d",
    describe: "Run in the background, and print the ID; what is written is kept",
  },
  rm: {
    ...flag,
    describe: "Keep nothing once it ends; in the foreground nothing ever is kept",
  },
  restart: {
    ...value,
    configurable: false,
    suggestions: ["no", "on-failure", "on-failure:", "always"],
    defaultDescription: "no",
    describe: "When to start it again after it ended: no, on-failure[:TIMES] or always",
    conflicts: ["rm"],
  },
  label: { ...values, alias: "l", describe: "Note something down, KEY=VALUE (repeatable)" },
  "label-file": {
    ...values,
    completes: "file",
    describe: "Read labels from a file, a line KEY=VALUE each (repeatable)",
  },
  "stop-signal": {
    ...value,
    configurable: false,
    defaultDescription: "TERM",
    describe: "What sbx stop sends it",
  },
  "stop-timeout": {
    ...value,
    configurable: false,
    defaultDescription: "10",
    describe: "Seconds from that to SIGKILL; -1 for no end",
  },
  cidfile: {
    ...value,
    configurable: false,
    completes: "file",
    describe: "Write the ID to a file, which must not be there yet",
  },
  pidfile: {
    ...value,
    configurable: false,
    completes: "file",
    describe: "Write the process id of its init to a file, at each start",
  },
  "log-driver": {
    ...value,
    configurable: false,
    choices: ["k8s-file", "none"],
    defaultDescription: "k8s-file",
    describe: "Keep what it prints for sbx logs, or not",
  },
  "log-opt": {
    ...values,
    configurable: false,
    suggestions: ["max-size=", "max-file="],
    defaultDescription: "max-size=10m,max-file=3",
    describe: "How much of that is kept: max-size=BYTES of a file, max-file=NUMBER (repeatable)",
  },
} as const satisfies OptionTable;
