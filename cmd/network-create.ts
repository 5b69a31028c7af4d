/** `sbx network create`: from its options to a network with addresses that nobody else has. */
import { readFileSync } from "node:fs";
import { createNetwork, random } from "../launch/store/networks.js";
import {
  addressNumber,
  addressText,
  contains,
  freeSubnet,
  isHostAddress,
  neverFree,
  overlap,
  randomSubnet6,
  readSubnet,
  routedSubnets,
  type Subnet,
  subnetText,
} from "../netns/subnet.js";
import { fail } from "../spec/error.js";
import { isIPv4, isIPv6 } from "../spec/ip.js";
import type { Network } from "../spec/network.js";
import { isFreeName, networkWords, whatNamesAre } from "../spec/network-shape.js";
import type { networkCommands } from "./options/networks.js";
import type { FlagsOf } from "./options/option.js";
import { print } from "./print.js";

type CreateFlags = FlagsOf<typeof networkCommands.create.options>;
type Chosen = Omit<Network, "name" | "bridge" | "createdMs">;

export async function create(store: string, name: string, flags: CreateFlags): Promise<void> {
  const at = `network create ${name}`;
  if (!isFreeName(name)) {
    fail(
      at,
      "is no network's name",
      `Names are ${whatNamesAre}, and none of ${networkWords.join(", ")}`,
    );
  }
  const routed = routedSubnets(readProc("route"), readProc("ipv6_route"));
  const made = await createNetwork(store, name, (others) => choose(flags, others, routed));
  if (made === null)
    fail(at, "there is one of that name", `Remove it first: sbx network rm ${name}`);
  print(`${name}\n`);
}

/** Empty where the kernel has no such file, as one without IPv6. */
function readProc(name: string): string {
  try {
    return readFileSync(`/proc/net/${name}`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** `routed`: what the host itself reaches. Addresses of that would be out of reach inside. */
export function choose(
  flags: CreateFlags,
  others: readonly Network[],
  routed: readonly Subnet[],
): Chosen {
  const owned = others.flatMap(({ name, subnet, subnet6 }) =>
    [subnet, subnet6].flatMap((text) => {
      const owns = text === undefined ? null : readSubnet(text);
      return owns === null ? [] : [{ owns, why: `the network ${name} has ${text}` }];
    }),
  );
  const taken = [
    ...owned,
    ...neverFree().map((owns) => ({ owns, why: `${subnetText(owns)} has a meaning of its own` })),
    ...routed.map((owns) => ({ owns, why: `this machine has a route to ${subnetText(owns)}` })),
  ];
  const given = (flags.subnet ?? []).map((text) => readGiven(text, taken));
  const [one, other] = given;
  if (given.length > 2 || (one !== undefined && one.family === other?.family)) {
    fail("--subnet", "is given twice for one kind of address", "One of IPv4 and one of IPv6");
  }
  const subnet =
    given.find(({ family }) => family === 4) ??
    freeSubnet(
      taken.map(({ owns }) => owns),
      random,
    ) ??
    fail("find a subnet", "all private ones are in use", "Name one: --subnet=ADDRESS/PREFIX");
  const subnet6 =
    given.find(({ family }) => family === 6) ??
    (flags.ipv6 === true ? randomSubnet6(random) : null);
  const gateways = readGateways(flags.gateway ?? [], subnet, subnet6);
  return {
    subnet: subnetText(subnet),
    gateway: gateways.ipv4 ?? addressText(subnet.first + 1n, 4),
    ...(subnet6 && {
      subnet6: subnetText(subnet6),
      gateway6: gateways.ipv6 ?? addressText(subnet6.first + 1n, 6),
    }),
    ...(flags["ip-range"] !== undefined && { ipRange: readRange(flags["ip-range"], subnet) }),
    internal: flags.internal === true,
    ...(flags["disable-dns"] && { dns: false }),
    ...(flags.label && { labels: Object.fromEntries(flags.label.map(readLabel)) }),
  };
}

/** The longest prefix leaves room for the gateway and one sandbox. */
const longest = { 4: 30, 6: 126 } as const;

function readGiven(text: string, taken: readonly { owns: Subnet; why: string }[]): Subnet {
  const at = `--subnet ${text}`;
  const subnet = readSubnet(text);
  if (subnet === null) fail(at, "must be ADDRESS/PREFIX", "As 10.89.0.0/24 or fd12:3456:789a::/64");
  if (subnet.prefix > longest[subnet.family]) {
    fail(at, "has no room for a gateway and a sandbox", `Give /${longest[subnet.family]} or less`);
  }
  if (addressNumber(text.split("/")[0] ?? "") !== subnet.first) {
    fail(at, "has bits set after the prefix", `Did you mean ${subnetText(subnet)}?`);
  }
  const before = taken.find(({ owns }) => overlap(owns, subnet));
  if (before !== undefined) {
    fail(at, `is not free: ${before.why}`, "Leave --subnet out for one that is");
  }
  return subnet;
}

function readGateways(
  texts: readonly string[],
  subnet: Subnet,
  subnet6: Subnet | null,
): { ipv4?: string; ipv6?: string } {
  const gateways: { ipv4?: string; ipv6?: string } = {};
  for (const text of texts) {
    const at = `--gateway ${text}`;
    const kind = isIPv4(text) ? "ipv4" : isIPv6(text) ? "ipv6" : fail(at, "must be an IP address");
    const inside = kind === "ipv4" ? subnet : subnet6;
    if (gateways[kind] !== undefined) fail(at, "is given twice for one kind of address");
    if (inside === null)
      fail(at, "the network has no IPv6 addresses", "Give --ipv6, or --subnet too");
    if (!isHostAddress(inside, text)) {
      fail(at, `is no address for a machine in ${subnetText(inside)}`, "Name its --subnet too");
    }
    gateways[kind] = addressText(addressNumber(text), inside.family);
  }
  return gateways;
}

function readRange(text: string, subnet: Subnet): string {
  const at = `--ip-range ${text}`;
  const range = readSubnet(text);
  if (range === null) fail(at, "must be ADDRESS/PREFIX", "As 10.89.0.128/25");
  if (!contains(subnet, range))
    fail(at, `is no part of ${subnetText(subnet)}`, "Name its --subnet too");
  return subnetText(range);
}

const readLabel = (text: string): [string, string] => {
  const [key = "", ...rest] = text.split("=");
  if (key === "") fail(`--label ${text}`, "must be KEY=VALUE, or KEY alone");
  return [key, rest.join("=")];
};
