/** Which namespaces are the sandbox's own, and which are another sandbox's or this machine's. */
import { defaultNamespaces } from "../spec/default.js";
import { fail } from "../spec/error.js";
import { type JoinKeys, joinableTypes, type NamespaceType } from "../spec/spec.js";
import { sharesNetwork } from "./network-flags.js";
import { readJoin } from "./network-values.js";
import type { FlagName, Flags } from "./options/run.js";

/** Which option shares which namespace. User and mount namespaces are never shared. */
const sharing = {
  pid: "pid",
  ipc: "ipc",
  uts: "uts",
  cgroupns: "cgroup",
} as const satisfies Partial<Record<FlagName, NamespaceType>>;

/** What is not private is not the sandbox's own. */
const isShared = (text: string | undefined) => text !== undefined && text !== "private";

export function ownNamespaces(flags: Flags): NamespaceType[] {
  const shared = Object.entries(sharing)
    .filter(([flag]) => isShared(flags[flag as keyof typeof sharing]))
    .map(([, type]): NamespaceType => type);
  if (sharesNetwork(flags)) shared.push("network");
  const own = defaultNamespaces.filter((type) => !shared.includes(type));
  return flags["time-offset"] === undefined ? own : [...own, "time"];
}

/** Those of another sandbox. */
export function joinKeys(flags: Flags): JoinKeys | undefined {
  const asked = joinableTypes.flatMap((type) => {
    const text = flags[type];
    const sandbox = text === undefined ? null : readJoin(text, `--${type} ${text}`);
    return sandbox === null ? [] : [{ type, text, sandbox }];
  });
  const [first] = asked;
  if (first === undefined) return undefined;
  const other = asked.find(({ sandbox }) => sandbox !== first.sandbox);
  if (other !== undefined) {
    fail(
      `--${other.type} ${other.text}`,
      `cannot be given together with --${first.type} ${first.text}`,
      "All namespaces that are joined are one sandbox's",
    );
  }
  return { sandbox: first.sandbox, namespaces: asked.map(({ type }) => type) };
}
