/**
 * The answerer: a process in the network namespace of a user's networks that answers DNS for the
 * sandboxes on them. What it reads comes from payloads, so it has no rights, one fixed piece of memory,
 * no loop but over that, and no file but its sockets.
 */
import { socketAddress } from "../../../../netns/dns.js";
import { slot } from "../../../machine/builder.js";
import { k } from "../../../machine/constants.js";
import type { Slot } from "../../../machine/ir.js";
import { type Context, s, words32 } from "../../context.js";
import { closeFrom } from "../../fds.js";
import { addressSubroutines } from "./address.js";
import { confine } from "./confine.js";
import { controlSize, datagramSubroutines, fromSize, headerBytes } from "./datagram.js";
import {
  eachEntry,
  ends,
  entriesSize,
  entriesState,
  entrySubroutines,
  get,
  pollSize,
} from "./entries.js";
import { linkSubroutines, openLinks } from "./links.js";
import { type Answerer, type AnswererOptions, d, entry, limits, polls, states } from "./memory.js";
import { nameSubroutines } from "./names.js";
import { questionSubroutine } from "./question.js";
import { countersSize, rateState, rateSubroutine } from "./rate.js";
import { replySubroutines } from "./reply.js";
import { connectionOption, streamSubroutines } from "./stream.js";
import { upstreamBytes, upstreamSubroutines } from "./upstream.js";

/**
 * One end of a socket pair whose other end the holder's keeper alone has open. Eight bytes go there: 0
 * once queries are answered, or the errno of what failed; and when it is closed the answerer ends.
 */
export const answererChannel = slot("answererChannel");

const result = slot("answererResult");
const poll = slot("answererPoll");
const timeout = slot("answererTimeout");
const state = slot("answererState");
const clientEvents = slot("clientEvents");
const upstreamEvents = slot("upstreamEvents");
const deadline = slot("answererDeadline");

/**
 * The whole life of the process, which needs CAP_NET_BIND_SERVICE in the network namespace, and in the
 * slot `answererChannel` what that says. Closes all other fds, and does not return.
 */
export function lowerAnswerer(c: Context, options: AnswererOptions): void {
  const a = { ...options, c, b: c.b, m: memoryOf(c, options) };
  const { b } = a;
  b.comment("the answerer");
  b.failTo("answerer.fail");
  b.must("dup3", [answererChannel, 0, 0]);
  closeFrom(c, 1, 0xffffffff);
  openSockets(a);
  openLinks(a);
  entriesState(a);
  rateState(a);
  b.set(d.preferred, 0);
  b.set(d.replySize, 0);
  b.set(d.complete, 0);
  confine(a);
  tellKeeper(a, 0);
  loop(a);
  b.label("answerer.fail");
  tellKeeper(a, s.errno);
  b.exit(1);

  datagramSubroutines(a);
  streamSubroutines(a);
  upstreamSubroutines(a);
  entrySubroutines(a);
  nameSubroutines(a);
  questionSubroutine(a);
  replySubroutines(a);
  linkSubroutines(a);
  addressSubroutines(a);
  rateSubroutine(a);
}

function memoryOf({ b }: Context, { upstreams }: AnswererOptions): Answerer["m"] {
  return {
    poll: b.buffer("answererPoll", pollSize),
    entries: b.buffer("answererEntries", entriesSize),
    links: b.buffer("answererLinks", limits.links),
    packet: b.buffer("answererPacket", limits.query + 8),
    name: b.buffer("answererName", 256),
    reply: b.buffer("answererReply", limits.reply + 8),
    from: b.buffer("answererFrom", fromSize),
    control: b.buffer("answererControl", controlSize),
    client: b.buffer("answererClient", 16),
    wanted: b.buffer("answererWanted", 16),
    header: b.buffer("answererHeader", headerBytes),
    counts: b.buffer("answererCounts", countersSize),
    upstreams: b.bytes("answererUpstreams", upstreamBytes(upstreams)),
  };
}

function tellKeeper({ b, c }: Answerer, errno: Slot | number): void {
  b.store(8, c.memory.record, 0, errno);
  const args = [0, c.memory.record, 8, k("MSG_NOSIGNAL"), 0, 0];
  b.ignore("without a keeper it ends at once", "sendto", args);
}

