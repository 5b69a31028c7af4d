/**
 * A sandbox on a network: a pair of links, one of which is a port of the network's bridge among the
 * holder's links, the other the sandbox's own. It is set up from outside by a process that has rights
 * over both.
 *
 * Nobody keeps a list of who has which address: the port is called after it, and the kernel lets no
 * two links of a namespace have one name. The port is gone when the sandbox is. Its other text, the alias, tells
 * the DNS answerer who has that address: `IPv4 IPv6 NAME NAME…`, `-` in the place of what there is not;
 * IPv6 addresses in full, as eight groups of four digits.
 */
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  addLinkName,
  addVeth,
  be32,
  deleteLink,
  hole,
  linkAlias,
  linkUp,
  text,
  u8,
  u32,
} from "../../../netns/netlink.js";
import type { Attachment } from "../../../spec/actions/networks.js";
import { at, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { actionOf, type Context, pseudoErrno, s } from "../context.js";
import { joinedFd } from "../joined.js";
import { sandboxName } from "../record/place.js";
import { append, compose, type JsonPiece, type Piece, type RecordFact } from "../text/text.js";
import { h, opensHolder } from "./holder.js";
import {
  dotted,
  fourNumbers,
  hexName,
  hexOf,
  low,
  madeMac,
  madeMacOf,
  madeSix,
  type Six,
  setLow,
  sixText,
  storeBytes,
} from "./link-text.js";
import { ask, type Fill, openNetlink, requireResult, tellKernel } from "./netlink.js";

/** Sockets that speak to the links of the holder, and to those of the sandbox. */
const outside = slot("outerLinks");
const inside = slot("innerLinks");
const namespace = slot("sandboxNet");
/** Of the link at hand. */
const index = slot("linkIndex");
const master = slot("bridgeIndex");

/** As many bytes as the largest of our links takes at once. */
const mtu = 65520;
const portName = { four: 9, six: 33 } as const;
const aliasSize = 255;

/** The IPv4 address of a link, in a slot of its own, for the record. */
export const addressOf = ({ number }: Attachment): Slot => slot(`address.${number}`);

const linksOf = ({ plan }: Context): Attachment[] =>
  plan.steps.flatMap(({ action }) => (action.kind === "joinNetwork" ? [action] : []));

/** Before any step: the monitor reads what the stepper, with which it shares its memory, has written. */
export function networkState(c: Context): void {
  if (!opensHolder(c)) return;
  for (const fd of [outside, inside, namespace]) c.b.set(fd, -1);
  for (const link of linksOf(c)) c.b.set(addressOf(link), 0);
}

/** The step; the stepper goes on in both namespaces of the holder. */
export function enterHolder(c: Context): void {
  const { b } = c;
  b.must("setns", [h.user, k("CLONE_NEWUSER")]);
  b.must("setns", [h.net, k("CLONE_NEWNET")]);
  openNetlink(c, "route", outside);
}

/** The step. */
export function joinNetwork(c: Context, link: Attachment): void {
  const { b } = c;
  if (link.number === 0) openInside(c);
  makeBridge(c, link);
  takeAddress(c, link);
  nameLink(c, link);
  b.comment("the sandbox's side");
  indexOf(c, inside, link.interface);
  tellKernel(c, inside, addAddress(hole("index", 4), hole("address", 4), link.prefixBits), {
    index: native(c, index),
    address: (to) => storeBytes(c, to, addressOf(link)),
  });
  if (link.six !== null) addSix(c, link.six);
  tellKernel(c, inside, linkUp(hole("index", 4)), { index: native(c, index) });
  if (!link.isDefault) return;
  addRoute(c, be32(link.gateway));
  if (link.six !== null) addRoute(c, link.six.gateway);
}

/** The step: with one link, the kernel removes the other. */
export function leaveNetwork(c: Context, name: string): void {
  openInside(c);
  indexOf(c, inside, name);
  tellKernel(c, inside, deleteLink(hole("index", 4)), { index: native(c, index) });
}

/** The step; only a network that somebody was on has a bridge. */
export function removeBridge(c: Context, name: string): void {
  const { b, memory } = c;
  const none = b.fresh("bridge");
  writeName(c, name);
  b.attempt("ioctl", [outside, k("SIOCGIFINDEX"), memory.scratch], s.result);
  b.branch(s.result, "eq", minus("ENODEV"), none);
  requireResult(c);
  b.load(4, index, memory.scratch, 16);
  tellKernel(c, outside, deleteLink(hole("index", 4)), { index: native(c, index) });
  b.label(none);
}

/** From here on the stepper is in the sandbox's network namespace; the socket stays with the holder's. */
function openInside(c: Context): void {
  const { b, memory } = c;
  if (actionOf(c, "openJoined") !== undefined) {
    b.set(namespace, joinedFd("network"));
  } else {
    compose(c, [b.text("/proc/"), { decimal: s.initPid }, b.text("/ns/net")]);
    b.must("openat", [k("AT_FDCWD"), memory.text, k("O_RDONLY", "O_CLOEXEC"), 0], namespace);
  }
  b.must("setns", [namespace, k("CLONE_NEWNET")]);
  openNetlink(c, "route", inside);
}

/** Whoever comes first; others may be about to do the same, so that what is there is not wrong. */
function makeBridge(c: Context, { bridge, gateway, prefixBits, six }: Attachment): void {
  const mac = u8(...madeMac, ...be32(gateway));
  ask(c, outside, addBridge({ name: text(bridge), mac }));
  allowThere(c);
  indexOf(c, outside, bridge);
  c.b.set(master, index);
  ask(c, outside, addAddress(hole("index", 4), be32(gateway), prefixBits), {
    index: native(c, index),
  });
  allowThere(c);
  if (six !== null) {
    const own = addAddress(hole("index", 4), six.gateway, six.prefixBits);
    ask(c, outside, own, { index: native(c, index) });
    allowThere(c);
  }
  tellKernel(c, outside, linkUp(hole("index", 4)), { index: native(c, index) });
}

function allowThere(c: Context): void {
  const { b } = c;
  const there = b.fresh("there");
  b.branch(s.result, "eq", minus("EEXIST"), there);
  requireResult(c);
  b.label(there);
}

/** Makes both links, the port being called after the first address that is free. */
function takeAddress(c: Context, link: Attachment): void {
  const { b } = c;
  const address = addressOf(link);
  const [next, taken, made] = [b.fresh("address"), b.fresh("address"), b.fresh("address")];
  const peerMac = link.mac ?? hole("mac", 6);
  const veth = addVeth(
    { name: hole("name", portName.four + 1), mtu: u32(mtu), master: hole("master", 4) },
    { name: text(link.interface), mac: peerMac, mtu: u32(mtu), namespace: hole("namespace", 4) },
  );
  b.set(address, link.ip ?? link.first);
  b.label(next);
  if (link.ip === null) b.branch(address, "eq", link.gateway, taken);
  ask(c, outside, veth, {
    name: (to) => hexName(c, to, "", address),
    mac: (to) => madeMacOf(c, to, address),
    master: native(c, master),
    namespace: native(c, namespace),
  });
  b.branch(s.result, "eq", minus("EEXIST"), taken);
  requireResult(c);
  indexOf(c, outside, (to) => hexName(c, to, "", address));
  if (link.six !== null) takeSix(c, link.six, address, taken);
  b.jump(made);

  b.label(taken);
  if (link.ip === null) {
    b.alu("add", address, address, 1);
    b.branch(address, "le", link.last, next);
  }
  b.set(s.errno, link.ip === null ? pseudoErrno.networkFull : pseudoErrno.addressTaken);
  b.fail();
  b.label(made);
}

/** The port has one more name, made of the IPv6 address, that nobody else can have either. */
function takeSix(c: Context, six: Six, address: Slot, taken: string): void {
  const { b } = c;
  const free = b.fresh("address");
  setLow(c, six, address);
  const fixed = hexOf(six.ip ?? six.base).slice(0, 24);
  const name = six.ip === null ? hole("name", portName.six + 1) : text(`v${hexOf(six.ip)}`);
  ask(c, outside, addLinkName(hole("index", 4), name), {
    index: native(c, index),
    name: (to) => hexName(c, to, fixed, low),
  });
  b.branch(s.result, "eq", 0, free);
  allowThere(c);
  if (six.ip === null) {
    tellKernel(c, outside, deleteLink(hole("index", 4)), { index: native(c, index) });
    b.jump(taken);
  } else {
    b.set(s.errno, pseudoErrno.addressTaken);
    b.fail();
  }
  b.label(free);
}

/** Tells the answerer who is behind the port. */
function nameLink(c: Context, link: Attachment): void {
  const { names } = link;
  const alias = linkAlias(hole("index", 4), hole("alias", aliasSize));
  tellKernel(c, outside, alias, {
    index: native(c, index),
    alias: (to) => {
      compose(c, dotted(c, addressOf(link)), to);
      append(c, [c.b.text(" "), ...sixPieces(c, link)]);
      append(c, [c.b.text(" "), { string: sandboxName }]);
      if (names.length > 0) append(c, [c.b.text(["", ...names].join(" "))]);
    },
  });
}

/** Its IPv6 address, or `-`. */
function sixPieces(c: Context, link: Attachment): Piece[] {
  const { six } = link;
  if (six === null) return [c.b.text("-")];
  if (six.ip !== null) return [c.b.text(sixText(six.ip))];
  const [head, rest] = madeSix(c, six, addressOf(link));
  return [c.b.text(head), rest];
}

/** The member of a record, if it has one. */
function toldSix(c: Context, link: Attachment): JsonPiece[] {
  const { six, number } = link;
  if (six === null) return [];
  if (six.ip !== null) return [`,"ip6":"${sixText(six.ip)}"`];
  const [head, rest] = madeSix(c, six, addressOf(link));
  const string = slot(`toldSix.${number}`);
  c.b.set(string, rest);
  return [`,"ip6":"${head}`, { string }, '"'];
}

/** Puts the sandbox's own IPv6 address on the link of that index. */
function addSix(c: Context, six: Six): void {
  const own = six.ip ?? hole("address", 16);
  tellKernel(c, inside, addAddress(hole("index", 4), own, six.prefixBits), {
    index: native(c, index),
    address: (to) => {
      for (const [offset, byte] of six.base.slice(0, 12).entries()) c.b.store(1, to, offset, byte);
      storeBytes(c, at(to, 12), low);
    },
  });
}

function addRoute(c: Context, gateway: Uint8Array): void {
  tellKernel(c, inside, addDefaultRoute(hole("index", 4), gateway), { index: native(c, index) });
}

/** if_nametoindex(3), by struct ifreq: the name in 16 bytes, then the index. */
function indexOf(c: Context, links: Slot, name: string | ((to: Address) => void)): void {
  const { b, memory } = c;
  if (typeof name === "string") writeName(c, name);
  else name(memory.scratch);
  b.must("ioctl", [links, k("SIOCGIFINDEX"), memory.scratch]);
  b.load(4, index, memory.scratch, 16);
}

function writeName({ b, memory }: Context, name: string): void {
  for (const [offset, byte] of text(name).entries()) b.store(1, memory.scratch, offset, byte);
}

const native =
  ({ b }: Context, value: Slot): Fill =>
  (to) =>
    b.store(4, to, 0, value);

/** In the monitor, once the stepper has ended: what both had open. */
export function closeNetworks(c: Context): void {
  if (!opensHolder(c)) return;
  for (const fd of [outside, inside, namespace, h.user, h.net]) c.b.must("close", [fd]);
}

/** In the init: whose parent the holder's namespace is shall have no hold of it. */
export function leaveNetworks(c: Context): void {
  if (!opensHolder(c)) return;
  for (const fd of [outside, h.life, h.user, h.net]) c.b.must("close", [fd]);
}

/** For the record: where the sandbox is. */
export function networksFact(c: Context): RecordFact | null {
  const links = linksOf(c);
  if (links.length === 0) return null;
  const pieces = links.flatMap((link) => {
    const numbers = fourNumbers(c, addressOf(link), `toldByte.${link.number}`);
    const own = numbers.flatMap((number, position) => [position === 0 ? "" : ".", number]);
    const { network, interface: name } = link;
    const text = JSON.stringify({ network, interface: name });
    return [
      `${link.number === 0 ? "[" : ","}${text.slice(0, -1)},"ip":"`,
      ...own,
      '"',
      ...toldSix(c, link),
      "}",
    ];
  });
  return ["networks", ...pieces, "]"];
}
