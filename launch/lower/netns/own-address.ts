/**
 * The sandbox's own addresses in its /etc/hosts. They are those of the way out, which the kernel tells of a
 * UDP socket that is connected: that sends nothing (udp(7), connect(2)).
 */
import { socketAddress } from "../../../netns/dns.js";
import type { ActionOf } from "../../../spec/step.js";
import { at, type Builder, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import type { Context } from "../context.js";
import { compose, writeText } from "../text/text.js";

const file = slot("hostsFd");
const socket = slot("addressFd");
const found = slot("addressesFound");
const byte = slot("addressByte");
const place = slot("addressPlace");
const cursor = slot("addressCursor");

export function nameOwnAddress(
  c: Context,
  { path, towards, names }: ActionOf<"nameOwnAddress">,
): void {
  const { b, memory } = c;
  const line = b.text(`\t${names}\n`);
  b.must("openat", [k("AT_FDCWD"), b.text(path), k("O_WRONLY", "O_APPEND", "O_CLOEXEC"), 0], file);
  b.set(found, 0);
  for (const address of towards) {
    const isSix = address.includes(":");
    const [none, next] = [b.fresh("address.none"), b.fresh("address.next")];
    const type = k("SOCK_DGRAM", "SOCK_CLOEXEC");
    const family = k(isSix ? "AF_INET6" : "AF_INET");
    const size = isSix ? 28 : 16;
    // Without a way there, or addresses of that kind, there is none to be named.
    b.orElse(next, "socket", [family, type, 0], socket);
    b.orElse(none, "connect", [socket, b.bytes("towards", socketAddress(address)), size]);
    b.store(4, memory.scratch, 0, size);
    b.must("getsockname", [socket, at(memory.scratch, 8), memory.scratch]);
    if (isSix) {
      // Of one link only (fe80::/10), as long as the network has given no other: RFC 4291.
      b.load(1, byte, memory.scratch, 16);
      b.branch(byte, "eq", 0xfe, none);
      writeHex(b, at(memory.scratch, 16), at(memory.scratch, 64));
      compose(c, [at(memory.scratch, 64), line]);
    } else {
      const dot = b.text(".");
      const bytes = [12, 13, 14, 15].map((offset) => {
        const each = slot(`addressByte${offset}`);
        b.load(1, each, memory.scratch, offset);
        return { decimal: each };
      });
      compose(c, [...bytes.flatMap((each, index) => (index === 0 ? [each] : [dot, each])), line]);
    }
    writeText(c, file);
    b.alu("add", found, found, 1);
    b.label(none);
    b.must("close", [socket]);
    b.label(next);
  }
  const end = b.fresh("address.end");
  b.branch(found, "ne", 0, end);
  compose(c, [b.text("127.0.0.1"), line]);
  writeText(c, file);
  b.label(end);
  b.must("close", [file]);
}

/** The 16 bytes at `from` as eight groups of four hexadecimal digits, and a NUL, at `to`. */
function writeHex(b: Builder, from: Address, to: Address): void {
  const [next, last] = [b.fresh("hex.next"), b.fresh("hex.digit")];
  const colon = ":".charCodeAt(0);
  b.set(place, from);
  b.set(cursor, to);
  b.label(next);
  b.load(1, byte, place);
  for (const shift of [4, 0]) {
    const digit = slot("hexDigit");
    b.alu("shr", digit, byte, shift);
    b.alu("and", digit, digit, 0xf);
    writeDigit(b, digit);
  }
  b.alu("add", place, place, 1);
  const groupEnd = slot("hexGroupEnd");
  b.alu("sub", groupEnd, place, from);
  b.branch(groupEnd, "eq", 16, last);
  b.alu("and", groupEnd, groupEnd, 1);
  b.branch(groupEnd, "ne", 0, next);
  b.store(1, cursor, 0, colon);
  b.alu("add", cursor, cursor, 1);
  b.jump(next);
  b.label(last);
  b.store(1, cursor, 0, 0);
}

function writeDigit(b: Builder, digit: Slot): void {
  const decimal = b.fresh("hex.decimal");
  b.alu("add", digit, digit, "0".charCodeAt(0));
  b.branch(digit, "le", "9".charCodeAt(0), decimal);
  b.alu("add", digit, digit, "a".charCodeAt(0) - "9".charCodeAt(0) - 1);
  b.label(decimal);
  b.store(1, cursor, 0, digit);
  b.alu("add", cursor, cursor, 1);
}
