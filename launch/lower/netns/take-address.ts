/**
 * Which address a sandbox gets on a network. Nobody keeps a list of who has which: the port is called after it, and the
 * kernel lets no two links of a namespace have one name. The port is gone when the sandbox is.
 */
import { addLinkName, addVeth, deleteLink, hole, text, u32 } from "../../../netns/netlink.js";
import type { Attachment } from "../../../spec/actions/networks.js";
import { minus } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { hexName, hexOf, low, madeMacOf, type Six, setLow } from "./link-text.js";
import {
  addressOf,
  allowThere,
  index,
  indexOf,
  master,
  namespace,
  native,
  outside,
} from "./links.js";
import { ask, requireResult, tellKernel } from "./netlink.js";

/** As many bytes as the largest of our links takes at once. */
const mtu = 65520;
const portName = { four: 9, six: 33 } as const;

/** Makes both links, the port being called after the first address that is free. */
export function takeAddress(c: Context, link: Attachment): void {
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
