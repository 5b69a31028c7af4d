/**
 * Messages to the kernel's routing tables and packet filter, byte for byte: netlink(7), rtnetlink(7).
 * What is known only when the program runs is left as a hole of known size. Numbers are those of
 * include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,veth}.h of Linux 6.18; all are little-endian but
 * addresses, as on both architectures.
 */

/** A place whose bytes the program fills in; zero until then. */
export interface Hole {
  readonly hole: string;
  readonly size: number;
}
export type Part = Uint8Array | Hole;

export interface Message {
  readonly bytes: Uint8Array;
  /** Where each hole begins, in bytes. */
  readonly holes: Readonly<Record<string, number>>;
}

export const hole = (name: string, size: number): Hole => ({ hole: name, size });
const isHole = (part: Part): part is Hole => "hole" in part;
const sizeOf = (parts: readonly Part[]): number =>
  parts.reduce((sum, part) => sum + (isHole(part) ? part.size : part.length), 0);

export const u8 = (...values: number[]): Uint8Array => Uint8Array.from(values);
const u16 = (value: number): Uint8Array => new Uint8Array(Uint16Array.of(value).buffer);
export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
export const be16 = (value: number): Uint8Array => u16(value).reverse();
export const be32 = (value: number): Uint8Array => u32(value).reverse();
/** NUL-terminated. */
export const text = (word: string): Uint8Array => new TextEncoder().encode(`${word}\0`);

/** struct nlattr and what is in it, padded to four bytes. Throws where the 16-bit length overflows. */
export function attribute(type: number, ...parts: readonly Part[]): Part[] {
  const length = 4 + sizeOf(parts);
  if (length > 0xffff) throw new Error(`a netlink attribute of ${length} bytes`);
  return [u16(length), u16(type), ...parts, new Uint8Array(-length & 3)];
}

/** NLM_F_REQUEST and NLM_F_ACK; what makes something that must not be there: NLM_F_EXCL, NLM_F_CREATE. */
export const request = 5;
export const create = request | 0x600;

/** struct nlmsghdr and what follows it. No hole may have the name of another. */
export function message(type: number, flags: number, ...parts: readonly Part[]): Message {
  const all = [u32(16 + sizeOf(parts)), u16(type), u16(flags), u32(0), u32(0), ...parts];
  const bytes = new Uint8Array(sizeOf(all));
  const holes: Record<string, number> = {};
  let offset = 0;
  for (const part of all) {
    if (!isHole(part)) bytes.set(part, offset);
    else if (part.hole in holes) throw new Error(`two holes are named ${part.hole}`);
    else holes[part.hole] = offset;
    offset += sizeOf([part]);
  }
  return { bytes, holes };
}

/** Messages that are sent as one. */
export function batch(messages: readonly Message[]): Message {
  const parts = messages.map(({ bytes, holes }) => {
    if (Object.keys(holes).length > 0) throw new Error("a batch has no holes");
    return bytes;
  });
  return { bytes: Buffer.concat(parts), holes: {} };
}

const [newLink, delLink, newAddress, newRoute, newLinkProperty] = [16, 17, 20, 24, 108];
const isUp = 1;
const nodad = 2;
/** RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST. */
const ordinaryRoute = u8(254, 3, 0, 1);

const family = (address: Part): number => (sizeOf([address]) === 4 ? 2 : 10);

/** struct ifinfomsg; `flags` are those of netdevice(7), all of which change. */
function linkHeader(index: Part, flags: number): Part[] {
  return [u32(0), index, u32(flags), u32(flags)];
}

/** What a link is called, in 15 letters at most, its address, and what it sends at once, in bytes. */
export interface Link {
  readonly name: Part;
  /** One at random where absent. */
  readonly mac?: Part;
  /** What is usual for its kind where absent. */
  readonly mtu?: Part;
}

const linkKeys = ({ name, mac, mtu }: Link): Part[] => [
  ...(mac === undefined ? [] : attribute(1, mac)),
  ...(mtu === undefined ? [] : attribute(4, mtu)),
  ...attribute(3, name),
];

/** `kind` has no NUL, as ip(8) sends it. */
const linkInfo = (kind: string, ...data: readonly Part[]): Part[] =>
  attribute(18, ...attribute(1, text(kind).slice(0, -1)), ...attribute(2, ...data));

/** A bridge that floods multicasts, since nobody on it asks who wants them (IFLA_BR_MCAST_SNOOPING). */
export function addBridge(link: Link): Message {
  const bridge = linkInfo("bridge", ...attribute(23, u8(0)));
  return message(newLink, create, ...linkHeader(u32(0), 0), ...linkKeys(link), ...bridge);
}

/**
 * Two links, what goes into one coming out of the other: veth(4). The first is a port of the link
 * `master`, the second is in the network namespace that the fd `namespace` stands for. The
 * kernel lets only the first be up from the start (ENOTCONN).
 */
export function addVeth(port: Link & { master: Part }, peer: Link & { namespace: Part }): Message {
  const other = attribute(
    1,
    ...linkHeader(u32(0), 0),
    ...linkKeys(peer),
    ...attribute(28, peer.namespace),
  );
  return message(
    newLink,
    create,
    ...linkHeader(u32(0), isUp),
    ...linkKeys(port),
    ...attribute(10, port.master),
    ...linkInfo("veth", ...other),
  );
}

/** Brings a link up, `index` being that of if_nametoindex(3). */
export function linkUp(index: Part): Message {
  return message(newLink, request, ...linkHeader(index, isUp));
}

/** A text of 255 bytes at most that anyone who sees the link can read. */
export function linkAlias(index: Part, alias: Part): Message {
  return message(newLink, request, ...linkHeader(index, 0), ...attribute(20, alias));
}

/** One more name, of 127 letters at most, that no other link of the namespace can have: Linux 5.5. */
export function addLinkName(index: Part, name: Part): Message {
  const append = 0x800;
  const names = attribute(0x8000 | 52, ...attribute(53, name));
  return message(newLinkProperty, create | append, ...linkHeader(index, 0), ...names);
}

export function deleteLink(index: Part): Message {
  return message(delLink, request, ...linkHeader(index, 0));
}

/** An address of four or sixteen bytes; used at once, no other being asked whether it has it. */
export function addAddress(index: Part, address: Part, prefixBits: number): Message {
  const flags = family(address) === 10 ? nodad : 0;
  const header = u8(family(address), prefixBits, flags, 0);
  return message(newAddress, create, header, index, ...attribute(2, address));
}

/** Where all goes that no other route is for. */
export function addDefaultRoute(index: Part, gateway: Part): Message {
  return message(
    newRoute,
    create,
    u8(family(gateway), 0, 0, 0),
    ordinaryRoute,
    u32(0),
    ...attribute(5, gateway),
    ...attribute(4, index),
  );
}
