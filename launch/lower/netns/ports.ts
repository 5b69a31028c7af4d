/**
 * Published ports. The monitor binds each before there is a sandbox, so that one that cannot be had is
 * told of by itself, and one that is to be any free one is known by its number. The sockets are held
 * until the helper listens: that is possible beside a socket that does not, if both have SO_REUSEADDR.
 */
import { kindsOf } from "../../../netns/ports.js";
import type { PortRange } from "../../../spec/actions/uplink.js";
import { addressBytes } from "../../../spec/address.js";
import type { ActionOf } from "../../../spec/step.js";
import { at, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, failWithResult, s } from "../context.js";

type Reserve = ActionOf<"reservePorts">;

/** How many ports are tried for one that is free on both kinds of addresses. */
const maxTries = 16;

const fd = slot("portFd");
const port = slot("port");
const last = slot("lastPort");
const byte = slot("portByte");
const held = slot("heldPorts");
const tables = { fds: "portFds", numbers: "hostPorts" } as const;

const reservations = ({ plan }: Context): Reserve[] =>
  plan.steps.flatMap(({ action }) => (action.kind === "reservePorts" ? [action] : []));
const table = (of: string): Address => ({ kind: "address", of, offset: 0 });

/** Before any step. */
export function portState(c: Context): void {
  const all = reservations(c);
  if (all.length === 0) return;
  const { b } = c;
  const sockets = all.map(
    ({ ports, ipv6 }) =>
      kindsOf(ports, ipv6).length * (ports.hostPort === null ? maxTries : ports.count),
  );
  b.buffer(tables.fds, 4 * sockets.reduce((sum, count) => sum + count, 0));
  b.buffer(tables.numbers, 8 * all.length);
  b.set(held, table(tables.fds));
}

/** The step itself. */
export function reservePorts(c: Context, { range, ports, ipv6 }: Reserve): void {
  const { b, memory } = c;
  const again = b.fresh("ports");
  const isFree = ports.hostPort === null;
  const tries = slot("portTries");
  b.set(port, ports.hostPort ?? 0);
  b.set(last, (ports.hostPort ?? 0) + ports.count - 1);
  if (isFree) b.set(tries, 0);
  b.label(again);
  if (isFree) b.set(port, 0);
  for (const [index, kind] of kindsOf(ports, ipv6).entries()) {
    openSocket(c, ports, kind);
    // A connection that has been closed may still be remembered, which stands in no server's way.
    if (!isFree && ports.protocol === "tcp") allowReuse(c);
    const size = writeAddress(c, ports.hostIp, kind);
    b.attempt("bind", [fd, memory.scratch, size], s.result);
    if (isFree && index > 0) tryAnother(c, tries, again);
    const bound = b.fresh("ports");
    b.branch(s.result, "eq", 0, bound);
    failWithResult(b);
    b.label(bound);
    // Another sandbox must not find the same one free.
    if (isFree || ports.protocol === "udp") allowReuse(c);
    if (isFree && index === 0) readPort(c, size);
  }
  if (ports.count > 1) {
    b.alu("add", port, port, 1);
    b.branch(port, "le", last, again);
    b.set(port, ports.hostPort ?? 0);
  }
  b.store(8, table(tables.numbers), 8 * range, port);
}

function openSocket({ b }: Context, { protocol }: PortRange, kind: "ipv4" | "ipv6"): void {
  const type = k(protocol === "tcp" ? "SOCK_STREAM" : "SOCK_DGRAM", "SOCK_CLOEXEC");
  b.must("socket", [k(kind === "ipv4" ? "AF_INET" : "AF_INET6"), type, 0], fd);
  b.store(4, held, 0, fd);
  b.alu("add", held, held, 4);
  if (kind === "ipv4") return;
  b.must("setsockopt", [fd, k("IPPROTO_IPV6"), k("IPV6_V6ONLY"), switchOn(b), 4]);
}

