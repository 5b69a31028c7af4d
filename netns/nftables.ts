/**
 * Rules of the packet filter, as the messages of one transaction: nft(8). Numbers are those of
 * include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h of Linux 6.18; those inside of attributes are
 * big-endian.
 */
import {
  attribute,
  batch,
  be16,
  be32,
  create,
  type Message,
  message,
  type Part,
  request,
  text,
  u8,
} from "./netlink.js";

/** NFPROTO_INET: IPv4 and IPv6. */
const inet = 1;
/** NFNL_SUBSYS_NFTABLES. */
const subsystem = 10;
const [newTable, newChain, newRule] = [0, 3, 6];
const [batchBegin, batchEnd] = [16, 17];
const nested = 0x8000;
const append = 0x800;

const hook = { input: 1, forward: 2, postrouting: 4 } as const;
/** NF_DROP, NF_ACCEPT. */
const verdicts = { drop: 0, accept: 1 } as const;
/** Keys of a packet, with the sizes in bytes that they have in a register. */
const metaKeys = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
const register = 1;
const nest = (type: number, ...parts: readonly Part[]) => attribute(nested | type, ...parts);

/** A chain of a table, with what becomes of a packet that no rule decides about. */
export interface Chain {
  readonly name: string;
  readonly type: "filter" | "nat";
  readonly hook: keyof typeof hook;
  readonly priority: number;
  readonly policy: keyof typeof verdicts;
  /** Each is expressions that must all hold, the last of which decides. */
  readonly rules: readonly (readonly Expression[])[];
}
export type Expression = readonly Part[];

function expression(name: string, ...data: readonly Part[]): Expression {
  return nest(1, ...attribute(1, text(name)), ...nest(2, ...data));
}

function compare(operator: "eq" | "ne", bytes: Uint8Array): Expression {
  return expression(
    "cmp",
    ...attribute(1, be32(register)),
    ...attribute(2, be32(operator === "eq" ? 0 : 1)),
    ...nest(3, ...attribute(1, bytes)),
  );
}

/** What `key` is must begin with these bytes, or must not. */
export function meta(
  key: keyof typeof metaKeys,
  operator: "eq" | "ne",
  bytes: Uint8Array,
): Expression[] {
  const load = expression(
    "meta",
    ...attribute(2, be32(metaKeys[key])),
    ...attribute(1, be32(register)),
  );
  return [load, compare(operator, bytes)];
}

/** Bytes of the header behind that of IP: ports, or type and code of ICMP. */
export function transport(offset: number, bytes: Uint8Array): Expression[] {
  const load = expression(
    "payload",
    ...attribute(1, be32(register)),
    ...attribute(2, be32(2)),
    ...attribute(3, be32(offset)),
    ...attribute(4, be32(bytes.length)),
  );
  return [load, compare("eq", bytes)];
}

/** A packet of a connection that has answered, or about one: conntrack's `established,related`. */
export function established(): Expression[] {
  const bits = u8(2 | 4, 0, 0, 0);
  return [
    expression("ct", ...attribute(2, be32(0)), ...attribute(1, be32(register))),
    expression(
      "bitwise",
      ...attribute(1, be32(register)),
      ...attribute(2, be32(register)),
      ...attribute(3, be32(4)),
      ...attribute(6, be32(0)),
      ...nest(4, ...attribute(1, bits)),
      ...nest(5, ...attribute(1, be32(0))),
    ),
    compare("ne", be32(0)),
  ];
}

/** The routes lead to the packet's source, or to where it goes, by the link that it has come in by. */
export function isRoutedBack(end: "source" | "destination"): Expression[] {
  const [saddr, daddr, iif, present] = [1, 2, 8, 32];
  const address = end === "source" ? saddr : daddr;
  return [fib(1, address | iif | present), compare("eq", u8(1, 0, 0, 0))];
}

/** The packet is for an address of the link that it has come in by, and not of another. */
export function isForItsLink(): Expression[] {
  const [daddr, iif, local] = [2, 8, 2];
  return [fib(3, daddr | iif), compare("eq", u8(local, 0, 0, 0))];
}

function fib(result: number, flags: number): Expression {
  return expression(
    "fib",
    ...attribute(3, be32(flags)),
    ...attribute(2, be32(result)),
    ...attribute(1, be32(register)),
  );
}

export function accept(): Expression {
  const verdict = nest(2, ...attribute(1, be32(verdicts.accept)));
  return expression("immediate", ...attribute(1, be32(0)), ...nest(2, ...verdict));
}

/** The source becomes the address of the link that the packet leaves by. */
export const masquerade = (): Expression => expression("masq");

/** A table with these chains, made as a whole or not at all. Only the last message is answered. */
export function table(name: string, chains: readonly Chain[]): Message {
  const rules = chains.flatMap((chain) => chain.rules.map((rule) => ({ chain: chain.name, rule })));
  return batch([
    edge(batchBegin),
    nft(newTable, create & ~4, ...attribute(1, text(name))),
    ...chains.map((chain) =>
      nft(
        newChain,
        create & ~4,
        ...attribute(1, text(name)),
        ...attribute(3, text(chain.name)),
        ...nest(4, ...attribute(1, be32(hook[chain.hook])), ...attribute(2, be32(chain.priority))),
        ...attribute(5, be32(verdicts[chain.policy])),
        ...attribute(7, text(chain.type)),
      ),
    ),
    ...rules.map(({ chain, rule }, index) =>
      nft(
        newRule,
        (index === rules.length - 1 ? create : create & ~4) | append,
        ...attribute(1, text(name)),
        ...attribute(2, text(chain)),
        ...nest(4, ...rule.flat()),
      ),
    ),
    edge(batchEnd),
  ]);
}

/** struct nfgenmsg, whose last part says which subsystem a transaction is for. */
const edge = (type: number) => message(type, request & ~4, u8(0, 0), be16(subsystem));
const nft = (type: number, flags: number, ...parts: readonly Part[]) =>
  message((subsystem << 8) | type, flags, u8(inet, 0), be16(0), ...parts);
