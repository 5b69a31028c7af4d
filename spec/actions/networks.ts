/** Steps for networks of `sbx network`, whose bridges are in namespaces that the holder keeps. */
import type { Architecture } from "../host.js";
import type { Uplink } from "./uplink.js";

/** A link of a sandbox's to a network. IPv4 addresses are numbers, those of IPv6 16 bytes. */
export interface Attachment {
  readonly network: string;
  /** The first is 0. */
  readonly number: number;
  /** What it is called inside. */
  readonly interface: string;
  readonly bridge: string;
  readonly gateway: number;
  readonly prefixBits: number;
  /** The first and the last address that a sandbox may have. */
  readonly first: number;
  readonly last: number;
  /** The one that was asked for. */
  readonly ip: number | null;
  readonly six: {
    readonly gateway: Uint8Array;
    readonly prefixBits: number;
    /** What the last four bytes of an address are added to, and the number of the subnet's own IPv4 address. */
    readonly base: Uint8Array;
    readonly subnet: number;
    readonly ip: Uint8Array | null;
  } | null;
  /** Null: made of the IPv4 address. */
  readonly mac: Uint8Array | null;
  /** By which the sandbox is known on this network. */
  readonly names: readonly string[];
  /** All that is not for a network goes this way. */
  readonly isDefault: boolean;
}

export type NetworksAction =
  /**
   * Gets the namespaces that hold the caller's networks from who keeps them, and starts that where nobody
   * does. `base` is there, the rest of the path of the run directory is made.
   */
  | { readonly kind: "openHolder"; readonly directory: string; readonly base: string }
  /** Makes these namespaces, and the process in them. */
  | { readonly kind: "holdNetworks" }
  /** setns(2) into both namespaces of the holder. */
  | { readonly kind: "enterHolder" }
  /** Puts the sandbox on a network, whose bridge is made where it is missing. */
  | ({ readonly kind: "joinNetwork" } & Attachment)
  /** Takes the sandbox off a network. */
  | { readonly kind: "leaveNetwork"; readonly network: string; readonly interface: string }
  /** Removes the bridge of a network, if it is there. */
  | { readonly kind: "removeBridge"; readonly bridge: string }
  /** Loads the rules of netns/filter.ts. */
  | { readonly kind: "loadRules" }
  /** Starts the way out that all networks share. */
  | ({ readonly kind: "startSharedUplink" } & Uplink)
  /** Becomes the answerer for names, which asks these IP addresses what it does not know. */
  | {
      readonly kind: "answerNames";
      readonly architecture: Architecture;
      readonly upstreams: readonly string[];
    };
