/**
 * Who is on which network: what the kernel says of the links of the namespace, by rtnetlink(7). It is
 * asked again only when it has told of a change, which it does (of links that are up) before the change is
 * done; so an answer is never older than the query.
 */
import { bridgePrefixes } from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import { k, minus } from "../../../machine/constants.js";
import { words32 } from "../../context.js";
import { addressText, addressTo } from "./address.js";
import { type Answerer, d, kinds, limits, link } from "./memory.js";

const isStale = slot("linksStale");
const attempts = slot("linksAttempts");
const size = slot("linksSize");
const message = slot("linkMessage");
const bytes = slot("linkMessageSize");
const end = slot("linksRead");
const messageEnd = slot("linkMessageEnd");
const word = slot("linkWord");
const attribute = slot("linkAttribute");
const attributeEnd = slot("linkAttributeEnd");
const kind = slot("linkKind");
const master = slot("linkMaster");
const sandbox = slot("linkSandbox");
const text = slot("linkText");

/** linux/netlink.h, linux/rtnetlink.h, linux/if_link.h. */
const messages = { error: 2, done: 3, newLink: 16, getLink: 18 } as const;
const attributes = { name: 3, master: 10, alias: 20, peerNamespace: 37 } as const;
const headerSizes = { message: 16, link: 32 } as const;
/** NLM_F_REQUEST and NLM_F_DUMP: all of them. */
const dumpRequest = words32([32, messages.getLink | (0x301 << 16), 1, 0, 0, 0, 0, 0]);

/** Opens `d.netlink`, which tells of changes (RTMGRP_LINK) from then on. */
export function openLinks({ b, m }: Answerer): void {
  b.must("socket", [k("AF_NETLINK"), k("SOCK_RAW", "SOCK_CLOEXEC"), 0], d.netlink);
  b.must("bind", [d.netlink, b.bytes("linkChanges", words32([16, 0, 1])), 12]);
  // struct timeval: a dump that does not go on is given up.
  const limit = b.words("linksTimeout", [1, 0], false);
  b.must("setsockopt", [d.netlink, k("SOL_SOCKET"), k("SO_RCVTIMEO"), limit, 16]);
  b.set(isStale, 1);
  b.set(d.linksEnd, m.links);
}

/** `links.refresh`: makes the records of `m.links` true. Where not all is known, `d.complete` is 0. */
export function linkSubroutines(a: Answerer): void {
  const { b, m } = a;
  b.label("links.refresh");
  b.set(attempts, 0);
  b.label("links.refresh.told");
  b.attempt("recvfrom", [d.netlink, m.reply, limits.dump, k("MSG_DONTWAIT"), 0, 0], size);
  b.branch(size, "eq", minus("EAGAIN"), "links.refresh.quiet");
  b.comment("a change, or more of them than the socket holds");
  b.set(isStale, 1);
  b.branch(size, "ge", 0, "links.refresh.told");
  b.branch(size, "eq", minus("ENOBUFS"), "links.refresh.told");
  b.label("links.refresh.quiet");
  b.branch(isStale, "eq", 0, "links.refresh.end");
  b.comment("while links change all the time, a picture that is a little old must do");
  b.branch(attempts, "ge", 4, "links.refresh.end");
  b.alu("add", attempts, attempts, 1);
  b.set(isStale, 0);
  b.set(d.complete, 0);
  b.set(d.linksEnd, m.links);
  b.attempt(
    "sendto",
    [d.netlink, b.bytes("linksRequest", dumpRequest), dumpRequest.length, 0, 0, 0],
    size,
  );
  b.branch(size, "lt", 0, "links.fail");
  b.set(d.complete, 1);

  b.label("links.more");
  b.attempt("recvfrom", [d.netlink, m.reply, limits.dump, k("MSG_TRUNC"), 0, 0], size);
  b.branch(size, "eq", minus("ENOBUFS"), "links.more.changed");
  b.branch(size, "le", 0, "links.fail");
  b.branch(size, "gt", limits.dump, "links.fail");
  b.set(message, m.reply);
  b.alu("add", end, message, size);
  b.label("links.message");
  b.alu("add", word, message, headerSizes.message);
  b.branch(word, "gt", end, "links.more");
  b.load(4, bytes, message);
  b.branch(bytes, "lt", headerSizes.message, "links.fail");
  b.alu("add", messageEnd, message, bytes);
  b.branch(messageEnd, "gt", end, "links.fail");
  b.load(4, word, message, 8);
  b.branch(word, "ne", 1, "links.message.change");
  b.load(4, word, message, 4);
  b.alu("and", word, word, 0xffff);
  b.branch(word, "eq", messages.done, "links.refresh.told");
  b.branch(word, "eq", messages.error, "links.fail");
  b.branch(word, "ne", messages.newLink, "links.message.next");
  b.call("links.keep");
  b.jump("links.message.next");
  b.comment("what does not have the number of our request tells of a change meanwhile");
  b.label("links.message.change");
  b.set(isStale, 1);
  b.label("links.message.next");
  b.alu("sub", bytes, messageEnd, message);
  align4(a, bytes);
  b.alu("add", message, message, bytes);
  b.jump("links.message");
  b.label("links.more.changed");
  b.set(isStale, 1);
  b.jump("links.more");
  b.label("links.fail");
  b.set(d.complete, 0);
  b.set(isStale, 1);
  b.label("links.refresh.end");
  b.return();

  keepSubroutine(a);
}

