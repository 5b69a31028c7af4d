/**
 * Queries that are forwarded. Each has a socket of its own that is connected to the upstream asked: so
 * its port is random, and the kernel lets nobody else answer. The id is random too, on UDP.
 */
import { flags, headerSize, questionTail, rcodes, socketAddress } from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import { k, minus } from "../../../machine/constants.js";
import { words32 } from "../../context.js";
import { answerTo } from "./datagram.js";
import { closeEnd, get, getFd, setFd, setState } from "./entries.js";
import { type Answerer, d, entry, limits, load16 } from "./memory.js";

const value = slot("upstreamValue");
const fd = slot("upstreamFd");
const address = slot("upstreamAddress");
const size = slot("upstreamSize");
const byte = slot("upstreamByte");
const other = slot("upstreamOther");
const place = slot("upstreamPlace");
const end = slot("upstreamEnd");

export const upstreamBytes = (ips: readonly string[]): Uint8Array =>
  Buffer.concat(ips.map(socketAddress));

/** Sets how many bytes wake us at the least: SO_RCVLOWAT of socket(7). */
export function wakeAt({ b }: Answerer, socket: typeof fd, bytes: number): void {
  const option = b.bytes("lowWater", words32([bytes]));
  b.ignore("then it is looked at more often", "setsockopt", [
    socket,
    k("SOL_SOCKET"),
    k("SO_RCVLOWAT"),
    option,
    4,
  ]);
}

/** The entry is given up if nothing happens for that long. */
export function setDeadline({ b }: Answerer, ticks: number): void {
  b.alu("add", value, d.now, ticks);
  b.store(8, d.entry, entry.deadline, value);
}

/** Puts the id that the client chose where it belongs, in a message that begins there. */
function restoreId({ b }: Answerer, message: typeof place): void {
  for (const offset of [0, 1]) {
    b.load(1, byte, d.entry, entry.id + offset);
    b.store(1, message, offset, byte);
  }
}

/**
 * `upstream.first` forwards the query of the entry at hand, which was just read; `upstream.next` tries
 * the next upstream, or says that there is none; `upstream.send` and `upstream.receive` go on where the
 * socket is ready.
 */
export function upstreamSubroutines(a: Answerer): void {
  const { b, m, upstreams } = a;
  b.label("upstream.first");
  b.alu("sub", value, d.questionEnd, d.query);
  b.store(8, d.entry, entry.end, value);
  for (const offset of [0, 1]) {
    b.load(1, byte, d.query, offset);
    b.store(1, d.entry, entry.id + offset, byte);
  }
  b.store(8, d.entry, entry.tries, upstreams.length);
  b.store(8, d.entry, entry.upstream, d.preferred);
  b.store(8, d.entry, entry.left, 0);

  b.label("upstream.next");
  closeEnd(a, "upstream");
  get(a, value, entry.tries);
  b.branch(value, "eq", 0, "upstream.none");
  b.alu("sub", value, value, 1);
  b.store(8, d.entry, entry.tries, value);
  get(a, value, entry.upstream);
  b.store(8, d.entry, entry.asked, value);
  b.alu("shl", address, value, 5);
  b.alu("add", address, address, m.upstreams);
  b.alu("add", value, value, 1);
  b.branch(value, "lt", upstreams.length, "upstream.open");
  b.set(value, 0);
  b.label("upstream.open");
  b.store(8, d.entry, entry.upstream, value);
  b.load(1, value, address);
  get(a, other, entry.isStream);
  b.set(byte, k("SOCK_DGRAM", "SOCK_NONBLOCK", "SOCK_CLOEXEC"));
  b.branch(other, "eq", 0, "upstream.socket");
  b.set(byte, k("SOCK_STREAM", "SOCK_NONBLOCK", "SOCK_CLOEXEC"));
  b.label("upstream.socket");
  b.orElse("upstream.next", "socket", [value, byte, 0], fd);
  setFd(a, "upstream", fd);
  b.attempt("connect", [fd, address, 28], value);
  b.branch(value, "eq", 0, "upstream.connecting");
  b.branch(value, "ne", minus("EINPROGRESS"), "upstream.next");
  b.label("upstream.connecting");
  setState(a, "connecting");
  setDeadline(a, limits.askTicks);
  b.return();

  b.label("upstream.none");
  b.alu("add", d.query, d.entry, entry.query + 2);
  restoreId(a, d.query);
  get(a, d.questionEnd, entry.end);
  b.alu("add", d.questionEnd, d.questionEnd, d.query);
  b.set(d.rcode, rcodes.serverFailure);
  b.call("reply.begin");
  b.label("upstream.deliver");
  get(a, value, entry.isStream);
  b.branch(value, "ne", 0, "stream.deliver");
  b.alu("add", answerTo.address, d.entry, entry.address);
  b.alu("add", answerTo.control, d.entry, entry.control);
  get(a, answerTo.controlSize, entry.controlSize);
  b.call("datagram.send");
  b.jump("entry.end");

  b.label("upstream.send");
  getFd(a, "upstream", fd);
  get(a, size, entry.length);
  b.alu("add", place, d.entry, entry.query);
  get(a, value, entry.isStream);
  b.branch(value, "ne", 0, "upstream.send.stream");
  b.alu("add", place, place, 2);
  b.alu("sub", size, size, 2);
  b.orElse("upstream.next", "getrandom", [place, 2, 0]);
  setDeadline(a, limits.askTicks);
  b.jump("upstream.send.all");
  b.label("upstream.send.stream");
  wakeAt(a, fd, 2);
  setDeadline(a, limits.streamTicks);
  b.label("upstream.send.all");
  b.attempt("sendto", [fd, place, size, k("MSG_DONTWAIT", "MSG_NOSIGNAL"), 0, 0], value);
  b.branch(value, "ne", size, "upstream.next");
  setState(a, "waiting");
  b.return();

  receiveSubroutine(a);
}

