/** The commands for running sandboxes, with their options: what help, completions and parsing are made from. */
import type { OptionTable } from "./options.js";

const group = "Options:";
const toggle = { type: "boolean", negatable: false, group } as const;

/** Words that are none of their options are the names of sandboxes. */
export const liveCommands = {
  stats: {
    words: "[NAME…]",
    usage: "Shows what running sandboxes use, again each second, until Ctrl-C.",
    options: {
      "no-stream": { ...toggle, describe: "Show it once" },
      json: { ...toggle, describe: "Print it once, as a JSON array" },
    },
  },
  top: {
    words: "NAME [FIELD…]",
    usage: "Shows the processes of a sandbox, as ps(1) sees them from outside, with ps's fields.",
    options: {},
  },
  pause: { words: "NAME…", usage: "Stops all that runs in the sandboxes, at once.", options: {} },
  unpause: { words: "NAME…", usage: "Lets paused sandboxes go on.", options: {} },
  kill: {
    words: "NAME…",
    usage: "Kills all that runs in the sandboxes, at once.",
    options: {},
  },
} as const satisfies Record<string, { words: string; usage: string; options: OptionTable }>;

export type LiveCommand = keyof typeof liveCommands;
