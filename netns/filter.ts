/**
 * What may go where in the network namespace that holds all networks of a user. The links of a network
 * are ports of a bridge, and what passes through the bridge is no business of these rules. They do not
 * depend on which networks there are: the name of a bridge tells of which kind it is.
 */
import type { Message } from "./netlink.js";
import { be16, u8 } from "./netlink.js";
import {
  accept,
  established,
  isForItsLink,
  isRoutedBack,
  masquerade,
  meta,
  table,
  transport,
} from "./nftables.js";

/** How the names of bridges begin: of any network, and of one with a way out. */
const bridgePrefix = { any: "sbx", external: "sbxe", internal: "sbxi" } as const;

const fromBridge = (kind: keyof typeof bridgePrefix) => meta("iifname", "eq", prefix(kind));
const notToBridge = () => meta("oifname", "ne", prefix("any"));
const prefix = (kind: keyof typeof bridgePrefix) => new TextEncoder().encode(bridgePrefix[kind]);
const protocol = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;
const over = (name: keyof typeof protocol) => meta("l4proto", "eq", u8(protocol[name]));
const ofType = (type: number) => [...over("icmp6"), ...transport(0, u8(type))];
const port = (number: number) => transport(2, be16(number));
/** Types of ICMPv6. Neighbours ask for and tell link addresses by the last two: RFC 4443, RFC 4861. */
const icmp6 = { ping: 128, router: 134 } as const;
const neighbour = { solicitation: 135, advertisement: 136 } as const;

/** NF_IP_PRI_FILTER, NF_IP_PRI_NAT_SRC. */
const priority = { filter: 0, sourceNat: 100 } as const;

export function networkRules(): Message {
  const filter = { type: "filter", priority: priority.filter, policy: "drop" } as const;
  return table("sbx", [
    {
      ...filter,
      name: "input",
      hook: "input",
      rules: [
        [...meta("iifname", "eq", new TextEncoder().encode("lo\0")), accept()],
        // Answers to what the DNS answerer has asked.
        [...established(), accept()],
        ...Object.values(neighbour).map((type) => [...ofType(type), accept()]),
        // slirp4netns is the one router that is listened to: a sandbox that said that it is one would
        // get what others send out.
        [
          ...meta("iifname", "eq", new TextEncoder().encode("tap0\0")),
          ...ofType(icmp6.router),
          accept(),
        ],
        // The gateway of the sandbox's own network, which is not to be reached by those of others.
        [...fromBridge("any"), ...isForItsLink(), ...over("icmp"), accept()],
        [...fromBridge("any"), ...isForItsLink(), ...ofType(icmp6.ping), accept()],
        [...fromBridge("any"), ...isForItsLink(), ...over("udp"), ...port(53), accept()],
        [...fromBridge("any"), ...isForItsLink(), ...over("tcp"), ...port(53), accept()],
      ],
    },
    {
      ...filter,
      name: "forward",
      hook: "forward",
      rules: [
        [...established(), accept()],
        // From one sandbox to another of its network, should that be asked about here.
        [...fromBridge("any"), ...isRoutedBack("destination"), accept()],
        // By none of another network's addresses, whose sandboxes would get the answers.
        [...fromBridge("external"), ...notToBridge(), ...isRoutedBack("source"), accept()],
      ],
    },
    {
      name: "postrouting",
      type: "nat",
      hook: "postrouting",
      priority: priority.sourceNat,
      policy: "accept",
      rules: [[...notToBridge(), masquerade()]],
    },
  ]);
}
