/**
 * The sandbox's own way out: pasta, else slirp4netns, which is decided by what the machine has, so that
 * the plan says it and a launch tries nothing in vain.
 */
import {
  type PortRange,
  type Uplink,
  type UplinkHelper,
  uplinkHelpers,
} from "../spec/actions/uplink.js";
import { assertNever } from "../spec/assert-never.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { NetworkKeys } from "../spec/network.js";
import type { Mapping, Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";
import { pastaNotes, pastaRefusal, planPasta } from "./pasta.js";
import { rangesOf, reserveSteps } from "./ports.js";
import { planSlirp, type SlirpNeeds, slirpNotes, slirpRefusal } from "./slirp4netns.js";

/** What of the id maps counts here. */
export interface UplinkIds {
  readonly rootMapped: boolean;
}

export interface UplinkPlan {
  /** What connects the sandbox, or the networks that it is on, if anything does. */
  readonly helper: UplinkHelper | null;
  /** For the monitor before anything is cloned, for it once there are namespaces, and for the init. */
  readonly reserve: readonly Step[];
  readonly start: readonly Step[];
  readonly wait: readonly Step[];
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

const none: UplinkPlan = {
  helper: null,
  reserve: [],
  start: [],
  wait: [],
  notes: [],
  warnings: [],
};

/** Throws an `SbxError` where what was asked for cannot be had. */
export function planUplink(spec: Spec, host: Host, ids: UplinkIds): UplinkPlan {
  const keys = spec.sbx.network;
  if (keys === undefined) return none;
  const ports = rangesOf(keys.ports ?? []);
  const needs = {
    rootMapped: ids.rootMapped,
    // Those of another sandbox do not have it either.
    ownPids:
      spec.linux.namespaces.some(({ type }) => type === "pid") ||
      spec.sbx.join?.namespaces.includes("pid") === true,
  };
  if (keys.from.mode === "networks") {
    if (ports.length === 0) {
      return { ...none, helper: planSharedUplink(host).uplink?.helper ?? null };
    }
    requireWayOut(host);
  }
  const { helper, reasons } = chooseHelper(keys, host, ports, needs);
  if (helper === null) {
    return reasons.length === 0
      ? none
      : { ...none, warnings: [`there is no network: ${reasons.join("; ")}. ${mendOf(host)}`] };
  }
  const uplink = planners[helper](keys, host, ports);
  return {
    helper,
    reserve: reserveSteps(ports, host.uplinks),
    start: [
      {
        role: "monitor",
        phase: "network",
        action: { kind: "startUplink", ...uplink },
        hints: { any: "`sbx check` tells what this machine has; --network=none does without" },
      },
    ],
    wait: [{ role: "init", phase: "network", action: { kind: "awaitUplink", helper } }],
    notes: [
      `${keys.from.mode === "networks" ? "all but the networks" : "the network"} is connected by ${helper}${reasons.length === 0 ? "" : `: ${reasons.join("; ")}`}`,
      ...(helper === "pasta" ? pastaNotes(host, ports) : slirpNotes(ports)),
    ],
    warnings: [],
  };
}

/** What the holder of networks asks for. */
export const sharedKeys: NetworkKeys = { from: { mode: "auto" } };

/** Whoever reached a sandbox on internal networks alone could be answered only by a way out of theirs. */
function requireWayOut({ networks }: Host): void {
  if (networks.some(({ internal }) => !internal)) return;
  fail(
    "publish ports",
    "the sandbox is on internal networks only, which have no way out nor in",
    "Add a network that is not internal, or leave the ports out",
  );
}

/** The same for namespaces that several sandboxes share, which publish no ports; null and why without one. */
export function planSharedUplink(host: Host): {
  uplink: Uplink | null;
  reasons: readonly string[];
} {
  const needs = { rootMapped: true, ownPids: true };
  const { helper, reasons } = chooseHelper(sharedKeys, host, [], needs);
  return { uplink: helper === null ? null : planners[helper](sharedKeys, host, []), reasons };
}

/** How a way out is got. The name of the package is the same in Debian, Fedora, Arch, Alpine and openSUSE. */
export const mendOf = ({ uplinks }: Host) =>
  `${uplinks.tun ? "Install passt, as root, from the package of that name" : "Make /dev/net/tun open to all, as root: modprobe tun; chmod 0666 /dev/net/tun"}; --network=none says that none is wanted`;

const planners = { pasta: planPasta, slirp4netns: planSlirp } as const satisfies Record<
  UplinkHelper,
  (keys: NetworkKeys, host: Host, ports: readonly PortRange[]) => Uplink
>;

/** `reasons` stand against those before the one that is taken; without any there is nothing to be connected. */
function chooseHelper(
  { from, ports: published = [] }: NetworkKeys,
  host: Host,
  ports: readonly PortRange[],
  needs: SlirpNeeds,
): { helper: UplinkHelper | null; reasons: readonly string[] } {
  switch (from.mode) {
    case "pasta":
    case "slirp4netns":
    case "auto":
    case "networks": {
      const reasons: string[] = [];
      const asked = from.mode === "pasta" || from.mode === "slirp4netns" ? from.mode : null;
      for (const helper of asked === null ? uplinkHelpers : [asked]) {
        const why = helper === "pasta" ? pastaRefusal(host) : slirpRefusal(host, ports, needs);
        if (why === null) return { helper, reasons };
        reasons.push(why);
      }
      if (asked !== null) {
        fail(
          `connect the network with ${asked}`,
          reasons.join("; "),
          host.uplinks.tun
            ? "Leave it to --network=auto; `sbx check` tells what is missing"
            : mendOf(host),
        );
      }
      if (published.length > 0) fail("publish ports", reasons.join("; "), mendOf(host));
      return { helper: null, reasons };
    }
    case "none":
    case "host":
    case "sandbox":
    case "path":
      return { helper: null, reasons: [] };
    default:
      return assertNever(from);
  }
}

/**
 * Who may send pings without a raw socket: icmp(7). The kernel compares the host's ids, of which it
 * wants the lower one first, and the ids inside are to be in that order too.
 */
export function pingGroups(mappings: readonly Mapping[]): string {
  const byHost = mappings.toSorted((a, b) => a.hostID - b.hostID);
  const [lowest, highest] = [byHost[0], byHost.at(-1)];
  if (lowest === undefined || highest === undefined) return "1 0";
  const [from, to] = [lowest.containerID, highest.containerID + highest.size - 1];
  if (from <= to) return `${from} ${to}`;
  // Then those of the longest line.
  const [{ containerID, size } = lowest] = mappings.toSorted((a, b) => b.size - a.size);
  return `${containerID} ${containerID + size - 1}`;
}
