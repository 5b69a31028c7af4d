/**
 * pasta, of passt (https://passt.top): connections of the sandbox become sockets of the host's, with
 * the addresses and routes of the host copied inside. Facts are from passt(1) of 2023-03 and 2025.
 */
import type { PortRange, Uplink, UplinkPiece } from "../spec/actions/uplink.js";
import type { Host } from "../spec/host.js";
import type { NetworkKeys } from "../spec/network.js";
import { hostPorts } from "./ports.js";
import { needsForwarder, pastaDns } from "./resolvers.js";

/** At which versions since 2024-08 show the host: its own address, or with `hostLoopback` its loopback. */
export const pastaHost = "169.254.1.2";

const words = (...texts: string[]): UplinkPiece[][] => texts.map((text) => [text]);

/** Null where it can be started, else why not. */
export function pastaRefusal({ uplinks: { pasta, tun, routes } }: Host): string | null {
  if (pasta === null) return "pasta was not found in PATH or /usr/bin";
  if (!tun) return "pasta: /dev/net/tun cannot be opened";
  // Later versions go without: they have had this option since a month before.
  const needsRoute = !pasta.options.includes("host-lo-to-ns-lo");
  return needsRoute && routes.ipv4 === null && !routes.ipv6
    ? "pasta: this version needs a default route, and this machine has none"
    : null;
}

export function planPasta(keys: NetworkKeys, host: Host, ports: readonly PortRange[]): Uplink {
  const { pasta } = host.uplinks;
  const knows = (option: string) => (pasta?.options ?? []).some((known) => known === option);
  const open = keys.hostLoopback === true;
  // Where nothing is said, the gateway's address leads to the host's loopback.
  const toHost = knows("map-guest-addr")
    ? words(
        ...["--map-host-loopback", open ? pastaHost : "none"],
        ...["--map-guest-addr", open ? "none" : pastaHost],
      )
    : words(...(open ? [] : ["--no-map-gw"]));
  return {
    helper: "pasta",
    program: pasta?.path ?? "pasta",
    words: [
      // Its parent waits for it, and it dies with that.
      ...words("--foreground", "--quiet"),
      // Newer versions would end with the process by which they found the namespaces.
      ...words("--no-netns-quit"),
      // Open when it is ready: newer versions close all fds above 2, and this is 0.
      ...words("--pid", "/proc/self/fd/0"),
      // As root it would become nobody, who may not enter the sandbox.
      ...(host.user.uid === 0 ? words("--runas", "0:0") : []),
      ...words("--config-net", "--mtu", "65520"),
      // Otherwise it is called as the host's, which may be as one of the networks' is.
      ...(keys.from.mode === "networks" ? words("--ns-ifname", "tap0") : []),
      ...(needsForwarder(keys, host) ? words("--dns-forward", pastaDns) : []),
      ...toHost,
      ...forwards("--tcp-ports", "tcp", ports),
      ...forwards("--udp-ports", "udp", ports),
      // Nor do ports of the sandbox's loopback lead to the host's.
      ...words("--tcp-ns", "none", "--udp-ns", "none"),
      [{ kind: "target" }],
    ],
    ports,
    requests: [],
    socket: null,
  };
}

function forwards(
  option: string,
  protocol: PortRange["protocol"],
  ports: readonly PortRange[],
): UplinkPiece[][] {
  const specs = ports.flatMap((range, index): UplinkPiece[][] => {
    if (range.protocol !== protocol) return [];
    const { hostIp, containerPort: first, count } = range;
    const address = hostIp === null ? "" : `${hostIp}/`;
    const target = count === 1 ? `:${first}` : `:${first}-${first + count - 1}`;
    return [[address, ...hostPorts(range, index), target]];
  });
  return (specs.length === 0 ? words("none") : specs).flatMap((spec) => [[option], spec]);
}

/** What cannot be had with it. */
export function pastaNotes({ uplinks: { pasta } }: Host, ports: readonly PortRange[]): string[] {
  if (ports.length === 0 || pasta?.options.includes("host-lo-to-ns-lo") === true) return [];
  return [
    "connections from this machine's own loopback come from that of the sandbox: so does pasta before 2024-10; those from elsewhere keep their address",
  ];
}
