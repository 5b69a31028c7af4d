/** What the parts of the answerer share: their pen, slots, buffers, and how its tables are laid out. */

import { datagramSize } from "../../../../netns/dns.js";
import type { Architecture } from "../../../../spec/host.js";
import { type Builder, slot } from "../../../machine/builder.js";
import type { Address, Slot, Value } from "../../../machine/ir.js";
import type { Context } from "../../context.js";

export interface AnswererOptions {
  readonly architecture: Architecture;
  /** IP addresses of resolvers that are reached from the network namespace, in the order they are asked in. */
  readonly upstreams: readonly string[];
}

export interface Answerer extends AnswererOptions {
  readonly c: Context;
  readonly b: Builder;
  readonly m: AnswererMemory;
}

/** Sizes in bytes, times in ticks: 1,024 of them are a second, the 71 last of which never come. */
export const limits = {
  /** Of a query, without the length that it has over TCP. */
  query: datagramSize,
  /** Of an answer: the addresses of 1,024 sandboxes, as many as a bridge has ports. */
  reply: 0x8000,
  /** Queries and connections that are worked on at once, and how many of them for one client. */
  entries: 128,
  share: 32,
  /** Queries of one client in a quarter of a second; what goes beyond is dropped unread. */
  perWindow: 512,
  windowShift: 8,
  /** Datagrams and connections taken at once, before others are looked after. */
  atOnce: 32,
  /** How long an upstream has to answer, and a client on TCP to say what it wants. */
  askTicks: 2 * 1024,
  streamTicks: 10 * 1024,
  /** What is known of links, and what the kernel says of them at once, which is three links or more. */
  links: 0x80000,
  dump: 0x2000,
} as const;

/** A link: a bridge of ours (`kind`), or a port of one with its addresses, IPv4 as ::ffff:a.b.c.d, 0 where absent. */
export const link = {
  size: 0,
  index: 8,
  master: 16,
  /** 0: a port. */
  kind: 24,
  ip4: 32,
  ip6: 48,
  /** The address of the names in `text`, with a blank after each but the last. */
  names: 64,
  /** A number that the ports have in common whose other ends are in one network namespace; 0: none. */
  sandbox: 72,
  text: 80,
  /** With the longest text, IFALIASZ of linux/if.h, and its NUL. */
  most: 80 + 256 + 8,
} as const;
export const kinds = { external: 1, internal: 2 } as const;

/** A query that waits for an upstream, or a connection of a client. */
export const entry = {
  state: 0,
  /** The address of its two struct pollfd: of the client on TCP, and of the upstream. */
  poll: 8,
  deadline: 16,
  /** Grows with each use. */
  serial: 24,
  bridge: 32,
  client: 40,
  isStream: 56,
  /** How many upstreams may still be asked, the one that is next, and the one that was asked. */
  tries: 64,
  upstream: 72,
  asked: 80,
  /** The two bytes that the client chose. */
  id: 88,
  /** Bytes that are there of the query and its length; where its question ends, in the query. */
  length: 96,
  end: 104,
  /** Bytes of the answer that are still to come; 0 before it has begun. */
  left: 112,
  controlSize: 120,
  address: 128,
  control: 160,
  /** Two bytes of length, then the query. */
  query: 224,
  size: 224 + 2 + datagramSize + 6,
} as const;
export const states = { free: 0, reading: 1, connecting: 2, waiting: 3, blocked: 4 } as const;

/** Places in the array of struct pollfd; those of the entries follow. */
export const polls = { channel: 0, udp: 8, tcp: 16, entries: 24 } as const;

export interface AnswererMemory {
  readonly poll: Address;
  readonly entries: Address;
  readonly links: Address;
  /** Bytes of a query as it came, and its text in small letters, a dot before each label. */
  readonly packet: Address;
  readonly name: Address;
  /** Two bytes of length, then the answer; also what the kernel says of links. */
  readonly reply: Address;
  /** Who asked: struct sockaddr_in or sockaddr_in6, and the control message with the bridge. */
  readonly from: Address;
  readonly control: Address;
  /** The client's address, and the one that is looked for, as IPv6. */
  readonly client: Address;
  readonly wanted: Address;
  readonly header: Address;
  readonly counts: Address;
  readonly upstreams: Address;
}

/** Slots that more than one part uses. */
export const d = {
  now: slot("now"),
  /** The entry at hand. */
  entry: slot("entry"),
  /** Where the query is, its bytes, where its question ends, and how many bytes its answer may have. */
  query: slot("query"),
  querySize: slot("querySize"),
  questionEnd: slot("questionEnd"),
  room: slot("replyRoom"),
  type: slot("questionType"),
  nameEnd: slot("nameEnd"),
  bridge: slot("bridge"),
  verdict: slot("verdict"),
  rcode: slot("rcode"),
  replySize: slot("replySize"),
  /** The upstream that answered last. */
  preferred: slot("preferredUpstream"),
  udp: slot("udpFd"),
  tcp: slot("tcpFd"),
  netlink: slot("linksFd"),
  /** 1 where all there is to know of links is known. */
  complete: slot("linksComplete"),
  linksEnd: slot("linksEnd"),
  /** Of the sockets: AF_INET6 or AF_INET, and what follows from that. */
  family: slot("family"),
  level: slot("controlLevel"),
  interfaceOffset: slot("interfaceOffset"),
  events: slot("events"),
} as const;

/** What `d.verdict` says is to be done with a query. */
export const verdicts = { drop: 0, answer: 1, forward: 2 } as const;

/** Two bytes, the first of which counts more. `to` must not be `base`. */
export function load16(b: Builder, to: Slot, base: Value, offset = 0): void {
  const low = slot("lowByte");
  b.load(1, to, base, offset);
  b.load(1, low, base, offset + 1);
  b.alu("shl", to, to, 8);
  b.alu("or", to, to, low);
}

/** `value` must not be a slot that is needed afterwards. */
export function store16(b: Builder, base: Value, offset: number, value: Slot): void {
  b.store(1, base, offset + 1, value);
  b.alu("shr", value, value, 8);
  b.store(1, base, offset, value);
}

/** Copies 8-byte words. */
export function copyWords(b: Builder, to: Value, from: Value, bytes: number): void {
  const word = slot("word");
  for (let offset = 0; offset < bytes; offset += 8) {
    b.load(8, word, from, offset);
    b.store(8, to, offset, word);
  }
}
