/** Published ports: what is done with each alike is done with consecutive ones at once. */
import type { PortRange, UplinkPiece } from "../spec/actions/uplink.js";
import { kindOf } from "../spec/address.js";
import { describePorts } from "../spec/describe.js";
import type { UplinkFacts } from "../spec/host.js";
import type { PublishedPort } from "../spec/network.js";
import type { Step } from "../spec/step.js";

/** Neighbours of the list that are neighbours on both sides become one range. */
export function rangesOf(ports: readonly PublishedPort[]): PortRange[] {
  const ranges: PortRange[] = [];
  for (const { protocol, hostIp = null, hostPort = null, containerPort } of ports) {
    const last = ranges.at(-1);
    const goesOn =
      last?.hostPort != null &&
      last.protocol === protocol &&
      last.hostIp === hostIp &&
      last.hostPort + last.count === hostPort &&
      last.containerPort + last.count === containerPort;
    if (goesOn) ranges.splice(-1, 1, { ...last, count: last.count + 1 });
    else ranges.push({ protocol, hostIp, hostPort, containerPort, count: 1 });
  }
  return ranges;
}

/** Finds out that they can be had, before there is anything that could ask for them. */
export function reserveSteps(ranges: readonly PortRange[], { ipv6 }: UplinkFacts): Step[] {
  return ranges.map((ports, range): Step => {
    const tool = ports.protocol === "tcp" ? "ss -Hltnp" : "ss -Hlunp";
    return {
      role: "monitor",
      phase: "prepare",
      action: { kind: "reservePorts", range, ports, ipv6 },
      hints: {
        EADDRINUSE: `Another program has ${ports.count === 1 ? "it" : "one of them"} (\`${tool}\` tells which): end that, or publish another, or \`-p ${ports.containerPort}\` for any that is free`,
        EACCES:
          "Ports below net.ipv4.ip_unprivileged_port_start (1024, unless it was changed) are root's: publish one above, or lower that with sysctl, as root",
        EADDRNOTAVAIL: "This machine has no such address: `ip address` shows those that it has",
        EAFNOSUPPORT: "This kernel has no addresses of that kind: publish another",
      },
    };
  });
}

/** The kinds of addresses that a range is bound on. */
export function kindsOf({ hostIp }: PortRange, ipv6: boolean): ("ipv4" | "ipv6")[] {
  if (hostIp !== null) return [kindOf(hostIp)];
  return ipv6 ? ["ipv4", "ipv6"] : ["ipv4"];
}

/** `8080`, or `8080-8089`, of the host. */
export function hostPorts({ hostPort, count }: PortRange, range: number): UplinkPiece[] {
  if (hostPort === null) return [{ kind: "hostPort", range }];
  return [count === 1 ? `${hostPort}` : `${hostPort}-${hostPort + count - 1}`];
}

/** Those bound to addresses that a helper cannot forward, in words. */
export function ipv6Only(ranges: readonly PortRange[]): string[] {
  return ranges.flatMap((range) =>
    range.hostIp !== null && kindOf(range.hostIp) === "ipv6" ? [describePorts(range)] : [],
  );
}
