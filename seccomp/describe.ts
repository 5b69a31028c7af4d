/** Rules as people read them. */
import type { Condition } from "./rules.js";

const signs = { EQ: "==", NE: "!=", LT: "<", LE: "<=", GE: ">=", GT: ">" } as const;

/** As C has it: `arg0 == 16`, `(arg1 & 0x7e020000) == 0`. */
function describeCondition({ index, op, value, valueTwo }: Condition): string {
  const argument = `arg${index}`;
  return op === "MASKED_EQ"
    ? `(${argument} & ${hex(value)}) == ${shown(valueTwo & value)}`
    : `${argument} ${signs[op]} ${shown(value)}`;
}

/** `arg0 == 16 && arg2 != 9`; empty where there are none. */
export function describeConditions(conditions: readonly Condition[]): string {
  return conditions.map(describeCondition).join(" && ");
}

/** Flags are read in hexadecimal, counts and the numbers of families and commands in decimal. */
function shown(value: bigint): string {
  return value < 1024n ? `${value}` : hex(value);
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