function align4({ b }: Answerer, value: typeof bytes): void {
  b.alu("add", value, value, 3);
  b.alu("and", value, value, -4);
}

function keepSubroutine(a: Answerer): void {
  const { b, m } = a;
  const prefix = (name: string) => Buffer.from(name).readUInt32LE();
  b.comment("add the link of a message to what is known");
  b.label("links.keep");
  b.alu("add", word, d.linksEnd, link.most);
  b.branch(word, "gt", at(m.links, limits.links), "links.keep.full");
  b.set(kind, 0);
  b.set(master, 0);
  b.set(sandbox, 0);
  b.store(1, d.linksEnd, link.text, 0);
  b.alu("add", text, d.linksEnd, link.text);
  b.alu("add", attribute, message, headerSizes.link);
  b.label("links.attribute");
  b.alu("add", word, attribute, 4);
  b.branch(word, "gt", messageEnd, "links.attributes.end");
  b.load(4, word, attribute);
  b.alu("and", bytes, word, 0xffff);
  b.branch(bytes, "lt", 4, "links.attributes.end");
  b.alu("add", attributeEnd, attribute, bytes);
  b.branch(attributeEnd, "gt", messageEnd, "links.attributes.end");
  b.alu("shr", word, word, 16);
  b.branch(word, "eq", attributes.name, "links.attribute.name");
  b.branch(word, "eq", attributes.master, "links.attribute.master");
  b.branch(word, "eq", attributes.alias, "links.attribute.alias");
  b.branch(word, "eq", attributes.peerNamespace, "links.attribute.peer");
  b.label("links.attribute.next");
  align4(a, bytes);
  b.alu("add", attribute, attribute, bytes);
  b.jump("links.attribute");

  b.label("links.attribute.name");
  b.branch(bytes, "lt", 8, "links.attribute.next");
  b.load(4, word, attribute, 4);
  for (const [name, start] of Object.entries(bridgePrefixes)) {
    const other = b.fresh("bridge");
    b.branch(word, "ne", prefix(start), other);
    b.set(kind, kinds[name as keyof typeof kinds]);
    b.label(other);
  }
  b.jump("links.attribute.next");
  b.label("links.attribute.master");
  b.branch(bytes, "lt", 8, "links.attribute.next");
  b.load(4, master, attribute, 4);
  b.jump("links.attribute.next");
  b.label("links.attribute.peer");
  b.branch(bytes, "lt", 8, "links.attribute.next");
  b.load(4, sandbox, attribute, 4);
  b.alu("add", sandbox, sandbox, 1);
  b.jump("links.attribute.next");
  b.label("links.attribute.alias");
  b.branch(bytes, "gt", 4 + 256, "links.attribute.next");
  b.alu("add", attribute, attribute, 4);
  b.label("links.attribute.letter");
  b.branch(attribute, "ge", attributeEnd, "links.attribute.copied");
  b.load(1, word, attribute);
  b.store(1, text, 0, word);
  b.alu("add", text, text, 1);
  b.alu("add", attribute, attribute, 1);
  b.jump("links.attribute.letter");
  b.label("links.attribute.copied");
  b.store(1, text, 0, 0);
  b.alu("sub", attribute, attributeEnd, bytes);
  b.jump("links.attribute.next");

  b.comment("a bridge of ours is no port of another");
  b.label("links.attributes.end");
  b.branch(master, "ne", 0, "links.keep.port");
  b.branch(kind, "ne", 0, "links.keep.add");
  b.return();
  b.label("links.keep.port");
  b.set(kind, 0);
  b.label("links.keep.add");
  b.load(4, word, message, headerSizes.message + 4);
  b.store(8, d.linksEnd, link.index, word);
  b.store(8, d.linksEnd, link.master, master);
  b.store(8, d.linksEnd, link.kind, kind);
  b.store(8, d.linksEnd, link.sandbox, sandbox);
  b.alu("add", addressText, d.linksEnd, link.text);
  for (const [place, routine] of [
    [link.ip4, "address.ipv4"],
    [link.ip6, "address.ipv6"],
  ] as const) {
    const absent = b.fresh("address");
    const skip = b.fresh("address");
    const behind = b.fresh("address");
    b.alu("add", addressTo, d.linksEnd, place);
    b.store(8, addressTo, 0, 0);
    b.store(8, addressTo, 8, 0);
    b.load(1, word, addressText);
    b.branch(word, "eq", 0, behind);
    b.branch(word, "eq", "-".charCodeAt(0), absent);
    b.call(routine);
    b.label(absent);
    b.label(skip);
    b.load(1, word, addressText);
    b.branch(word, "eq", 0, behind);
    b.alu("add", addressText, addressText, 1);
    b.branch(word, "ne", " ".charCodeAt(0), skip);
    b.label(behind);
  }
  b.store(8, d.linksEnd, link.names, addressText);
  // As large as it has to be, in words.
  b.alu("sub", word, text, d.linksEnd);
  b.alu("add", word, word, 8);
  b.alu("and", word, word, -8);
  b.store(8, d.linksEnd, link.size, word);
  b.alu("add", d.linksEnd, d.linksEnd, word);
  b.return();
  b.label("links.keep.full");
  b.set(d.complete, 0);
  b.return();
}
