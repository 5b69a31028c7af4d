/** Operands as x86-64 instructions can have them. */
import type { Address, Value } from "./ir.js";

/** An operand in memory: a displacement from a register, or an address known only after layout. */
export type Place = { readonly base: number; readonly offset: number } | Address;

/** What a sign-extended immediate of 32 bits can be: a number, or an address, which is below 2^31. */
export type Immediate = number | Address;

/** The value as a signed 64-bit number where it is known now, else null. */
export function constantOf(value: Value): number | bigint | null {
  if (typeof value === "number") return value;
  if (value.kind !== "constant") return null;
  const number = Number(value.value);
  if (Number.isSafeInteger(number)) return number;
  const signed = BigInt.asIntN(64, value.value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
}

/** The value where an instruction can hold it. */
export function immediateOf(value: Value): Immediate | null {
  if (typeof value === "object" && value.kind === "address") return value;
  const constant = constantOf(value);
  return typeof constant === "number" && constant === (constant | 0) ? constant : null;
}

/** Whether 8 bits are enough for it. */
export const isByte = (value: Immediate): value is number =>
  typeof value === "number" && value >= -128 && value <= 127;

/** Whether both are known to be the same value. */
export function isSame(a: Value | bigint, b: Value | bigint): boolean {
  if (typeof a !== "object" || typeof b !== "object") return a === b;
  if (a.kind === "slot") return b.kind === "slot" && a.name === b.name;
  return a.kind === "address" && b.kind === "address" && a.of === b.of && a.offset === b.offset;
}
