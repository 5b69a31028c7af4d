/** Facts → findings, and what they mean for `sbx run`. Pure. */

import { cgroupFinding, filterFindings, lingerFinding, networkFindings } from "./extras.js";
import type { Facts } from "./facts.js";
import type { Finding } from "./finding.js";
import { describeIds, idFindings } from "./ids.js";
import { filesystemFindings, namespaceFindings } from "./isolation.js";
import { programsFinding, writeFindings } from "./storage.js";

/** Every finding there is, in the order in which a sandbox needs the things. */
export function findings(facts: Facts): Finding[] {
  return [
    kernel(facts),
    programsFinding(facts),
    ...namespaceFindings(facts),
    ...idFindings(facts),
    ...filesystemFindings(facts),
    ...writeFindings(facts),
    ...networkFindings(facts),
    cgroupFinding(facts),
    lingerFinding(facts),
    ...filterFindings(facts),
  ];
}

function kernel({ host }: Facts): Finding {
  const found = `Linux ${host.kernel.release} on ${host.architecture}`;
  return { id: "kernel", state: "ok", found };
}

export interface Verdict {
  readonly works: boolean;
  /** The flags without which it does not. */
  readonly flags: readonly string[];
  /** One line for people. */
  readonly summary: string;
}

/** Whether `sbx run` works, what it has to be told, and what it offers then. */
export function verdict(items: readonly Finding[], facts: Pick<Facts, "maps"> | null): Verdict {
  const obstacles = items.filter(({ consequence }) => consequence?.kind === "fatal");
  // What fails only because of another thing repeats it.
  const [obstacle] = obstacles;
  if (obstacle !== undefined || facts === null) {
    const why = obstacle === undefined ? "nothing is known" : `${obstacle.id}: ${obstacle.found}`;
    return { works: false, flags: [], summary: `sbx run cannot work here: ${why}` };
  }
  const flags = [
    ...new Set(
      items.flatMap(({ consequence }) => (consequence?.kind === "flag" ? [consequence.flag] : [])),
    ),
  ];
  const has = (id: string, state: Finding["state"]) =>
    items.some((item) => item.id === id && item.state === state);
  const offers = [
    flags.includes("--userns=single") ? "only your own id" : describeIds(facts),
    ...(has("overlay", "missing")
      ? []
      : [`throw-away writes ${has("tmpfs-xattrs", "ok") ? "in memory" : "on disk"}`]),
    ...(has("cgroup", "missing") ? ["no limits"] : []),
  ];
  const given = flags.length === 0 ? "" : ` if you add ${flags.join(" ")}`;
  return { works: true, flags, summary: `sbx run works here${given}, with ${list(offers)}` };
}

function list(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} and ${last}`;
}
