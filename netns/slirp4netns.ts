/**
 * slirp4netns (https://github.com/rootless-containers/slirp4netns): a TCP/IP stack of its own between
 * the sandbox and sockets of the host's. Facts are from slirp4netns(1) 1.2.0, and its runs.
 */
import type { PortRange, Uplink, UplinkPiece } from "../spec/actions/uplink.js";
import type { Host } from "../spec/host.js";
import type { NetworkKeys } from "../spec/network.js";
import { ipv6Only } from "./ports.js";

/** Where the host's loopback is, unless it is disabled: slirp4netns(1), DESCRIPTION. */
export const slirpHost = "10.0.2.2";

/** What it has to know of the sandbox. */
export interface SlirpNeeds {
  /** Uid 0 and gid 0 exist inside. */
  readonly rootMapped: boolean;
  readonly ownPids: boolean;
}

/** Null where it can be started, else why not. */
export function slirpRefusal(
  { uplinks: { slirp4netns, tun } }: Host,
  ports: readonly PortRange[],
  { rootMapped, ownPids }: SlirpNeeds,
): string | null {
  if (slirp4netns === null) return "slirp4netns was not found in PATH or /usr/bin";
  if (!tun) return "slirp4netns: /dev/net/tun cannot be opened";
  if (!rootMapped) return "slirp4netns confines itself as root inside, and there is none";
  // It is a process of the sandbox's user namespace, and can be traced.
  if (!ownPids) return "slirp4netns would be seen by the command, which shares the host's pids";
  const [unreachable] = ipv6Only(ports);
  return unreachable === undefined
    ? null
    : `slirp4netns forwards no IPv6 ports, and ${unreachable} is one`;
}

export function planSlirp(keys: NetworkKeys, host: Host, ports: readonly PortRange[]): Uplink {
  const { slirp4netns, routes } = host.uplinks;
  const socket: UplinkPiece[] = ["/proc/", { kind: "target" }, "/root/sys/slirp4netns"];
  return {
    helper: "slirp4netns",
    program: slirp4netns?.path ?? "slirp4netns",
    words: [
      ["--configure"],
      ["--mtu=65520"],
      ["--enable-sandbox"],
      ["--enable-seccomp"],
      ...(keys.hostLoopback === true ? [] : [["--disable-host-loopback"]]),
      ...(routes.ipv6 ? [["--enable-ipv6"]] : []),
      ["--ready-fd=0"],
      ["--exit-fd=", { kind: "starterFd" }],
      ...(ports.length === 0 ? [] : [["--api-socket=", ...socket]]),
      [{ kind: "target" }],
      ["tap0"],
    ],
    ports,
    requests: ports.flatMap((range, index) => requestsOf(range, index)),
    socket: ports.length === 0 ? null : socket,
  };
}

/** One for each port: slirp4netns(1), "API SOCKET". */
function requestsOf(range: PortRange, index: number): UplinkPiece[][] {
  return Array.from({ length: range.count }, (_, place): UplinkPiece[] => [
    `{"execute":"add_hostfwd","arguments":{"proto":"${range.protocol}","host_addr":"${range.hostIp ?? "0.0.0.0"}","host_port":`,
    range.hostPort === null ? { kind: "hostPort", range: index } : `${range.hostPort + place}`,
    `,"guest_port":${range.containerPort + place}}}`,
  ]);
}

/** What cannot be had with it. */
export function slirpNotes(ports: readonly PortRange[]): string[] {
  return ports.some(({ hostIp }) => hostIp === null)
    ? ["ports are published on IPv4 alone: slirp4netns forwards no others"]
    : [];
}
