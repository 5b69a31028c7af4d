/** A subroutine that looks values up in tables of words. */
import { visible } from "../../spec/error.js";
import { slot } from "../builder.js";
import type { Address, Value } from "../ir.js";
import type { Context } from "./context.js";

const table = slot("lookupTable");
const key = slot("lookupKey");
/** The value that `lookup` found, or 0. */
export const found = slot("lookupFound");

/** Looks `what` up in a table of pairs of words, key and value, that ends with a key of -1. */
export function lookup({ b }: Context, where: Address, what: Value): void {
  b.set(table, where);
  b.set(key, what);
  b.call("table.lookup");
}

/** A table for `lookup`, of texts. */
export function lookupTable(
  b: Context["b"],
  name: string,
  rows: readonly (readonly [number, string])[],
): Address {
  const words = rows.flatMap(([number, text]) => [number, b.text(visible(text))]);
  return b.words(name, [...words, -1, 0], false);
}

export function lookupSubroutine({ b }: Context): void {
  b.comment("find lookupKey in lookupTable");
  b.label("table.lookup");
  const word = slot("lookupWord");
  b.load(8, word, table);
  b.load(8, found, table, 8);
  b.branch(word, "eq", key, "table.lookup.end");
  b.alu("add", table, table, 16);
  b.branch(word, "ne", -1, "table.lookup");
  b.set(found, 0);
  b.label("table.lookup.end");
  b.return();
}