function allowReuse({ b }: Context): void {
  b.must("setsockopt", [fd, k("SOL_SOCKET"), k("SO_REUSEADDR"), switchOn(b), 4]);
}

const switchOn = (b: Context["b"]): Address => b.bytes("one", Uint8Array.of(1, 0, 0, 0));

/** struct sockaddr_in or sockaddr_in6, ip(7) and ipv6(7), at the start of `scratch`; gives its size. */
function writeAddress(
  { b, memory: { scratch } }: Context,
  hostIp: string | null,
  kind: "ipv4" | "ipv6",
): number {
  const bytes = addressBytes(hostIp ?? (kind === "ipv4" ? "0.0.0.0" : "::"));
  const [offset, size] = kind === "ipv4" ? [4, 16] : [8, 28];
  const words = new Uint8Array(32);
  words.set(bytes, offset);
  const view = new DataView(words.buffer);
  for (let place = 0; place < size; place += 4) {
    b.store(4, scratch, place, view.getUint32(place, true));
  }
  b.store(1, scratch, 0, k(kind === "ipv4" ? "AF_INET" : "AF_INET6"));
  b.alu("shr", byte, port, 8);
  b.store(1, scratch, 2, byte);
  b.store(1, scratch, 3, port);
  return size;
}

/** After a bind to the port that was free on the other kind of addresses. */
function tryAnother({ b }: Context, tries: Slot, again: string): void {
  const end = b.fresh("ports");
  b.branch(s.result, "ne", minus("EADDRINUSE"), end);
  b.alu("add", tries, tries, 1);
  b.branch(tries, "lt", maxTries, again);
  b.label(end);
}

/** getsockname(2) tells the port in network order. */
function readPort({ b, memory: { scratch } }: Context, size: number): void {
  const low = slot("portLowByte");
  b.store(4, scratch, 64, size);
  b.must("getsockname", [fd, scratch, at(scratch, 64)]);
  b.load(1, port, scratch, 2);
  b.alu("shl", port, port, 8);
  b.load(1, low, scratch, 3);
  b.alu("or", port, port, low);
}

/** Where a port is looked for that is 0 in the plan. */
export function loadHostPort({ b }: Context, range: number, to: Slot): void {
  b.load(8, to, table(tables.numbers), 8 * range);
}

/** In the monitor once the helper listens, and in every other process that stays. */
export function closePorts(c: Context): void {
  if (reservations(c).length === 0) return;
  const { b } = c;
  const next = b.fresh("ports");
  const end = b.fresh("ports");
  b.label(next);
  b.branch(held, "le", table(tables.fds), end);
  b.alu("sub", held, held, 4);
  b.load(4, fd, held);
  b.ignore("it is ours", "close", [fd]);
  b.jump(next);
  b.label(end);
}

/** For the record of a running sandbox: its ports, each as spec/network.ts has them, with its number. */
export function portFact(c: Context): readonly [string, ...(string | { decimal: Slot })[]] | null {
  const all = reservations(c);
  if (all.length === 0) return null;
  const entries = all.flatMap(({ range, ports }) =>
    Array.from({ length: ports.count }, (_, place) => entryOf(c, range, ports, place)),
  );
  const listed = entries.flatMap((entry, index) => (index === 0 ? entry : [",", ...entry]));
  return ["ports", "[", ...listed, "]"];
}

function entryOf(
  c: Context,
  range: number,
  { protocol, hostIp, hostPort, containerPort }: PortRange,
  place: number,
): (string | { decimal: Slot })[] {
  const known = {
    protocol,
    ...(hostIp !== null && { hostIp }),
    containerPort: containerPort + place,
  };
  if (hostPort !== null) return [JSON.stringify({ ...known, hostPort: hostPort + place })];
  const number = slot(`hostPort${range}`);
  loadHostPort(c, range, number);
  return [`${JSON.stringify(known).slice(0, -1)},"hostPort":`, { decimal: number }, "}"];
}