/** Of all addresses, IPv4's too where the kernel has IPv6 (IPV6_V6ONLY off); else of those alone. */
function openSockets(a: Answerer): void {
  const { b, m } = a;
  const six = b.fresh("sockets");
  const flags = k("SOCK_DGRAM", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
  b.set(d.family, k("AF_INET6"));
  b.set(d.level, k("SOL_IPV6"));
  b.set(d.interfaceOffset, 16);
  b.set(connectionOption, k("IPV6_2292PKTOPTIONS"));
  const bindTo = slot("bindAddress");
  const option = slot("bridgeOption");
  b.set(option, k("IPV6_RECVPKTINFO"));
  b.set(bindTo, b.bytes("allAddresses", socketAddress("::")));
  b.attempt("socket", [d.family, flags, 0], d.udp);
  b.branch(d.udp, "ge", 0, six);
  b.set(d.family, k("AF_INET"));
  b.set(d.level, k("SOL_IP"));
  b.set(d.interfaceOffset, 0);
  b.set(connectionOption, k("IP_PKTOPTIONS"));
  b.set(option, k("IP_PKTINFO"));
  b.set(bindTo, b.bytes("allAddresses", socketAddress("0.0.0.0")));
  b.must("socket", [d.family, flags, 0], d.udp);
  b.label(six);
  b.must("socket", [d.family, k("SOCK_STREAM", "SOCK_CLOEXEC", "SOCK_NONBLOCK"), 0], d.tcp);
  const [off, on] = [b.bytes("off", words32([0])), b.bytes("on", words32([1]))];
  // Connections of an answerer that was here before may not all be over.
  b.must("setsockopt", [d.tcp, k("SOL_SOCKET"), k("SO_REUSEADDR"), on, 4]);
  for (const socket of [d.udp, d.tcp]) {
    const four = b.fresh("sockets");
    b.branch(d.family, "eq", k("AF_INET"), four);
    b.must("setsockopt", [socket, k("SOL_IPV6"), k("IPV6_V6ONLY"), off, 4]);
    b.label(four);
    b.must("setsockopt", [socket, d.level, option, on, 4]);
    b.must("bind", [socket, bindTo, 28]);
  }
  b.must("listen", [d.tcp, 64]);
  for (const [place, fd] of [
    [polls.channel, 0],
    [polls.udp, d.udp],
    [polls.tcp, d.tcp],
  ] as const) {
    b.store(4, m.poll, place, fd);
    b.store(4, m.poll, place + 4, place === polls.channel ? 0 : k("POLLIN"));
  }
}

function loop(a: Answerer): void {
  const { b, m } = a;
  b.label("answerer.loop");
  b.comment("as long as anything has a deadline, time is looked at now and then");
  b.set(timeout, 0);
  eachEntry(a, () => {
    const free = b.fresh("timeout");
    get(a, state, entry.state);
    b.branch(state, "eq", states.free, free);
    b.set(timeout, b.words("answererTick", [0, 250_000_000], false));
    b.label(free);
  });
  b.attempt("ppoll", [m.poll, pollSize / 8, timeout, 0, 8], result);
  b.branch(result, "lt", 0, "answerer.loop");
  b.must("clock_gettime", [k("CLOCK_MONOTONIC"), m.header]);
  b.load(8, d.now, m.header);
  b.alu("shl", d.now, d.now, 10);
  b.load(8, result, m.header, 8);
  b.alu("shr", result, result, 20);
  b.alu("or", d.now, d.now, result);

  const unlessReady = (place: number, to: string) => {
    b.load(4, result, m.poll, place + 4);
    b.alu("shr", result, result, 16);
    b.branch(result, "eq", 0, to);
  };
  const [live, noDatagram, noStream] = ["channel", "udp", "tcp"].map((name) => b.fresh(name)) as [
    string,
    string,
    string,
  ];
  unlessReady(polls.channel, live);
  b.exit(0);
  b.label(live);
  eachEntry(a, () => b.call("answerer.entry"));
  unlessReady(polls.udp, noDatagram);
  b.call("datagram.receive");
  b.label(noDatagram);
  unlessReady(polls.tcp, noStream);
  b.call("stream.accept");
  b.label(noStream);
  b.jump("answerer.loop");

  entryStep(a);
}

/** What has happened to the entry at hand. */
function entryStep(a: Answerer): void {
  const { b } = a;
  b.label("answerer.entry");
  get(a, state, entry.state);
  b.branch(state, "eq", states.free, "answerer.entry.end");
  get(a, poll, entry.poll);
  for (const [events, end] of [
    [clientEvents, "client"],
    [upstreamEvents, "upstream"],
  ] as const) {
    b.load(4, events, poll, ends[end] + 4);
    b.alu("shr", events, events, 16);
  }
  b.branch(state, "eq", states.reading, "answerer.reading");
  b.branch(state, "eq", states.blocked, "answerer.blocked");
  b.comment("a client that does not wait for its answer");
  b.branch(clientEvents, "ne", 0, "entry.end");
  b.branch(upstreamEvents, "eq", 0, "answerer.late");
  b.branch(state, "eq", states.connecting, "upstream.send");
  b.jump("upstream.receive");
  b.label("answerer.reading");
  b.branch(clientEvents, "ne", 0, "stream.read");
  b.jump("answerer.late");
  b.label("answerer.blocked");
  b.branch(upstreamEvents, "ne", 0, "entry.end");
  b.branch(clientEvents, "ne", 0, "stream.relay");
  b.label("answerer.late");
  get(a, deadline, entry.deadline);
  b.branch(d.now, "lt", deadline, "answerer.entry.end");
  b.branch(state, "eq", states.connecting, "upstream.next");
  get(a, state, entry.isStream);
  b.branch(state, "eq", 0, "upstream.next");
  b.jump("entry.end");
  b.label("answerer.entry.end");
  b.return();
}
