/**
 * A sandbox on a network: a pair of links, one of which is a port of the network's bridge among the
 * holder's links, the other the sandbox's own. It is set up from outside by a process that has rights
 * over both, the stepper.
 */
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  be32,
  deleteLink,
  hole,
  linkUp,
  text,
  u8,
} from "../../../netns/netlink.js";
import type { Attachment } from "../../../spec/actions/networks.js";
import { at } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import { actionOf, type Context, s } from "../context.js";
import { joinedFd } from "../joined.js";
import { compose } from "../text/text.js";
import { h, opensHolder } from "./holder.js";
import { low, madeMac, type Six, storeBytes } from "./link-text.js";
import {
  addressOf,
  allowThere,
  index,
  indexOf,
  inside,
  linksOf,
  master,
  namespace,
  native,
  outside,
  writeName,
} from "./links.js";
import { ask, openNetlink, requireResult, tellKernel } from "./netlink.js";
import { takeAddress } from "./take-address.js";
import { nameLink } from "./tell-address.js";

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
