/** Subnets in the notation of RFC 4632: arithmetic on their addresses. */

import { addressBytes } from "../spec/address.js";
import { isIP } from "../spec/ip.js";
import { isAddress } from "../spec/network-shape.js";

/** A block of addresses, the first of which has only zeros after the prefix. */
export interface Subnet {
  readonly family: 4 | 6;
  readonly first: bigint;
  /** Length in bits: 0 to 32, or to 128. */
  readonly prefix: number;
}

const bitsOf = { 4: 32, 6: 128 } as const;

export function sizeOf({ family, prefix }: Subnet): bigint {
  return 1n << BigInt(bitsOf[family] - prefix);
}

/** The number that an address is, highest byte first. */
export function addressNumber(address: string): bigint {
  return addressBytes(address).reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/** As inet_ntop(3) writes it; of IPv6 the form is that of RFC 5952. */
export function addressText(number: bigint, family: Subnet["family"]): string {
  const groups = (bits: number, count: number) =>
    Array.from({ length: count }, (_, index) =>
      Number((number >> BigInt(bits * (count - 1 - index))) & ((1n << BigInt(bits)) - 1n)),
    );
  if (family === 4) return groups(8, 4).join(".");
  const text = groups(16, 8)
    .map((group) => group.toString(16))
    .join(":");
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

/** Null where the text is no `ADDRESS/PREFIX`. Bits after the prefix are set to zero. */
export function readSubnet(text: string): Subnet | null {
  const [, address = "", digits = ""] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isAddress(address) ? isIP(address) : 0;
  const prefix = Number(digits);
  if ((family !== 4 && family !== 6) || prefix > bitsOf[family]) return null;
  const size = sizeOf({ family, first: 0n, prefix });
  return { family, first: addressNumber(address) & -size, prefix };
}

export function subnetText({ family, first, prefix }: Subnet): string {
  return `${addressText(first, family)}/${prefix}`;
}

export function overlap(one: Subnet, other: Subnet): boolean {
  return (
    one.family === other.family &&
    one.first < other.first + sizeOf(other) &&
    other.first < one.first + sizeOf(one)
  );
}

export function contains(outer: Subnet, inner: Subnet): boolean {
  return overlap(outer, inner) && outer.prefix <= inner.prefix;
}

/** Whether a host may have the address: not that of the subnet itself, nor of IPv4 its broadcast address. */
export function isHostAddress(subnet: Subnet, address: string): boolean {
  if (isIP(address) !== subnet.family) return false;
  const place = addressNumber(address) - subnet.first;
  return place > 0n && place < sizeOf(subnet) - (subnet.family === 4 ? 1n : 0n);
}

/** What no network may have: "this network", loopback, link-local and what is above unicast (RFC 6890). */
const reserved = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/8",
  "fe80::/10",
  "ff00::/8",
];

/** Of slirp4netns inside, whose own addresses these are: slirp4netns(1). */
const ofSlirp = ["10.0.2.0/24", "fd00::/64"];

export const neverFree = (): Subnet[] =>
  [...reserved, ...ofSlirp].flatMap((text) => readSubnet(text) ?? []);

/**
 * Where networks come from that name no subnet, each a first address and the number of /24 from there
 * on: podman's pool (containers.conf(5), default_subnet_pools), then the rest of RFC 1918, for hosts
 * that route all of 10.0.0.0/8.
 */
const pools = [
  ["10.89.0.0", 167 * 256],
  ["172.16.0.0", 16 * 256],
  ["192.168.0.0", 256],
] as const;

/** Gives a whole number from 0 to below its argument. */
type Random = (below: number) => number;

/** A /24 that has no address in common with those taken, null where there is none. */
export function freeSubnet(taken: readonly Subnet[], random: Random): Subnet | null {
  for (const [base, count] of pools) {
    const start = random(count);
    for (let tried = 0; tried < count; tried++) {
      const first = addressNumber(base) + BigInt((start + tried) % count) * 256n;
      const subnet: Subnet = { family: 4, first, prefix: 24 };
      if (!taken.some((other) => overlap(subnet, other))) return subnet;
    }
  }
  return null;
}

/** A /64 of a random prefix for local use, which has 40 random bits: RFC 4193, section 3.2. */
export function randomSubnet6(random: Random): Subnet {
  const global = (0xfdn << 40n) | (BigInt(random(2 ** 20)) << 20n) | BigInt(random(2 ** 20));
  return { family: 6, first: global << 80n, prefix: 64 };
}

/**
 * The destinations that the host has routes for but the default ones. `route` and `route6` are the texts of
 * /proc/net/route, whose numbers have the machine's byte order, and /proc/net/ipv6_route: proc_pid_net(5).
 */
export function routedSubnets(route: string, route6: string): Subnet[] {
  const v4 = route.split("\n").flatMap((line): Subnet[] => {
    const [, destination = "", , , , , , mask = ""] = line.split(/\s+/);
    if (!/^[0-9A-F]{8}$/i.test(destination) || /^0*$/.test(mask)) return [];
    const [first, bits] = [destination, mask].map((hex) => swapped(Number.parseInt(hex, 16)));
    return [{ family: 4, first: BigInt(first ?? 0), prefix: Math.clz32(~(bits ?? 0)) }];
  });
  const v6 = route6.split("\n").flatMap((line): Subnet[] => {
    const [destination = "", length = ""] = line.split(/\s+/);
    const prefix = Number.parseInt(length, 16);
    if (!/^[0-9a-f]{32}$/i.test(destination) || prefix === 0) return [];
    return [{ family: 6, first: BigInt(`0x${destination}`), prefix }];
  });
  return [...v4, ...v6];
}

/** The number whose bytes have the opposite order. */
function swapped(number: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, number, true);
  return view.getUint32(0);
}
