/** The commands that list and remove sandboxes, with their options: cmd/live-options.ts has the others. */
import type { OptionTable } from "./options.js";

const group = "Options:";
const toggle = { type: "boolean", negatable: false, group } as const;
const value = { type: "string", nargs: 1, group } as const;
const filter = { ...value, array: true } as const;
const format = { ...value, suggestions: ["json"] } as const;

export const keptCommands = {
  ps: {
    words: "",
    usage: "Lists the sandboxes that run; with --all also those that are kept and do not.",
    options: {
      all: { ...toggle, alias: "a", describe: "Those that do not run as well" },
      quiet: { ...toggle, alias: "q", describe: "Only IDs" },
      filter: {
        ...filter,
        alias: "f",
        suggestions: [
          ...["id=", "name=", "label=", "status=", "exited=", "before=", "since=", "until="],
          ...["network=", "volume="],
        ],
        describe: "Only those of which it holds: KEY=VALUE (repeatable)",
      },
      format: {
        ...format,
        describe: "As json, or by a template, as 'table {{.Names}}\\t{{.Status}}'",
      },
      json: { ...toggle, describe: "Print a JSON array" },
      "no-trunc": { ...toggle, describe: "Cut nothing" },
      last: { ...value, alias: "n", describe: "The last that were made, so many" },
      latest: { ...toggle, alias: "l", describe: "The last that was made" },
    },
  },
  inspect: {
    words: "NAME…",
    usage: "Shows all that is known of sandboxes, as a JSON array.",
    options: {
      format: { ...format, alias: "f", describe: "By a template, as '{{.State.Status}}'" },
      json: { ...toggle, describe: "Accepted for programs' sake: without --format it is JSON" },
    },
  },
  rename: { words: "NAME NEW", usage: "Gives a sandbox another name.", options: {} },
  prune: {
    words: "",
    usage: "Removes all sandboxes that are kept and do not run.",
    options: {
      force: { ...toggle, alias: "f", describe: "Do not ask" },
      filter: {
        ...filter,
        suggestions: ["label=", "until="],
        describe: "Only those of which it holds: KEY=VALUE (repeatable)",
      },
    },
  },
  rm: {
    words: "NAME|UPPER…",
    usage:
      "Removes sandboxes that are kept, with all that they have written; or kept uppers, which are named with a slash, as ./upper.",
    options: {
      all: { ...toggle, alias: "a", describe: "All that are kept" },
      force: { ...toggle, alias: "f", describe: "Kill what runs, and pass over what is absent" },
      volumes: {
        ...toggle,
        alias: "v",
        describe: "Anonymous volumes too (accepted for docker's sake: they are always)",
      },
    },
  },
} as const satisfies Record<string, { words: string; usage: string; options: OptionTable }>;