function receiveSubroutine(a: Answerer): void {
  const { b, m } = a;
  const answer = at(m.reply, 2);
  b.label("upstream.receive");
  get(a, value, entry.isStream);
  b.branch(value, "ne", 0, "stream.relay");
  getFd(a, "upstream", fd);
  b.attempt("recvfrom", [fd, answer, limits.reply, k("MSG_DONTWAIT", "MSG_TRUNC"), 0, 0], size);
  b.branch(size, "eq", minus("EAGAIN"), "upstream.receive.end");
  b.comment("nobody listens there");
  b.branch(size, "lt", 0, "upstream.next");
  b.branch(size, "lt", headerSize, "upstream.receive.end");
  b.branch(size, "gt", limits.reply, "upstream.receive.end");

  b.comment("the answer to what was asked, or it is left");
  b.alu("add", place, d.entry, entry.query + 2);
  for (const offset of [0, 1]) {
    b.load(1, byte, answer, offset);
    b.load(1, other, place, offset);
    b.branch(byte, "ne", other, "upstream.receive.end");
  }
  b.load(1, byte, answer, 2);
  b.alu("and", byte, byte, flags.response);
  b.branch(byte, "eq", 0, "upstream.receive.end");
  const rcode = slot("upstreamRcode");
  b.load(1, rcode, answer, 3);
  b.alu("and", rcode, rcode, 0xf);
  load16(b, byte, answer, 4);
  b.branch(byte, "eq", 1, "upstream.question");
  // A server that could not read the question does not repeat it.
  b.branch(byte, "ne", 0, "upstream.receive.end");
  b.branch(rcode, "eq", rcodes.noError, "upstream.receive.end");
  b.jump("upstream.answered");
  b.label("upstream.question");
  get(a, end, entry.end);
  b.branch(size, "lt", end, "upstream.receive.end");
  b.alu("add", end, end, place);
  b.set(address, at(answer, headerSize));
  b.alu("add", place, place, headerSize);
  b.alu("sub", end, end, questionTail);
  const compare = b.fresh("upstream.compare");
  b.label(compare);
  // Small and capital letters are the same to servers, and not all of them keep which it was.
  for (const [to, from] of [
    [byte, address],
    [other, place],
  ] as const) {
    b.load(1, to, from);
    b.alu("or", to, to, 0x20);
  }
  b.branch(byte, "ne", other, "upstream.receive.end");
  b.alu("add", address, address, 1);
  b.alu("add", place, place, 1);
  b.branch(place, "lt", end, compare);
  b.load(4, byte, address);
  b.load(4, other, place);
  b.branch(byte, "ne", other, "upstream.receive.end");

  b.label("upstream.answered");
  const final = b.fresh("upstream.final");
  get(a, value, entry.tries);
  b.branch(value, "eq", 0, final);
  for (const failure of ["serverFailure", "notImplemented", "refused"] as const) {
    b.branch(rcode, "eq", rcodes[failure], "upstream.next");
  }
  b.label(final);
  get(a, d.preferred, entry.asked);
  b.set(place, answer);
  restoreId(a, place);
  b.set(d.replySize, size);
  b.jump("upstream.deliver");
  b.label("upstream.receive.end");
  b.return();
}
