/** What a sandbox's network should be: keys of sbx's own, for which OCI has no words. */

/** In place of an IP address of /etc/hosts: that at which the sandbox reaches the host, podman-run(1). */
export const hostGateway = "host-gateway";

/** Where the links of a sandbox lead. */
export type NetworkMode =
  /** The host's network namespace. */
  | { mode: "host" }
  /** Only a loopback. */
  | { mode: "none" }
  /** The first that can be had: pasta, slirp4netns, none. */
  | { mode: "auto" }
  /** The host's connections, through that helper. */
  | { mode: "pasta" | "slirp4netns" }
  /** Networks of `sbx network create`, the first of which has the default route. */
  | { mode: "networks"; networks: NetworkAttachment[] }
  /** The network namespace of a running sandbox of the caller's, by name. */
  | { mode: "sandbox"; sandbox: string }
  /** The network namespace that a file leads to, absolute: network_namespaces(7). */
  | { mode: "path"; path: string };

/** A sandbox on a network. What is absent is chosen when it starts. */
export interface NetworkAttachment {
  name: string;
  /** IPv4 and IPv6 addresses inside the network's subnets. */
  ip?: string;
  ip6?: string;
  /** Six bytes as `02:42:ac:11:00:02`. */
  mac?: string;
  /** Names besides the sandbox's own. */
  aliases?: string[];
}

/** A network of `sbx network create`, as it is kept. */
export interface Network {
  name: string;
  /** What its bridge is called: `sbxe`, or `sbxi` where it is internal, and eight hexadecimal digits. */
  bridge: string;
  /** As `10.89.0.0/24`; no two networks have addresses in common. */
  subnet: string;
  /** The address of the bridge. */
  gateway: string;
  subnet6?: string;
  gateway6?: string;
  /** Part of `subnet` that sandboxes get addresses from which they did not ask for. */
  ipRange?: string;
  /** Without a way out. */
  internal: boolean;
  /** Absent: the names of siblings are known. */
  dns?: false;
  labels?: Record<string, string>;
  /** Milliseconds since 1970. */
  createdMs: number;
}

/** A port of the host's, forwarded to one of the sandbox's. */
export interface PublishedPort {
  protocol: "tcp" | "udp";
  /** An IPv4 or IPv6 address of the host's. Absent: all of both kinds. */
  hostIp?: string;
  /** 1 to 65535. Absent: any that is free, chosen at each start. */
  hostPort?: number;
  containerPort: number;
}

/** What /etc/resolv.conf says instead of what the host's does: resolv.conf(5). */
export interface DnsKeys {
  servers?: string[];
  searches?: string[];
  options?: string[];
}

export interface NetworkKeys {
  from: NetworkMode;
  ports?: PublishedPort[];
  dns?: DnsKeys;
  /** The host's own loopback can be reached, at the address of the gateway. */
  hostLoopback?: boolean;
}
