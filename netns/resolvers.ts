/**
 * Which resolvers a sandbox asks: resolv.conf(5). Where podman 5 takes those behind systemd-resolved's
 * stub, queries go to the stub itself, which alone knows what a VPN wants to be asked.
 */
import type { UplinkHelper } from "../spec/actions/uplink.js";
import type { Host } from "../spec/host.js";
import type { Network, NetworkKeys } from "../spec/network.js";

/** Where queries are taken that pasta hands to the host's own resolver, if it is told so. */
export const pastaDns = "169.254.1.1";

/** slirp4netns's own forwarder of queries: slirp4netns(1), DESCRIPTION. */
const slirpDns = "10.0.2.3";

/** The text of the sandbox's file. `helper`: what connects it, or the networks that it is on. */
export function resolvConf(keys: NetworkKeys, host: Host, helper: UplinkHelper | null): string {
  const { from, dns = {} } = keys;
  const own = host.etc.resolvConf;
  if (from.mode === "host" && keys.dns === undefined) return own;
  const servers = dns.servers ?? nameServers(keys, host, helper);
  if (servers.length === 0) return "# There is no name server.\n";
  const searches = dns.searches ?? lastWords(own, /^\s*(?:search|domain)\s+(.*)$/);
  const options = dns.options ?? allWords(own, "options");
  const lines = [
    ["search", ...searches.filter((word) => word !== ".")],
    ...servers.map((server) => ["nameserver", server]),
    ["options", ...options],
  ];
  return `${lines.flatMap((line) => (line.length > 1 ? [line.join(" ")] : [])).join("\n")}\n`;
}

function nameServers(keys: NetworkKeys, host: Host, helper: UplinkHelper | null): string[] {
  const { networks } = host;
  const { mode } = keys.from;
  if (mode === "host") return allWords(host.etc.resolvConf, "nameserver");
  if (mode === "path") return realServers(host);
  if (mode === "networks") {
    const [first] = withWayOut(networks.filter(({ dns }) => dns !== false));
    if (first !== undefined) return [first.gateway];
    if (networks.every(({ internal }) => internal)) return [];
  }
  return helper === null ? [] : resolversThrough(helper, keys, host);
}

/** The host's resolvers, as they are reached from behind the helper. */
export function resolversThrough(helper: UplinkHelper, keys: NetworkKeys, host: Host): string[] {
  if (helper === "slirp4netns") return [slirpDns];
  if (!needsForwarder(keys, host)) return allWords(host.etc.resolvConf, "nameserver");
  // The forwarder has an IPv4 address.
  return host.uplinks.routes.ipv4 === null ? realServers(host) : [pastaDns];
}

/**
 * Whether pasta has to hand queries on, as the host's resolvers cannot be reached from inside. Where they
 * can be, it must not: pasta of 2023-03 says of every answer of the first resolver that it comes from
 * the forwarder's address, so that who has asked that resolver itself waits in vain.
 */
export function needsForwarder({ dns, hostLoopback }: NetworkKeys, host: Host): boolean {
  // The gateway's address leads to the host's loopback then.
  const gateway = hostLoopback === true ? host.uplinks.routes.ipv4 : null;
  const servers = allWords(host.etc.resolvConf, "nameserver");
  return (
    dns?.servers === undefined &&
    servers.some((server) => !isReachable(server) || server === gateway)
  );
}

/** Those that can be reached over a network: the host's, or those behind its stub. */
function realServers({ etc }: Host): string[] {
  const servers = allWords(etc.resolvConf, "nameserver").filter(isReachable);
  if (servers.length > 0) return servers;
  return allWords(etc.resolvConfBehindStub, "nameserver").filter(isReachable);
}

/** Those that are not internal first. */
function withWayOut(networks: readonly Network[]): Network[] {
  return networks.toSorted((a, b) => Number(a.internal) - Number(b.internal));
}

/** Neither on the host's loopback nor by the way of an interface, which has another name inside. */
const isReachable = (server: string) => !/^127\.|^::1$|%|^0\.0\.0\.0$|^::$/.test(server);

/** The words of all lines that begin so: resolv.conf(5). */
function allWords(text: string, keyword: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [first, ...words] = line.trim().split(/\s+/);
    // What follows the address is no part of it.
    return first !== keyword ? [] : keyword === "nameserver" ? words.slice(0, 1) : words;
  });
}

/** The words of the last line that matches. */
function lastWords(text: string, pattern: RegExp): string[] {
  const found = text.split("\n").findLast((line) => pattern.test(line));
  return (
    pattern
      .exec(found ?? "")?.[1]
      ?.trim()
      .split(/\s+/) ?? []
  );
}
