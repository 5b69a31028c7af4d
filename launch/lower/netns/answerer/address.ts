/** Addresses as text, and as sixteen bytes: an IPv4 address a.b.c.d is ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
import { reverse4, reverse6 } from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import type { Value } from "../../../machine/ir.js";
import type { Answerer } from "./memory.js";
import { requireSuffix } from "./question.js";

/** Where the text is that is read; behind what was read afterwards. */
export const addressText = slot("addressText");
/** Where the sixteen bytes go. */
export const addressTo = slot("addressTo");
const value = slot("addressValue");
const byte = slot("addressByte");
const count = slot("addressCount");
const place = slot("addressPlace");
const end = slot("addressEnd");
const gap = slot("addressGap");

/** The first eight bytes are 0, the next four these, as words of memory. */
const mappedPrefix = 0xffff0000;

const code = (letter: string): number => letter.charCodeAt(0);

/** Makes sixteen bytes of the four at `from`, or the place for them. */
export function mapped({ b }: Answerer, to: Value, from: Value | null): void {
  b.store(8, to, 0, 0);
  b.store(4, to, 8, mappedPrefix);
  if (from === null) return;
  b.load(4, value, from);
  b.store(4, to, 12, value);
}

/**
 * `address.ipv4` and `address.ipv6` read what our own programs have written down beside a link, and
 * trust it as far as that it is an address; they stay in the sixteen bytes whatever it is.
 * `address.reverse` reads a name that somebody asks for.
 */
export function addressSubroutines(a: Answerer): void {
  const { b } = a;
  b.comment("a number of up to three digits in addressValue, or -1");
  b.label("address.decimal");
  b.set(value, 0);
  b.set(count, 0);
  b.label("address.decimal.digit");
  b.load(1, byte, addressText);
  b.branch(byte, "lt", code("0"), "address.decimal.end");
  b.branch(byte, "gt", code("9"), "address.decimal.end");
  b.branch(count, "eq", 0, "address.decimal.next");
  b.branch(value, "eq", 0, "address.decimal.not");
  b.label("address.decimal.next");
  b.alu("shl", place, value, 1);
  b.alu("shl", value, value, 3);
  b.alu("add", value, value, place);
  b.alu("add", value, value, byte);
  b.alu("sub", value, value, code("0"));
  b.alu("add", addressText, addressText, 1);
  b.alu("add", count, count, 1);
  b.branch(count, "lt", 3, "address.decimal.digit");
  b.label("address.decimal.end");
  b.branch(count, "eq", 0, "address.decimal.not");
  b.branch(value, "le", 255, "address.decimal.sound");
  b.label("address.decimal.not");
  b.set(value, -1);
  b.label("address.decimal.sound");
  b.return();

  b.comment("a hexadecimal digit in addressByte, or -1");
  b.label("address.digit");
  b.load(1, byte, addressText);
  b.branch(byte, "gt", code("f"), "address.digit.not");
  b.alu("sub", byte, byte, code("a") - 10);
  b.branch(byte, "ge", 10, "address.digit.end");
  b.alu("add", byte, byte, code("a") - 10 - code("0"));
  b.branch(byte, "lt", 0, "address.digit.not");
  b.branch(byte, "le", 9, "address.digit.end");
  b.label("address.digit.not");
  b.set(byte, -1);
  b.label("address.digit.end");
  b.return();

  b.label("address.ipv4");
  mapped(a, addressTo, null);
  for (let part = 0; part < 4; part += 1) {
    b.call("address.decimal");
    b.store(1, addressTo, 12 + part, value);
    if (part < 3) b.alu("add", addressText, addressText, 1);
  }
  b.return();

  b.label("address.ipv6");
  b.store(8, addressTo, 0, 0);
  b.store(8, addressTo, 8, 0);
  b.set(place, addressTo);
  b.alu("add", end, addressTo, 16);
  b.set(gap, 0);
  b.label("address.ipv6.group");
  b.set(value, 0);
  b.set(count, 0);
  b.label("address.ipv6.digit");
  b.call("address.digit");
  b.branch(byte, "lt", 0, "address.ipv6.number");
  b.alu("shl", value, value, 4);
  b.alu("or", value, value, byte);
  b.alu("add", addressText, addressText, 1);
  b.set(count, 1);
  b.jump("address.ipv6.digit");
  b.label("address.ipv6.number");
  b.branch(count, "eq", 0, "address.ipv6.colon");
  b.branch(place, "ge", end, "address.ipv6.end");
  b.store(1, place, 1, value);
  b.alu("shr", value, value, 8);
  b.store(1, place, 0, value);
  b.alu("add", place, place, 2);
  b.label("address.ipv6.colon");
  b.load(1, byte, addressText);
  b.branch(byte, "ne", code(":"), "address.ipv6.last");
  b.alu("add", addressText, addressText, 1);
  b.load(1, byte, addressText);
  b.branch(byte, "ne", code(":"), "address.ipv6.group");
  b.set(gap, place);
  b.alu("add", addressText, addressText, 1);
  b.jump("address.ipv6.group");
  b.comment("what came behind :: belongs at the end");
  b.label("address.ipv6.last");
  b.branch(gap, "eq", 0, "address.ipv6.end");
  b.label("address.ipv6.move");
  b.branch(place, "le", gap, "address.ipv6.end");
  b.alu("sub", place, place, 1);
  b.alu("sub", end, end, 1);
  b.load(1, byte, place);
  b.store(1, place, 0, 0);
  b.store(1, end, 0, byte);
  b.jump("address.ipv6.move");
  b.label("address.ipv6.end");
  b.return();

  reverseSubroutine(a);
}

