/**
 * The words for failures: of steps, hints and errnos. Only a program that has failed reads them, so
 * they are packed (launch/machine/pack.ts), and unpacked into memory that is not touched before.
 */
import { describe } from "../../../spec/describe.js";
import { visible } from "../../../spec/error.js";
import { errnoNumbers } from "../../../spec/linux.js";
import type { Plan } from "../../../spec/step.js";
import { at, slot } from "../../machine/builder.js";
import type { Value } from "../../machine/ir.js";
import { pack, shortestCopy } from "../../machine/pack.js";
import { type Context, pseudoErrno } from "../context.js";
import { errnoWords } from "./errnos.js";
import { append } from "./text.js";

/**
 * What a text is found by: a step's number in the high half and, in the low one, the errno that it is the
 * hint for, or one of these. Their bytes are below 0x80, as such bytes pack best.
 */
export const stepShift = 16;
export const textOf = {
  /** What the step does; the same as part of a JSON string. */
  step: 0x7f7d,
  jsonStep: 0x7f7e,
  /** The hint for any other errno. */
  any: 0x7f7f,
} as const;
/** In place of a step's number: what an errno means. */
const errnoText = 0x7f7e << stepShift;
const endKey = 0x7f7f7f7f;

/** The address of the text that `findText` found, or 0. */
export const found = slot("textFound");
const key = slot("textKey");
const cursor = slot("textRow");
const word = slot("textWord");
const number = slot("toldErrno");
const errnoKey = slot("errnoKey");

export function findText({ b }: Context, what: Value): void {
  b.set(key, what);
  b.call("text.find");
}

/** Goes on with the text that `compose` began: what the positive errno stands for. */
export function appendErrno({ b }: Context, errno: Value): void {
  b.set(number, errno);
  b.call("text.errno");
}

/** Of each row: the key, in four bytes, little-endian; then the text and a NUL. */
function rows(plan: Plan): Buffer {
  type Row = readonly [key: number, text: string];
  const steps = plan.steps.flatMap(({ action, hints }, number): Row[] => {
    const step = number << stepShift;
    const text = describe(action);
    return [
      [step | textOf.step, visible(text)],
      ...(plan.statusFd === null
        ? []
        : [[step | textOf.jsonStep, JSON.stringify(text).slice(1, -1)] as const]),
      ...Object.entries(hints ?? {}).map(
        ([name, hint]) => [step | hintErrno(name), visible(hint)] as const,
      ),
    ];
  });
  const errnos = errnoWords.map(([number, text]): Row => [errnoText | number, text]);
  const all: Row[] = [...steps, ...errnos, [endKey, ""]];
  const bytes = Buffer.alloc(all.reduce((sum, [, text]) => sum + 5 + Buffer.byteLength(text), 0));
  let at = 0;
  for (const [key, text] of all) {
    at = bytes.writeInt32LE(key, at);
    at += bytes.write(text, at) + 1;
  }
  return bytes;
}

function hintErrno(name: string): number {
  if (name === "any") return textOf.any;
  if (name in pseudoErrno) return pseudoErrno[name as keyof typeof pseudoErrno];
  const number = errnoNumbers[name];
  if (number === undefined) throw new Error(`a hint for the unknown errno ${name}`);
  return number;
}

/** The subroutines that the functions above call. */
export function failureTextSubroutines(c: Context): void {
  const { b, plan } = c;
  const table = rows(plan);
  const packed = pack(table);
  const texts = b.buffer("failureTexts", table.length);

  b.comment("find the text of textKey among those for failures");
  b.label("text.find");
  b.load(4, word, texts);
  b.branch(word, "ne", 0, "text.find.unpacked");
  unpack(c, b.bytes("packedTexts", packed), packed.length, texts);
  b.label("text.find.unpacked");
  b.set(cursor, texts);
  b.label("text.find.row");
  b.load(4, word, cursor);
  b.alu("add", cursor, cursor, 4);
  b.set(found, cursor);
  b.branch(word, "eq", key, "text.find.end");
  b.set(found, 0);
  b.branch(word, "eq", endKey, "text.find.end");
  b.label("text.find.next");
  b.load(1, word, cursor);
  b.alu("add", cursor, cursor, 1);
  b.branch(word, "ne", 0, "text.find.next");
  b.jump("text.find.row");
  b.label("text.find.end");
  b.return();
  errnoSubroutine(c);
}

function errnoSubroutine(c: Context): void {
  const { b } = c;
  b.comment("append what toldErrno stands for");
  b.label("text.errno");
  b.alu("or", errnoKey, number, errnoText);
  findText(c, errnoKey);
  b.branch(found, "ne", 0, "text.errno.known");
  append(c, [b.text("errno "), { decimal: number }]);
  b.return();
  b.label("text.errno.known");
  append(c, [{ string: found }]);
  b.return();
}

/** Undoes `pack`. */
function unpack({ b }: Context, packed: ReturnType<typeof at>, size: number, texts: Value): void {
  const [from, to, byte] = [slot("packedFrom"), slot("unpackedTo"), slot("packedByte")];
  const [count, distance, source] = [slot("copyCount"), slot("copyDistance"), slot("copySource")];
  const next = (into: typeof byte) => {
    b.load(1, into, from);
    b.alu("add", from, from, 1);
  };
  b.set(from, packed);
  b.set(to, texts);
  b.label("unpack.next");
  next(byte);
  b.branch(byte, "lt", 0x80, "unpack.plain");
  next(distance);
  b.alu("and", count, byte, 7);
  b.alu("shl", count, count, 8);
  b.alu("or", distance, distance, count);
  b.branch(distance, "eq", 0, "unpack.escaped");
  b.alu("and", count, byte, 0x78);
  b.alu("shr", count, count, 3);
  b.alu("add", count, count, shortestCopy);
  b.label("unpack.copy");
  b.alu("sub", source, to, distance);
  b.load(1, byte, source);
  b.store(1, to, 0, byte);
  b.alu("add", to, to, 1);
  b.alu("sub", count, count, 1);
  b.branch(count, "ne", 0, "unpack.copy");
  b.jump("unpack.more");
  b.label("unpack.escaped");
  next(byte);
  b.label("unpack.plain");
  b.store(1, to, 0, byte);
  b.alu("add", to, to, 1);
  b.label("unpack.more");
  b.branch(from, "lt", at(packed, size), "unpack.next");
}
