/** Steps for a sandbox's own network namespace: its loopback, the way out of it, and the ports that lead into it. */

/** The programs that connect a network namespace with the host's network, without privileges. */
export const uplinkHelpers = ["pasta", "slirp4netns"] as const;
export type UplinkHelper = (typeof uplinkHelpers)[number];

/** Consecutive ports of the host's, forwarded to as many of the sandbox's. */
export interface PortRange {
  readonly protocol: "tcp" | "udp";
  /** Null: all addresses, of both kinds where the host has IPv6. */
  readonly hostIp: string | null;
  /** Null: one that is free, found at each start; `count` is 1 then. */
  readonly hostPort: number | null;
  readonly containerPort: number;
  readonly count: number;
}

/** A piece of a word that is put together at run time. */
export type UplinkPiece =
  | string
  /** The pid of a process in the namespaces that are to be connected, in decimal. */
  | { readonly kind: "target" }
  /** The fd of a pipe that ends with who starts the helper. */
  | { readonly kind: "starterFd" }
  /** The first host port of the range with that index. */
  | { readonly kind: "hostPort"; readonly range: number };

/** What a helper is started with, and asked for once it is ready. */
export interface Uplink {
  readonly helper: UplinkHelper;
  /** Absolute. */
  readonly program: string;
  /** Its words without the name. It says on fd 0 that it is ready. */
  readonly words: readonly (readonly UplinkPiece[])[];
  readonly ports: readonly PortRange[];
  /** Requests to its socket, each a JSON object, once it is ready. */
  readonly requests: readonly (readonly UplinkPiece[])[];
  /** Where that socket is; null where there is none. Below /proc/TARGET/root/sys, which is gone with that process. */
  readonly socket: readonly UplinkPiece[] | null;
}

export type UplinkAction =
  /** The payload's own network namespace, with its loopback up. */
  | { readonly kind: "makeNetwork" }
  /** The init enters it, as soon as it is made. */
  | { readonly kind: "enterNetwork" }
  | { readonly kind: "loopbackUp" }
  /** Finds out, by binding them, that the host's ports can be had; they are held until the helper takes them. */
  | {
      readonly kind: "reservePorts";
      readonly range: number;
      readonly ports: PortRange;
      readonly ipv6: boolean;
    }
  /** Starts what connects the sandbox's network namespace with the host's network. */
  | ({ readonly kind: "startUplink" } & Uplink)
  /** Waits until it is ready. */
  | { readonly kind: "awaitUplink"; readonly helper: UplinkHelper };
