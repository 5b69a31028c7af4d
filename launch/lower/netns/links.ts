/** The links of the holder and those of the sandbox, as the stepper speaks with the kernel of them. */
import { text } from "../../../netns/netlink.js";
import type { Attachment } from "../../../spec/actions/networks.js";
import { slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { type Fill, requireResult } from "./netlink.js";

/** Sockets that speak to the links of the holder, and to those of the sandbox. */
export const outside = slot("outerLinks");
export const inside = slot("innerLinks");
export const namespace = slot("sandboxNet");
/** Of the link at hand. */
export const index = slot("linkIndex");
export const master = slot("bridgeIndex");

/** The IPv4 address of a link, in a slot of its own, for the record. */
export const addressOf = ({ number }: Attachment): Slot => slot(`address.${number}`);

export const linksOf = ({ plan }: Context): Attachment[] =>
  plan.steps.flatMap(({ action }) => (action.kind === "joinNetwork" ? [action] : []));

/** if_nametoindex(3), by struct ifreq: the name in 16 bytes, then the index. */
export function indexOf(c: Context, links: Slot, name: string | ((to: Address) => void)): void {
  const { b, memory } = c;
  if (typeof name === "string") writeName(c, name);
  else name(memory.scratch);
  b.must("ioctl", [links, k("SIOCGIFINDEX"), memory.scratch]);
  b.load(4, index, memory.scratch, 16);
}

export function writeName({ b, memory }: Context, name: string): void {
  for (const [offset, byte] of text(name).entries()) b.store(1, memory.scratch, offset, byte);
}

export const native =
  ({ b }: Context, value: Slot): Fill =>
  (to) =>
    b.store(4, to, 0, value);

export function allowThere(c: Context): void {
  const { b } = c;
  const there = b.fresh("there");
  b.branch(s.result, "eq", minus("EEXIST"), there);
  requireResult(c);
  b.label(there);
}
