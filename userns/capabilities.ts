/** Which capabilities(7) the payload holds: the default set, `--cap-add` and `--cap-drop`. */
import type { CapabilitySets } from "../spec/actions/privileges.js";
import { type Capability, capabilityNames } from "../spec/capabilities.js";
import { type Problem, SbxError } from "../spec/error.js";
import { nearest } from "../spec/nearest.js";

/** The default of docker: DefaultCapabilities of oci/caps/defaults.go in github.com/moby/moby. */
export const defaultCapabilities: readonly Capability[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

/** What is to be changed about the default set: names as `--cap-add` and `--cap-drop` take them. */
export interface CapabilityChanges {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  /** The payload's uid inside. */
  readonly uid: number;
}

/** The capability of that name, with or without `CAP_`, in any case; or `ALL`; null where unknown. */
export function parseCapability(name: string): Capability | "ALL" | null {
  const upper = name.toUpperCase();
  if (upper === "ALL") return "ALL";
  const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  return capabilityNames.find((known) => known === full) ?? null;
}

/**
 * The five sets, as podman makes them. Root holds all of its bounding set; its inheritable and
 * ambient sets are empty (CVE-2022-24769). Any other user holds what was added by name, inheritable
 * and ambient too, for that is what survives execve(2) of a file without capabilities; its bounding
 * set is that of root. `--cap-drop ALL` leaves what is added, `--cap-add ALL` all that is not dropped.
 * Gives up on unknown names, on a capability both added and dropped, and on ALL in both.
 */
export function capabilitySets({ add, drop, uid }: CapabilityChanges): CapabilitySets {
  const [adds, drops] = [readNames("--cap-add", add), readNames("--cap-drop", drop)];
  const problems = [...adds.problems, ...drops.problems, ...conflicts(adds, drops)];
  if (problems.length > 0) throw new SbxError(problems);
  const base = drops.isAll ? [] : defaultCapabilities;
  const isAdded = (name: Capability) =>
    (adds.isAll || adds.names.has(name)) && !drops.names.has(name);
  const bounding = capabilityNames.filter(
    (name) => isAdded(name) || (base.includes(name) && !drops.names.has(name)),
  );
  if (uid === 0)
    return { bounding, effective: bounding, permitted: bounding, inheritable: [], ambient: [] };
  const own = capabilityNames.filter(isAdded);
  return { bounding, effective: own, permitted: own, inheritable: own, ambient: own };
}

interface Names {
  readonly isAll: boolean;
  readonly names: ReadonlySet<Capability>;
  readonly problems: readonly Problem[];
}

function readNames(flag: string, texts: readonly string[]): Names {
  const parsed = texts.map((text) => ({ text, name: parseCapability(text) }));
  return {
    isAll: parsed.some(({ name }) => name === "ALL"),
    names: new Set(parsed.flatMap(({ name }) => (name === null || name === "ALL" ? [] : [name]))),
    problems: parsed.flatMap(({ text, name }) => (name === null ? [unknown(flag, text)] : [])),
  };
}

function unknown(flag: string, text: string): Problem {
  const shortNames = capabilityNames.map((name) => name.slice("CAP_".length));
  const likely = nearest(text.replace(/^cap_/i, ""), [...shortNames, "ALL"]);
  const hint =
    likely === null
      ? "capabilities(7) lists them; ALL means every one."
      : `Did you mean ${likely}?`;
  return { what: `${flag} ${text}`, why: "no such capability", hint };
}

function conflicts(adds: Names, drops: Names): Problem[] {
  const both = capabilityNames.filter((name) => adds.names.has(name) && drops.names.has(name));
  const names = [...(adds.isAll && drops.isAll ? ["ALL"] : []), ...both];
  return names.map((name) => ({
    what: `--cap-add and --cap-drop ${name}`,
    why: "it cannot be both added and dropped",
    hint: "Leave one of the two out.",
  }));
}
