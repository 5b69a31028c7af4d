/** The filters of `sbx ps` and `sbx prune`, `--filter KEY=VALUE`. */
import { chooseView, type SandboxView } from "../launch/life/sandboxes.js";
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { networksOf } from "./ps-fields.js";
import { readTime } from "./times.js";

type Holds = (view: SandboxView, value: string) => boolean;

const statuses = ["created", "running", "paused", "restarting", "exited"];

/** What each takes, but for those that are about other sandboxes or the time. */
const simple = {
  id: ({ id }, value) => id.includes(value),
  label: ({ labels }, value) => {
    const [key = "", wanted] = value.split(/=(.*)/s);
    return Object.hasOwn(labels, key) && (wanted === undefined || labels[key] === wanted);
  },
  status: ({ status }, value) => status === value,
  exited: ({ status, exitCode }, value) => status === "exited" && `${exitCode}` === value,
  network: (view, value) => networksOf(view).includes(value),
  volume: ({ spec }, value) =>
    spec.mounts.some(
      ({ destination, source = "" }) =>
        value === destination || value === source || source.endsWith(`/volumes/${value}/_data`),
    ),
} as const satisfies Record<string, Holds>;

const kinds = ["name", ...Object.keys(simple), "before", "since", "until"];

/** Those of `keys`, the words of `--filter`, as one: of a key one value has to hold, of labels all. */
export function readFilters(
  words: readonly string[],
  views: readonly SandboxView[],
): (view: SandboxView) => boolean {
  const byKey = new Map<string, ((view: SandboxView) => boolean)[]>();
  for (const word of words) {
    const at = `--filter ${word}`;
    const [key = "", value] = word.split(/=(.*)/s);
    if (value === undefined) fail(at, "must be KEY=VALUE", `Keys are ${kinds.join(", ")}`);
    const holds = readOne(key, value, at, views);
    // Each label has a key of its own here.
    const own = key === "label" ? word : key;
    byKey.set(own, [...(byKey.get(own) ?? []), holds]);
  }
  return (view) => [...byKey.values()].every((each) => each.some((holds) => holds(view)));
}

function readOne(
  key: string,
  value: string,
  at: string,
  views: readonly SandboxView[],
): (view: SandboxView) => boolean {
  if (key === "before" || key === "since") {
    const { createdMs } = chooseView(views, [], value);
    return (view) => (key === "before" ? view.createdMs < createdMs : view.createdMs > createdMs);
  }
  if (key === "name") {
    const pattern = readPattern(value, at);
    // As docker has it, whose names begin with a slash.
    return ({ name }) => pattern.test(name) || pattern.test(`/${name}`);
  }
  if (key === "until") {
    const until = readTime(at, value, Date.now());
    return (view) => new Date(view.createdMs).toISOString() < until;
  }
  if (!Object.hasOwn(simple, key)) {
    fail(at, `no such key: ${key}`, didYouMean(key, kinds) ?? `There are ${kinds.join(", ")}`);
  }
  if (key === "status" && !statuses.includes(value)) {
    fail(at, `must be ${statuses.join(", ")}`, didYouMean(value, statuses));
  }
  const holds: Holds = simple[key as keyof typeof simple];
  return (view) => holds(view, value);
}

function readPattern(text: string, at: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return fail(at, "is no regular expression", "Give a part of the name, or as ^web-[0-9]+$");
  }
}

/** Whether one of them asks for sandboxes that do not run. */
export const asksForStopped = (words: readonly string[]) =>
  words.some((word) => /^(status|exited)=/.test(word));
