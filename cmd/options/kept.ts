/** The commands that list and remove sandboxes, with their options. */
import { type CommandTable, under } from "./option.js";

const { value, values, flag } = under("Options:");
const format = { ...value, suggestions: ["json"] } as const;

export const keptCommands = {
  ps: {
    words: "",
    usage: "Lists the sandboxes that run; with --all also those that are kept and do not.",
    options: {
      all: { ...flag, alias: "a", describe: "Those that do not run as well" },
      quiet: { ...flag, alias: "q", describe: "Only IDs" },
      filter: {
        ...values,
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
      json: { ...flag, describe: "Print a JSON array" },
      "no-trunc": { ...flag, describe: "Cut nothing" },
      last: { ...value, alias: "n", describe: "The last that were made, so many" },
      latest: { ...flag, alias: "l", describe: "The last that was made" },
    },
  },
  inspect: {
    words: "NAME…",
    usage: "Shows all that is known of sandboxes, as a JSON array.",
    options: {
      format: { ...format, alias: "f", describe: "By a template, as '{{.State.Status}}'" },
      json: { ...flag, describe: "Accepted for programs' sake: without --format it is JSON" },
    },
  },
  rename: { words: "NAME NEW", usage: "Gives a sandbox another name.", options: {} },
  prune: {
    words: "",
    usage: "Removes all sandboxes that are kept and do not run.",
    options: {
      force: { ...flag, alias: "f", describe: "Do not ask" },
      filter: {
        ...values,
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
      all: { ...flag, alias: "a", describe: "All that are kept" },
      force: { ...flag, alias: "f", describe: "Kill what runs, and pass over what is absent" },
      volumes: {
        ...flag,
        alias: "v",
        describe: "Anonymous volumes too (accepted for docker's sake: they are always)",
      },
    },
  },
} as const satisfies CommandTable;
