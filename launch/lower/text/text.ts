/** Subroutines that put short texts together in a bounded buffer. */
import { slot } from "../../machine/builder.js";
import type { Address, Slot, Value } from "../../machine/ir.js";
import { type Context, textSize } from "../context.js";

const to = slot("textTo");
const length = slot("textLength");
const from = slot("textFrom");
const byte = slot("textByte");
const number = slot("textNumber");
const cursor = slot("textCursor");
const digit = slot("textDigit");

/** Where `compose` left the length of its text, NUL not counted. */
export const textLength = length;

/** A piece of a text: the address of a NUL-terminated string, or a number printed in decimal. */
export type Piece = Address | { readonly string: Slot } | { readonly decimal: Value };

/** JSON text that is put together at run time. */
export type JsonPiece = string | Exclude<Piece, Address>;

/** A member of a record: launch/lower/record/record.ts. */
export type RecordFact = readonly [key: string, ...value: JsonPiece[]];

/** Writes the pieces, then a NUL, at `buffer`; what is beyond its `textSize` bytes is cut off. */
export function compose(c: Context, pieces: readonly Piece[], buffer: Value = c.memory.text): void {
  if (buffer === c.memory.text) c.b.call("text.begin");
  else {
    c.b.set(to, buffer);
    c.b.set(length, 0);
  }
  append(c, pieces);
}

/** Goes on with the text that `compose` began. */
export function append({ b }: Context, pieces: readonly Piece[]): void {
  for (const piece of pieces) {
    if ("decimal" in piece) {
      b.set(number, piece.decimal);
      b.call("text.decimal");
    } else {
      b.set(from, "string" in piece ? piece.string : piece);
      b.call("text.append");
    }
  }
}

/** Writes what was composed in the text buffer to a fd. */
export function writeText({ b, memory }: Context, fd: Value): void {
  b.ignore("there is nobody else to tell", "write", [fd, memory.text, length]);
}

/** The subroutines that the functions above call. */
export function textSubroutines({ b, memory }: Context): void {
  const room = textSize - 1;
  const at = slot("textAt");

  b.comment("begin a text in its buffer");
  b.label("text.begin");
  b.set(to, memory.text);
  b.set(length, 0);
  b.return();

  b.comment("append the string at textFrom");
  b.label("text.append");
  b.load(1, byte, from);
  b.alu("add", at, to, length);
  b.branch(byte, "eq", 0, "text.append.end");
  b.branch(length, "ge", room, "text.append.end");
  b.store(1, at, 0, byte);
  b.alu("add", length, length, 1);
  b.alu("add", from, from, 1);
  b.jump("text.append");
  b.label("text.append.end");
  b.store(1, at, 0, 0);
  b.return();

  b.comment("append textNumber in decimal");
  b.label("text.decimal");
  b.alu("add", cursor, memory.digits, 31);
  b.label("text.decimal.digit");
  b.alu("rem", digit, number, 10);
  b.alu("add", digit, digit, "0".charCodeAt(0));
  b.alu("sub", cursor, cursor, 1);
  b.store(1, cursor, 0, digit);
  b.alu("div", number, number, 10);
  b.branch(number, "ne", 0, "text.decimal.digit");
  b.set(from, cursor);
  b.jump("text.append");
}
