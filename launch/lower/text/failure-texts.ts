/**
 * The words for failures: of steps, hints and errnos. Only a program that has failed reads them, so
 * they are packed (launch/machine/pack.ts), and unpacked into memory that is not touched before.
 */
import { describe } from "../../../spec/describe.js";
import { visible } from "../../../spec/error.js";
import { errnoNumbers } from "../../../spec/linux.js";
import { slot } from "../../machine/builder.js";
import type { Address, Value } from "../../machine/ir.js";
import { pack } from "../../machine/pack.js";
import type { Context } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { errnoWords, ownWords } from "./errnos.js";
import { unpack, unpackSubroutine } from "./packed.js";
import { append } from "./text.js";

/**
 * What a text of a step's is found by: the errno that it is the hint for, or a number that is no errno. The
 * keys are below 0x80 where they are many, as such bytes pack best.
 */
export const textOf = {
  /** The hint for any other errno. */
  any: 0,
  /** What the step does, before all else that there is of it; the same as part of a JSON string. */
  step: 41,
  jsonStep: 58,
} as const;
const end = 0xff;

/** The address of the text that `findText` found, or 0. */
export const found = slot("textFound");
const wantedStep = slot("textStep");
const key = slot("textKey");
const cursor = slot("textRow");
const word = slot("textWord");
const step = slot("textRowStep");
const number = slot("toldErrno");

/** Defined when all is lowered: `failureTexts`. */
const packedTexts: Address = { kind: "address", of: "packedTexts.1", offset: 0 };
const texts: Address = { kind: "address", of: "failureTexts", offset: 0 };

/** Looks for a text of the step of that number. */
export function findText({ b }: Context, ofStep: Value, what: Value): void {
  b.set(wantedStep, ofStep);
  b.set(key, what);
  b.call("text.find");
}

/** Goes on with the text that `compose` began: what the positive errno stands for. */
export function appendErrno({ b }: Context, errno: Value): void {
  b.set(number, errno);
  b.call("text.errno");
}

/** Of each row: the key, a byte; then the text and a NUL. Behind the steps comes one that has the errnos. */
function rows({ b, plan }: Context): Buffer {
  type Row = readonly [key: number, text: string];
  const steps = plan.steps.flatMap(({ action, hints }): Row[] => {
    const text = describe(action);
    return [
      [textOf.step, visible(text)],
      ...(plan.statusFd === null
        ? []
        : [[textOf.jsonStep, JSON.stringify(text).slice(1, -1)] as const]),
      ...Object.entries(hints ?? {}).map(
        ([name, hint]) => [hintErrno(name), visible(hint)] as const,
      ),
    ];
  });
  const own = ownWords.filter(([number]) => b.sets(number) || b.sets(-number));
  const all: Row[] = [...steps, [textOf.step, ""], ...errnoWords, ...own, [end, ""]];
  const bytes = Buffer.alloc(all.reduce((sum, [, text]) => sum + 2 + Buffer.byteLength(text), 0));
  let at = 0;
  for (const [key, text] of all) {
    at = bytes.writeUInt8(key, at);
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

/** The data of the subroutines, when all else is lowered: which failures there can be is known then. */
export function failureTexts(c: Context): void {
  const table = rows(c);
  c.b.bytes("packedTexts", pack(table));
  c.b.buffer("failureTexts", table.length);
}

/** The subroutines that the functions above call. */
export function failureTextSubroutines(c: Context): void {
  const { b } = c;
  b.comment("find the text of textKey among those for failures");
  b.label("text.find");
  b.load(1, word, texts);
  b.branch(word, "ne", 0, "text.find.unpacked");
  unpack(c, packedTexts, texts);
  b.label("text.find.unpacked");
  b.set(cursor, texts);
  b.set(step, -1);
  b.label("text.find.row");
  b.load(1, word, cursor);
  b.alu("add", cursor, cursor, 1);
  b.set(found, 0);
  b.branch(word, "eq", end, "text.find.end");
  b.branch(word, "ne", textOf.step, "text.find.same");
  b.alu("add", step, step, 1);
  b.label("text.find.same");
  b.branch(step, "ne", wantedStep, "text.find.next");
  b.set(found, cursor);
  b.branch(word, "eq", key, "text.find.end");
  b.label("text.find.next");
  b.load(1, word, cursor);
  b.alu("add", cursor, cursor, 1);
  b.branch(word, "ne", 0, "text.find.next");
  b.jump("text.find.row");
  b.label("text.find.end");
  b.return();
  errnoSubroutine(c);
  unpackSubroutine(c);
}

function errnoSubroutine(c: Context): void {
  const { b, plan } = c;
  b.comment("append what toldErrno stands for");
  b.label("text.errno");
  findText(c, plan.steps.length, number);
  b.branch(found, "ne", 0, "text.errno.known");
  append(c, [b.text("errno "), { decimal: number }]);
  b.return();
  b.label("text.errno.known");
  append(c, [{ string: found }]);
  b.return();
}
