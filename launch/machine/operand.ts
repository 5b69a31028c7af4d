/** Operands, as all back ends see them. */
import type { Architecture } from "../../spec/host.js";
import type { Value } from "./ir.js";

/** The value as a signed 64-bit number where it is known now, else null. */
export function constantOf(value: Value, architecture: Architecture): number | bigint | null {
  if (typeof value === "number") return value;
  if (value.kind !== "constant") return null;
  const known = architecture === "aarch64" ? (value.aarch64 ?? value.value) : value.value;
  const number = Number(known);
  if (Number.isSafeInteger(number)) return number;
  const signed = BigInt.asIntN(64, known);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
}

/** Whether both are known to be the same value. */
export function isSame(a: Value | bigint, b: Value | bigint): boolean {
  if (typeof a !== "object" || typeof b !== "object") return a === b;
  if (a.kind === "slot") return b.kind === "slot" && a.name === b.name;
  return a.kind === "address" && b.kind === "address" && a.of === b.of && a.offset === b.offset;
}
