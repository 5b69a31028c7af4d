/** `sbx events`: what happens to sandboxes, as it happens. */

import { writeSync } from "node:fs";
import { makeDirectories } from "../launch/facts/directories.js";
import { callersRunDirectory } from "../launch/facts/run-directory.js";
import {
  actions,
  closeEvents,
  type EventLog,
  openEvents,
  readEvents,
  type SandboxEvent,
} from "../launch/life/events.js";
import { fail, renderProblem, visible } from "../spec/error.js";
import { watchDirectory } from "./changes.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { readTime } from "./times.js";

type Filter = (event: SandboxEvent) => boolean;

/** `argv` is what follows `events`. Without `--no-stream` it goes on until the time of `--until`, or Ctrl-C. */
export async function events(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.events.options);
  if (words.length > 0)
    fail(`events ${words[0]}`, "it takes options alone", "Choose by --filter sandbox=NAME");
  const nowMs = Date.now();
  const [sinceMs, untilMs = Number.POSITIVE_INFINITY] = (["since", "until"] as const).map(
    (name) => {
      const text = flags[name];
      return text === undefined ? undefined : Date.parse(readTime(`--${name}`, text, nowMs));
    },
  );
  const filters = filtersOf(flags.filter ?? []);
  // A monitor goes on telling the name that the sandbox was started by.
  const renamed = new Map<string, string>();
  const named = (event: SandboxEvent) => {
    if (event.action === "rename") renamed.set(event.id, event.name);
    return { ...event, name: renamed.get(event.id) ?? event.name };
  };
  const show = (event: SandboxEvent) => {
    const { timeMs } = event;
    if (timeMs >= (sinceMs ?? 0) && timeMs <= untilMs && filters.every((each) => each(event))) {
      print(flags.json === true ? `${JSON.stringify(event)}\n` : lineOf(event));
    }
  };
  const directory = callersRunDirectory(process.env);
  if (directory.path === null) {
    fail(
      "events",
      `there is no private directory for them: ${directory.why}`,
      "Set XDG_RUNTIME_DIR",
    );
  }
  const run = directory.path;
  const isEndless = flags["no-stream"] !== true;
  const log = openEvents(run);
  const past = readEvents(log).map(named);
  if (!isEndless || sinceMs !== undefined || untilMs <= nowMs) past.forEach(show);
  if (isEndless) await follow(log, untilMs, (event) => show(named(event)));
  closeEvents(log);
  return 0;
}

async function follow(
  log: EventLog,
  untilMs: number,
  show: (event: SandboxEvent) => void,
): Promise<void> {
  // So that it can be watched.
  makeDirectories(log.run);
  const changes = watchDirectory(log.run);
  while (Date.now() <= untilMs) {
    readEvents(log).forEach(show);
    if (log.isTorn) {
      const problem = { what: "events", why: "some were removed before they could be read" };
      writeSync(2, `${renderProblem(problem)}\n`);
    }
    await changes.next();
  }
  changes.close();
}

/** Of one key any may hold, and of each key one must, as docker-events(1) has it. */
function filtersOf(texts: readonly string[]): Filter[] {
  const byKey = new Map<string, string[]>();
  for (const text of texts) {
    const [, key = "", value = ""] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    const at = `events --filter ${text}`;
    if (!["event", "sandbox", "container"].includes(key)) {
      fail(at, "is no filter", "There are event=ACTION and sandbox=NAME or ID");
    }
    if (key === "event" && !actions.some((each) => each === value)) {
      fail(at, "there is no such event", `There are ${actions.join(", ")}`);
    }
    const known = key === "container" ? "sandbox" : key;
    byKey.set(known, [...(byKey.get(known) ?? []), value]);
  }
  return [...byKey].map(
    ([key, values]) =>
      ({ action, id, name }) =>
        values.some((value) =>
          key === "event"
            ? action === value
            : name === value || (value !== "" && id.startsWith(value)),
        ),
  );
}

/** `2026-11-21T19:47:00.123Z die 0083f45291ad (exitCode=0, name=web)`. */
function lineOf({ timeMs, action, id, name, attributes }: SandboxEvent): string {
  const told = Object.entries({ ...attributes, name }).map(([key, value]) => `${key}=${value}`);
  return `${new Date(timeMs).toISOString()} ${visible(`${action} ${id} (${told.join(", ")})`)}\n`;
}
