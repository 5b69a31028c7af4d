/** Queries and answers over UDP, each with a control message that says on which bridge, and at which address. */
import { datagramSize } from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import { k } from "../../../machine/constants.js";
import type { Address, Slot } from "../../../machine/ir.js";
import { mapped } from "./address.js";
import { type Answerer, copyWords, d, entry, limits, verdicts } from "./memory.js";

/** struct msghdr, recvmsg(2), with the only piece of memory behind it. */
const header = {
  name: 0,
  nameSize: 8,
  pieces: 16,
  count: 24,
  control: 32,
  controlSize: 40,
  flags: 48,
  piece: 56,
} as const;
export const headerBytes = 72;
/** struct cmsghdr, in front of in_pktinfo or in6_pktinfo. */
const controlHead = 16;
/** Room for an address, and for a control message: 16 bytes and struct in6_pktinfo, in words. */
export const fromSize = 32;
export const controlSize = 40;

const size = slot("datagramSize");
const count = slot("datagramCount");
const place = slot("datagramPlace");
const controlRead = slot("controlRead");

/** Whom an answer is for, and which control message goes with it. */
export const answerTo = {
  address: slot("answerAddress"),
  control: slot("answerControl"),
  controlSize: slot("answerControlSize"),
};

/** Makes `m.client` of the socket address in `m.from`. */
export function clientOfFrom(a: Answerer): void {
  const { b, m } = a;
  const six = b.fresh("client");
  const done = b.fresh("client");
  b.branch(d.family, "eq", k("AF_INET6"), six);
  mapped(a, m.client, at(m.from, 4));
  b.jump(done);
  b.label(six);
  copyWords(b, m.client, at(m.from, 8), 16);
  b.label(done);
}

/** `d.bridge` becomes the interface that the control message at `m.control` names; it has to have one. */
export function bridgeOfControl({ b, m }: Answerer): void {
  b.alu("add", place, d.interfaceOffset, at(m.control, controlHead));
  b.load(4, d.bridge, place);
}

export function datagramSubroutines(a: Answerer): void {
  const { b, m } = a;
  b.comment("some of the queries that there are");
  b.label("datagram.receive");
  b.set(count, 0);
  b.label("datagram.next");
  b.alu("add", count, count, 1);
  b.branch(count, "gt", limits.atOnce, "datagram.end");
  // One byte more than a query may have tells of those that are too long.
  fillHeader(m.from, m.packet, limits.query + 1, m.control, controlSize);
  b.attempt("recvmsg", [d.udp, m.header, k("MSG_DONTWAIT")], size);
  b.branch(size, "lt", 0, "datagram.end");
  b.load(8, controlRead, m.header, header.controlSize);
  b.branch(controlRead, "le", controlHead, "datagram.next");
  bridgeOfControl(a);
  clientOfFrom(a);
  b.set(d.query, m.packet);
  b.set(d.querySize, size);
  b.set(d.room, datagramSize);
  b.call("names.answer");
  b.branch(d.verdict, "eq", verdicts.drop, "datagram.next");
  b.branch(d.verdict, "eq", verdicts.forward, "datagram.forward");
  b.set(answerTo.address, m.from);
  b.set(answerTo.control, m.control);
  b.set(answerTo.controlSize, controlRead);
  b.call("datagram.send");
  b.jump("datagram.next");

  b.label("datagram.forward");
  b.call("entry.take");
  b.store(8, d.entry, entry.isStream, 0);
  b.store(8, d.entry, entry.controlSize, controlRead);
  for (const [field, from, bytes] of [
    [entry.address, m.from, fromSize],
    [entry.control, m.control, controlSize],
  ] as const) {
    b.alu("add", place, d.entry, field);
    copyWords(b, place, from, bytes);
  }
  b.alu("add", size, d.querySize, 2);
  b.store(8, d.entry, entry.length, size);
  const from = slot("datagramFrom");
  const byte = slot("datagramByte");
  b.alu("add", place, d.entry, entry.query + 2);
  b.set(from, m.packet);
  b.alu("add", size, from, d.querySize);
  b.label("datagram.copy");
  b.load(1, byte, from);
  b.store(1, place, 0, byte);
  b.alu("add", from, from, 1);
  b.alu("add", place, place, 1);
  b.branch(from, "lt", size, "datagram.copy");
  b.call("upstream.first");
  b.jump("datagram.next");
  b.label("datagram.end");
  b.return();

  b.comment("send what is in the reply");
  b.label("datagram.send");
  fillHeader(answerTo.address, at(m.reply, 2), d.replySize, answerTo.control, answerTo.controlSize);
  b.ignore("an answer may be lost: who needs it asks again", "sendmsg", [
    d.udp,
    m.header,
    k("MSG_DONTWAIT", "MSG_NOSIGNAL"),
  ]);
  b.return();

  function fillHeader(
    name: Address | Slot,
    start: Address,
    bytes: Slot | number,
    control: Address | Slot,
    controlBytes: Slot | number,
  ) {
    for (const [offset, value] of [
      [header.name, name],
      [header.nameSize, 28],
      [header.pieces, at(m.header, header.piece)],
      [header.count, 1],
      [header.control, control],
      [header.controlSize, controlBytes],
      [header.flags, 0],
      [header.piece, start],
      [header.piece + 8, bytes],
    ] as const) {
      b.store(8, m.header, offset, value);
    }
  }
}
