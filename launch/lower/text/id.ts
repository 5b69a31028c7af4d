/** The sandbox's id: random hexadecimal digits, for all that needs a name which nobody else has. */
import { at, slot } from "../../machine/builder.js";
import type { Address } from "../../machine/ir.js";
import type { Context } from "../context.js";

export const idLength = 12;

const random = slot("randomBits");
const letter = slot("idLetter");
const place = slot("idPlace");

/** In the monitor, before any step. */
export function drawId(c: Context): void {
  const { b, memory } = c;
  const [next, digit] = [b.fresh("id"), b.fresh("id")];
  b.ignore("so few bytes are always given", "getrandom", [memory.scratch, 8, 0]);
  b.load(8, random, memory.scratch);
  b.store(1, memory.dottedId, 0, ".".charCodeAt(0));
  b.set(place, idOf(c));
  b.label(next);
  b.alu("and", letter, random, 15);
  b.alu("shr", random, random, 4);
  b.alu("add", letter, letter, "0".charCodeAt(0));
  b.branch(letter, "le", "9".charCodeAt(0), digit);
  b.alu("add", letter, letter, "a".charCodeAt(0) - "9".charCodeAt(0) - 1);
  b.label(digit);
  b.store(1, place, 0, letter);
  b.alu("add", place, place, 1);
  b.branch(place, "lt", at(idOf(c), idLength), next);
}

/** Behind the dot in `memory.dottedId`. */
export const idOf = ({ memory }: Context): Address => at(memory.dottedId, 1);
