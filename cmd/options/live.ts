/** The commands that name sandboxes or tell of them, with their options. */
import { copyCommands } from "./copy.js";
import { execOptions } from "./exec.js";
import { keptCommands } from "./kept.js";
import { type CommandTable, under } from "./option.js";

const { value, values, toggle, flag } = under("Options:");
const json = { ...flag, describe: "Print a JSON array" } as const;
const all = { all: { ...flag, alias: "a", describe: "All that are running" } } as const;

const time = {
  ...value,
  alias: ["t", "timeout"],
  defaultDescription: "--stop-timeout of the sandbox, else 10",
  describe: "Seconds until SIGKILL; -1 for no end",
} as const;
const signal = { ...value, alias: "s", describe: "The signal, by name or number" } as const;
const period = {
  since: {
    ...value,
    describe: "From then on: a date, seconds since 1970, or how long ago (10m)",
  },
  until: { ...value, describe: "Up to then, likewise" },
} as const;
/** Of who is attached to a sandbox in the background. */
const attaching = {
  "detach-keys": {
    ...value,
    defaultDescription: "ctrl-p,ctrl-q",
    describe: "Keys that leave the sandbox to itself; none where empty",
  },
  "sig-proxy": {
    ...toggle,
    defaultDescription: "true",
    describe: "Pass signals on to a sandbox without a terminal",
  },
} as const;

/** What help, completions and parsing are made from. */
export const liveCommands = {
  stats: {
    words: "[NAME…]",
    usage: "Shows what running sandboxes use, again each second, until Ctrl-C.",
    options: {
      "no-stream": { ...flag, describe: "Show it once" },
      json: { ...flag, describe: "Print it once, as a JSON array" },
    },
  },
  top: {
    words: "NAME [FIELD…]",
    usage: "Shows the processes of a sandbox, as ps(1) sees them from outside, with ps's fields.",
    options: { json },
  },
  port: {
    words: "NAME [PORT[/PROTOCOL]]",
    usage: "Shows at which ports of this machine those of a running sandbox are reached.",
    options: { json },
  },
  pause: {
    words: "NAME…",
    usage: "Stops all that runs in the sandboxes, at once.",
    options: all,
  },
  unpause: { words: "NAME…", usage: "Lets paused sandboxes go on.", options: all },
  start: {
    words: "NAME…",
    usage: "Starts sandboxes that sbx create or sbx run -d has made, in the background.",
    options: {
      attach: { ...flag, alias: "a", describe: "Attach to it from its first byte on" },
      interactive: { ...flag, alias: "i", describe: "The same, with standard input" },
      ...attaching,
    },
  },
  restart: {
    words: "NAME…",
    usage: "Ends the sandboxes as sbx stop does, and starts them again.",
    options: { time },
  },
  stop: {
    words: "NAME…",
    usage: "Asks the sandboxes to end by a signal, and kills them after a time.",
    options: {
      time,
      signal: { ...signal, defaultDescription: "--stop-signal of the sandbox, else TERM" },
      ...all,
    },
  },
  kill: {
    words: "NAME…",
    usage: "Kills all that runs in the sandboxes, or sends another signal to their commands.",
    options: {
      signal: { ...signal, defaultDescription: "KILL" },
      ...all,
    },
  },
  wait: {
    words: "NAME…",
    usage: "Waits until the sandboxes have ended, and prints their exit codes, a line each.",
    options: {
      condition: {
        ...values,
        suggestions: ["created", "running", "paused", "restarting", "exited", "removed"],
        defaultDescription: "exited",
        describe:
          "Until one of these states instead (repeatable); without an exit code -1 is printed",
      },
      ignore: { ...flag, describe: "What is not there is no error, and -1 is printed" },
      json,
    },
  },
  ...keptCommands,
  ...copyCommands,
  exec: {
    words: "NAME COMMAND…",
    usage: "Runs one more command in a sandbox that is running, with what its first one has.",
    options: execOptions,
  },
  attach: {
    words: "NAME",
    usage:
      "Shares the terminal, or standard input and output, with a sandbox in the background until\nthat ends, or the keys to detach are typed.",
    options: {
      ...attaching,
      "no-stdin": { ...flag, describe: "Do not pass standard input on" },
    },
  },
  events: {
    words: "",
    usage: "Shows what happens to sandboxes, from now on, until Ctrl-C.",
    options: {
      ...period,
      filter: {
        ...values,
        alias: "f",
        suggestions: ["event=", "sandbox="],
        describe: "Only event=ACTION, sandbox=NAME or ID (repeatable)",
      },
      "no-stream": { ...flag, describe: "What has happened so far alone" },
      json: { ...flag, describe: "A JSON object in each line" },
    },
  },
  logs: {
    words: "NAME…",
    usage: "Shows what sandboxes in the background have written.",
    options: {
      follow: { ...flag, alias: "f", describe: "Go on until they end" },
      ...period,
      tail: {
        ...value,
        alias: "n",
        defaultDescription: "all",
        describe: "How many lines from the end on",
      },
      timestamps: { ...flag, alias: "t", describe: "Begin each line with its time" },
      names: { ...flag, describe: "Begin each line with its sandbox" },
      json: {
        ...flag,
        describe: "A JSON object in each line, with all of these; what is no UTF-8 is base64",
      },
    },
  },
} as const satisfies CommandTable;

export type LiveCommand = keyof typeof liveCommands;
