/** What must hold between the parts of `sbx.network`, and between it and the rest of a spec. */
import { isIPv6 } from "./ip.js";
import { hostGateway, type NetworkKeys, type NetworkMode, type PublishedPort } from "./network.js";
import type { PartialSpec } from "./relations.js";
import type { Report } from "./shape.js";

/** Whether a sandbox whose links lead there has a way to and from the host of its own; if not, why. */
const ways = {
  auto: null,
  pasta: null,
  slirp4netns: null,
  networks: null,
  none: "the sandbox has no network but its loopback",
  host: "the network is the host's own",
  sandbox: "the network is that of another sandbox, which has its own",
  path: "the network is one that somebody else has set up",
} as const satisfies Record<NetworkMode["mode"], string | null>;

/** Reports every contradiction. */
export function checkNetwork({ linux, sbx }: PartialSpec, report: Report): void {
  const { network, etcFiles } = sbx ?? {};
  const from = network?.from;
  if (network === undefined || from === undefined) return;
  const isShared = linux?.namespaces?.every(({ type }) => type !== "network");
  if (isShared !== undefined && isShared !== (from.mode === "host")) {
    report(
      "sbx.network.from",
      isShared
        ? `is ${from.mode}, and the network namespace is the host's`
        : "is host, and the sandbox has a network namespace of its own",
      `${isShared ? "List" : "Leave out"} {"type": "network"} in linux.namespaces`,
    );
  }
  const netSysctls = Object.keys(linux?.sysctl ?? {}).filter((name) => name.startsWith("net."));
  const closed = ways[from.mode];
  const mend = "The network auto has a way out";
  if (closed !== null && (network.ports?.length ?? 0) > 0) {
    report("sbx.network.ports", `cannot be forwarded: ${closed}`, portMends[from.mode] ?? mend);
  }
  const why = from.mode === "networks" ? "the sandboxes on a network share one way out" : closed;
  if (why !== null && network.hostLoopback === true) {
    report(
      "sbx.network.hostLoopback",
      `is not to be had: ${why}`,
      "The networks auto, pasta and slirp4netns have it",
    );
  }
  if (network.dns !== undefined && (from.mode === "none" || from.mode === "sandbox")) {
    report("sbx.network.dns", `is of no use: ${closed}`, mend);
  }
  const isAway = from.mode === "none" || from.mode === "sandbox" || from.mode === "path";
  for (const [index, { address }] of (etcFiles?.addHosts ?? []).entries()) {
    if (address !== hostGateway || !isAway) continue;
    report(
      `sbx.etcFiles.addHosts[${index}].address`,
      `no address is known to reach the host: ${closed}`,
      mend,
    );
  }
  for (const name of from.mode === "sandbox" || from.mode === "path" ? netSysctls : []) {
    report(`linux.sysctl[${JSON.stringify(name)}]`, `is a setting of the network: ${closed}`);
  }
  checkNames(from, report);
  checkPorts(network, report);
}

const portMends: Partial<Record<NetworkMode["mode"], string>> = {
  host: "What listens inside is reached at its own port",
  sandbox: "Give it to that sandbox",
};

function checkNames(from: NetworkMode, report: Report): void {
  if (from.mode !== "networks") return;
  const names = from.networks.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) {
      report(`sbx.network.from.networks[${index}].name`, `${name} is given twice`);
    }
  }
}

function checkPorts({ ports = [] }: NetworkKeys, report: Report): void {
  // There may be 65535 of them, each with few that it could collide with.
  const alike = new Map<string, PublishedPort[]>();
  for (const [index, port] of ports.entries()) {
    const key = `${port.protocol} ${port.hostPort ?? `any ${port.containerPort}`}`;
    const before = alike.get(key) ?? [];
    alike.set(key, [...before, port]);
    if (!before.some((other) => overlap(port, other))) continue;
    report(
      `sbx.network.ports[${index}]`,
      port.hostPort === undefined
        ? "says again what another says"
        : `takes the host's port ${port.hostPort}/${port.protocol}, and so does another`,
      "Give each port of the host's once",
    );
  }
}

/** Of two of one host's port: whether both take it. Of two of any port, for one of the sandbox's: whether both mean the same. */
function overlap(one: PublishedPort, other: PublishedPort): boolean {
  if (one.hostPort === undefined) return one.hostIp === other.hostIp;
  const [address, otherAddress] = [one.hostIp, other.hostIp].map(plainAddress);
  if (address === undefined || otherAddress === undefined) return true;
  if (isIPv6(address) !== isIPv6(otherAddress)) return false;
  return address === otherAddress || [address, otherAddress].some(isAll);
}

const isAll = (address: string) => address === "0.0.0.0" || address === "::";

/** An IPv6 address in the one form of RFC 5952, which URLs are given. */
function plainAddress(address: string | undefined): string | undefined {
  if (address === undefined || !isIPv6(address)) return address;
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
