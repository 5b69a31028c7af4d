/** Addresses and names of links, as the bytes and the texts that the kernel and the DNS answerer take them for. */
import type { Attachment } from "../../../spec/actions/networks.js";
import { at, slot } from "../../machine/builder.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, call } from "../context.js";
import type { Piece } from "../text/text.js";

const number = slot("hexNumber");
const place = slot("hexPlace");
const end = slot("hexEnd");
const digit = slot("hexDigit");

/** The IPv6 side of a link. */
export type Six = NonNullable<Attachment["six"]>;

/** The low four bytes of an IPv6 address that was not asked for. */
export const low = slot("linkLow");

/** The first two bytes of addresses that are made of IPv4 addresses: locally administered, of one link. */
export const madeMac = [0x02, 0x53] as const;

/** The four numbers of an IPv4 address, in slots of that name. */
export function fourNumbers({ b }: Context, address: Slot, name: string): { decimal: Slot }[] {
  return [24, 16, 8, 0].map((bits, position) => {
    const decimal = slot(`${name}.${position}`);
    b.alu("shr", decimal, address, bits);
    b.alu("and", decimal, decimal, 255);
    return { decimal };
  });
}

/** An IPv4 address as a text. */
export function dotted(c: Context, address: Slot): Piece[] {
  return fourNumbers(c, address, "addressByte").flatMap((number, position) =>
    position === 0 ? [number] : [c.b.text("."), number],
  );
}

/** An IPv6 address in full: eight groups of four digits. */
export const sixText = (bytes: Uint8Array): string => (hexOf(bytes).match(/.{4}/g) ?? []).join(":");

/** The same of one that was not asked for: what all of the subnet begin with, and the rest. */
export function madeSix(c: Context, six: Six, address: Slot): [string, Address] {
  const { b } = c;
  const digits = b.buffer(b.fresh("addressDigits"), 10);
  setLow(c, six, address);
  b.set(place, at(digits, 1));
  b.set(number, low);
  call(c, "network.hex");
  b.load(4, digit, digits, 1);
  b.store(4, digits, 0, digit);
  b.store(1, digits, 4, ":".charCodeAt(0));
  return [sixText(six.base).slice(0, 30), digits];
}

/** Sets `low`: both addresses of a link have the same place in their subnets. */
export function setLow({ b }: Context, { base, subnet }: Six, address: Slot): void {
  b.alu("sub", low, address, subnet);
  b.alu("add", low, low, Buffer.from(base).readUInt32BE(12));
}

/** `v`, these digits, and those of the low four bytes of a number; the NUL is there. */
export function hexName(c: Context, to: Address, digits: string, value: Slot): void {
  for (const [offset, letter] of [...`v${digits}`].entries()) {
    c.b.store(1, to, offset, letter.charCodeAt(0));
  }
  c.b.set(place, at(to, 1 + digits.length));
  c.b.set(number, value);
  call(c, "network.hex");
}

/** The address that is made of an IPv4 address. */
export function madeMacOf(c: Context, to: Address, address: Slot): void {
  for (const [offset, byte] of madeMac.entries()) c.b.store(1, to, offset, byte);
  storeBytes(c, at(to, madeMac.length), address);
}

/** The first byte is the highest. */
export function storeBytes({ b }: Context, to: Address, value: Slot): void {
  for (const offset of [0, 1, 2, 3]) {
    b.alu("shr", digit, value, 24 - 8 * offset);
    b.store(1, to, offset, digit);
  }
}

/** The digits of an address. */
export const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** What the functions above call. */
export function networkSubroutines({ b, called }: Context): void {
  if (!called.has("network.hex")) return;
  b.comment("write the low 32 bits of hexNumber as eight digits at hexPlace");
  b.label("network.hex");
  b.alu("add", end, place, 8);
  b.label("network.hex.next");
  b.alu("shr", digit, number, 28);
  b.alu("and", digit, digit, 15);
  b.alu("add", digit, digit, "0".charCodeAt(0));
  b.branch(digit, "le", "9".charCodeAt(0), "network.hex.digit");
  b.alu("add", digit, digit, "a".charCodeAt(0) - "9".charCodeAt(0) - 1);
  b.label("network.hex.digit");
  b.store(1, place, 0, digit);
  b.alu("shl", number, number, 4);
  b.alu("add", place, place, 1);
  b.branch(place, "lt", end, "network.hex.next");
  b.return();
}
