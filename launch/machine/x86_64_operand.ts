/** Operands as x86-64 instructions can have them. */
import type { Address, Value } from "./ir.js";
import { constantOf } from "./operand.js";

/** An operand in memory: a displacement from a register, or an address known only after layout. */
export type Place = { readonly base: number; readonly offset: number } | Address;

/** What a sign-extended immediate of 32 bits can be: a number, or an address, which is below 2^31. */
export type Immediate = number | Address;

/** The value where an instruction can hold it. */
export function immediateOf(value: Value): Immediate | null {
  if (typeof value === "object" && value.kind === "address") return value;
  const constant = constantOf(value, "x86_64");
  return typeof constant === "number" && constant === (constant | 0) ? constant : null;
}

/** Whether 8 bits are enough for it. */
export const isByte = (value: Immediate): value is number =>
  typeof value === "number" && value >= -128 && value <= 127;
