/** The links that a sandbox has to networks, with the addresses that it may have there. */
import type { Attachment } from "../spec/actions/networks.js";
import { addressBytes } from "../spec/address.js";
import { fail } from "../spec/error.js";
import type { Network, NetworkAttachment } from "../spec/network.js";
import {
  addressNumber,
  addressText,
  isHostAddress,
  readSubnet,
  type Subnet,
  sizeOf,
} from "./subnet.js";

/** Throws an `SbxError` where one cannot be had. `networks` has all that are wanted. */
export function attachments(
  wanted: readonly NetworkAttachment[],
  networks: readonly Network[],
  names: readonly string[],
): Attachment[] {
  const found = wanted.map((each) => {
    const network = networks.find(({ name }) => name === each.name);
    if (network === undefined) throw new Error(`the network ${each.name} was not read`);
    return network;
  });
  const first = found.findIndex(({ internal }) => !internal);
  return wanted.map((each, number) => {
    const network = found[number] as Network;
    const what = `connect to the network ${network.name}`;
    const known = [...new Set([...names, ...(each.aliases ?? [])])];
    if (known.join(" ").length > namesSize) {
      fail(
        what,
        `all names together have more than ${namesSize} letters`,
        "Give fewer, or shorter ones",
      );
    }
    return {
      network: network.name,
      number,
      interface: `eth${number}`,
      bridge: network.bridge,
      ...fourOf(each, network, what),
      six: sixOf(each, network, what),
      mac: each.mac === undefined ? null : Uint8Array.from(each.mac.split(":"), hexByte),
      names: known,
      isDefault: number === first,
    };
  });
}

/** The kernel takes 255 bytes of text about a link, of which the addresses take up to 56, and its name 65. */
const namesSize = 134;
const hexByte = (text: string) => Number.parseInt(text, 16);

type Four = Pick<Attachment, "gateway" | "prefixBits" | "first" | "last" | "ip">;

function fourOf({ ip }: NetworkAttachment, network: Network, what: string): Four {
  const { subnet, gateway, ipRange = subnet } = network;
  requireInside(what, ip, "--ip", { subnet, gateway });
  const [whole, range] = [subnetOf(subnet), subnetOf(ipRange)];
  const end = (block: Subnet) => Number(block.first + sizeOf(block)) - 1;
  return {
    gateway: Number(addressNumber(gateway)),
    prefixBits: whole.prefix,
    first: Math.max(Number(range.first), Number(whole.first) + 1),
    last: Math.min(end(range), end(whole) - 1),
    ip: ip === undefined ? null : Number(addressNumber(ip)),
  };
}

function sixOf(
  { ip6 }: NetworkAttachment,
  { name, subnet, subnet6, gateway6 }: Network,
  what: string,
): Attachment["six"] {
  if (subnet6 === undefined || gateway6 === undefined) {
    if (ip6 === undefined) return null;
    const mend = "Make one that has: sbx network create --ipv6, or leave --ip6 out";
    return fail(`${what} as ${ip6}`, "the network has no IPv6 addresses", mend);
  }
  requireInside(what, ip6, "--ip6", { subnet: subnet6, gateway: gateway6 });
  const [four, six] = [subnetOf(subnet), subnetOf(subnet6)];
  if (sizeOf(six) < sizeOf(four)) {
    const mend = `Make ${name} anew with a larger IPv6 subnet`;
    fail(what, `${subnet6} has fewer addresses than ${subnet}`, mend);
  }
  return {
    gateway: addressBytes(gateway6),
    prefixBits: six.prefix,
    base: addressBytes(addressText(six.first, 6)),
    subnet: Number(four.first),
    ip: ip6 === undefined ? null : addressBytes(ip6),
  };
}

function subnetOf(text: string): Subnet {
  return readSubnet(text) ?? fail("read a network", `${text} is no subnet`, "Make it anew");
}

function requireInside(
  what: string,
  ip: string | undefined,
  option: string,
  { subnet, gateway }: { subnet: string; gateway: string },
): void {
  if (ip === undefined) return;
  const isGateway = addressNumber(ip) === addressNumber(gateway);
  if (!isGateway && isHostAddress(subnetOf(subnet), ip)) return;
  fail(
    `${what} as ${ip}`,
    isGateway ? "it is the address of the gateway" : `it is none for a sandbox in ${subnet}`,
    `Choose another, or leave ${option} out`,
  );
}