/** 1 where the name stands for the address in `m.wanted`. */
export const isReverse = slot("isReverse");

function reverseSubroutine(a: Answerer): void {
  const { b, m } = a;
  const part = slot("addressPart");
  b.comment("the address that the name stands for: 4.3.2.1.in-addr.arpa is that of 1.2.3.4");
  b.label("address.reverse");
  b.set(isReverse, 0);
  b.set(addressText, at(m.name, 1));
  const six = b.fresh("reverse");
  const start = requireSuffix(a, reverse4, six);
  mapped(a, m.wanted, null);
  for (let index = 3; index >= 0; index -= 1) {
    b.call("address.decimal");
    b.branch(value, "lt", 0, "address.reverse.end");
    b.store(1, at(m.wanted, 12 + index), 0, value);
    if (index > 0) skipDot();
  }
  b.branch(addressText, "ne", start, "address.reverse.end");
  b.set(isReverse, 1);
  b.return();

  b.label(six);
  requireSuffix(a, reverse6, "address.reverse.end");
  // 32 digits and as many dots, the first and the last of which are the suffix's and the name's own.
  b.alu("sub", part, start, m.name);
  b.branch(part, "ne", 64, "address.reverse.end");
  b.set(place, at(m.wanted, 15));
  b.label("address.reverse.byte");
  b.call("address.digit");
  b.branch(byte, "lt", 0, "address.reverse.end");
  b.set(part, byte);
  b.alu("add", addressText, addressText, 1);
  skipDot();
  b.call("address.digit");
  b.branch(byte, "lt", 0, "address.reverse.end");
  b.alu("shl", byte, byte, 4);
  b.alu("or", part, part, byte);
  b.store(1, place, 0, part);
  b.alu("add", addressText, addressText, 1);
  // The dot behind the last digit is that of the suffix.
  skipDot();
  b.alu("sub", place, place, 1);
  b.branch(place, "ge", m.wanted, "address.reverse.byte");
  // That of a link which has none.
  b.load(8, part, m.wanted);
  b.load(8, place, m.wanted, 8);
  b.alu("or", part, part, place);
  b.branch(part, "eq", 0, "address.reverse.end");
  b.set(isReverse, 1);
  b.label("address.reverse.end");
  b.return();

  function skipDot() {
    b.load(1, byte, addressText);
    b.branch(byte, "ne", code("."), "address.reverse.end");
    b.alu("add", addressText, addressText, 1);
  }
}

/** Goes on where the sixteen bytes are the same, else to the label. */
export function requireSameAddress(
  { b }: Answerer,
  one: Value,
  offset: number,
  other: Value,
  otherwise: string,
) {
  const [left, right] = [slot("leftWord"), slot("rightWord")];
  for (const word of [0, 8]) {
    b.load(8, left, one, offset + word);
    b.load(8, right, other, word);
    b.branch(left, "ne", right, otherwise);
  }
}
