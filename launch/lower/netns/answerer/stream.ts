/**
 * Clients on TCP: RFC 7766. Each query is read as a whole. An answer that comes from an upstream is
 * passed on in pieces as large as the client takes, and stays in the kernel's buffers until then.
 */
import { headerSize } from "../../../../netns/dns.js";
import { slot } from "../../../machine/builder.js";
import { k, minus } from "../../../machine/constants.js";
import { bridgeOfControl, clientOfFrom, controlSize } from "./datagram.js";
import { closeEnd, get, getFd, setFd, setState } from "./entries.js";
import { type Answerer, copyWords, d, entry, limits, load16, store16, verdicts } from "./memory.js";
import { setDeadline, wakeAt } from "./upstream.js";

const fd = slot("streamFd");
const upstream = slot("streamUpstream");
const count = slot("streamCount");
const size = slot("streamSize");
const length = slot("streamLength");
const wanted = slot("streamWanted");
const place = slot("streamPlace");
const left = slot("streamLeft");

/** IP_PKTOPTIONS or IPV6_2292PKTOPTIONS: what a control message would say, of a connection. */
export const connectionOption = slot("connectionOption");

/**
 * `stream.accept`, `stream.read` where the client has said something, `stream.relay` where the
 * upstream has, `stream.deliver` for an answer of our own.
 */
export function streamSubroutines(a: Answerer): void {
  const { b, m } = a;
  b.label("stream.accept");
  b.set(count, 0);
  b.label("stream.accept.next");
  b.alu("add", count, count, 1);
  b.branch(count, "gt", limits.atOnce, "stream.accept.end");
  b.store(8, m.header, 0, 28);
  const flags = k("SOCK_NONBLOCK", "SOCK_CLOEXEC");
  b.orElse("stream.accept.end", "accept4", [d.tcp, m.from, m.header, flags], fd);
  clientOfFrom(a);
  b.store(8, m.header, 0, controlSize);
  b.store(8, m.control, 0, 0);
  const option = [fd, d.level, connectionOption, m.control, m.header];
  b.orElse("stream.refuse", "getsockopt", option);
  b.load(8, size, m.control);
  // No control message: the connection is gone already.
  b.branch(size, "eq", 0, "stream.refuse");
  bridgeOfControl(a);
  b.call("entry.take");
  b.store(8, d.entry, entry.isStream, 1);
  setFd(a, "client", fd);
  b.call("stream.rest");
  b.jump("stream.accept.next");
  b.label("stream.refuse");
  b.ignore("it is ours", "close", [fd]);
  b.jump("stream.accept.next");
  b.label("stream.accept.end");
  b.return();

  b.comment("wait for the next query");
  b.label("stream.rest");
  b.store(8, d.entry, entry.length, 0);
  setDeadline(a, limits.streamTicks);
  setState(a, "reading");
  b.return();

  b.label("stream.read");
  getFd(a, "client", fd);
  get(a, length, entry.length);
  b.alu("add", place, d.entry, entry.query);
  b.set(wanted, 2);
  b.branch(length, "lt", 2, "stream.read.more");
  load16(b, wanted, place);
  b.alu("add", wanted, wanted, 2);
  b.label("stream.read.more");
  b.alu("add", place, place, length);
  b.alu("sub", size, wanted, length);
  b.attempt("recvfrom", [fd, place, size, k("MSG_DONTWAIT"), 0, 0], size);
  b.branch(size, "eq", minus("EAGAIN"), "stream.read.end");
  b.branch(size, "le", 0, "entry.end");
  b.alu("add", length, length, size);
  b.store(8, d.entry, entry.length, length);
  b.branch(length, "lt", wanted, "stream.read.end");
  b.branch(length, "ne", 2, "stream.read.whole");
  b.alu("add", place, d.entry, entry.query);
  load16(b, wanted, place);
  b.branch(wanted, "lt", headerSize, "entry.end");
  b.branch(wanted, "gt", limits.query, "entry.end");
  b.label("stream.read.end");
  b.return();
  b.label("stream.read.whole");
  b.alu("add", d.query, d.entry, entry.query + 2);
  b.alu("sub", d.querySize, length, 2);
  b.set(d.room, limits.reply);
  get(a, d.bridge, entry.bridge);
  b.alu("add", place, d.entry, entry.client);
  copyWords(b, m.client, place, 16);
  b.call("names.answer");
  b.branch(d.verdict, "eq", verdicts.drop, "entry.end");
  b.branch(d.verdict, "eq", verdicts.forward, "upstream.first");

  b.label("stream.deliver");
  closeEnd(a, "upstream");
  getFd(a, "client", fd);
  b.set(size, d.replySize);
  store16(b, m.reply, 0, size);
  b.alu("add", length, d.replySize, 2);
  const now = k("MSG_DONTWAIT", "MSG_NOSIGNAL");
  b.attempt("sendto", [fd, m.reply, length, now, 0, 0], size);
  // It has not read what it asked for before.
  b.branch(size, "ne", length, "entry.end");
  b.jump("stream.rest");

  b.label("stream.relay");
  setState(a, "waiting");
  getFd(a, "client", fd);
  getFd(a, "upstream", upstream);
  const peek = k("MSG_DONTWAIT", "MSG_PEEK");
  b.attempt("recvfrom", [upstream, m.reply, limits.reply, peek, 0, 0], size);
  b.branch(size, "eq", minus("EAGAIN"), "stream.read.end");
  get(a, left, entry.left);
  b.branch(left, "ne", 0, "stream.relay.some");
  b.branch(size, "lt", 2, "upstream.next");
  load16(b, left, m.reply);
  b.alu("add", left, left, 2);
  wakeAt(a, upstream, 1);
  b.label("stream.relay.some");
  b.branch(size, "le", 0, "entry.end");
  b.branch(size, "le", left, "stream.relay.send");
  b.set(size, left);
  b.label("stream.relay.send");
  b.attempt("sendto", [fd, m.reply, size, now, 0, 0], length);
  b.branch(length, "eq", minus("EAGAIN"), "stream.relay.full");
  b.branch(length, "lt", 0, "entry.end");
  b.comment("take away what is sent: MSG_TRUNC of tcp(7)");
  const drop = k("MSG_DONTWAIT", "MSG_TRUNC");
  b.attempt("recvfrom", [upstream, 0, length, drop, 0, 0], place);
  b.branch(place, "ne", length, "entry.end");
  b.alu("sub", left, left, length);
  b.store(8, d.entry, entry.left, left);
  b.branch(left, "eq", 0, "stream.relay.done");
  b.branch(length, "eq", size, "stream.read.end");
  b.label("stream.relay.full");
  b.store(8, d.entry, entry.left, left);
  setState(a, "blocked");
  b.return();
  b.label("stream.relay.done");
  get(a, d.preferred, entry.asked);
  closeEnd(a, "upstream");
  b.jump("stream.rest");
}
