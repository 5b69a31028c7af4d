/** Undoes launch/machine/pack.ts at run time, in memory that was not touched before. */
import { slot } from "../../machine/builder.js";
import type { Address } from "../../machine/ir.js";
import { literal, shortestCopy } from "../../machine/pack.js";
import type { Context } from "../context.js";

const [from, to, byte] = [slot("packedFrom"), slot("unpackedTo"), slot("packedByte")];
const [count, distance, source] = [slot("copyCount"), slot("copyDistance"), slot("copySource")];

/** Leaves at `room` what was packed. */
export function unpack({ b }: Context, packed: Address, room: Address): void {
  b.set(from, packed);
  b.set(to, room);
  b.call("text.unpack");
}

/** What the function above calls. */
export function unpackSubroutine({ b }: Context): void {
  const next = (into: typeof byte) => {
    b.load(1, into, from);
    b.alu("add", from, from, 1);
  };
  b.comment("unpack what is at packedFrom");
  b.label("text.unpack");
  next(byte);
  b.branch(byte, "lt", literal, "unpack.plain");
  next(distance);
  b.alu("and", count, byte, 7);
  b.alu("shl", count, count, 8);
  b.alu("or", distance, distance, count);
  b.branch(distance, "eq", 0, "unpack.literal");
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
  b.jump("text.unpack");
  b.label("unpack.literal");
  b.branch(byte, "ne", literal, "unpack.end");
  next(byte);
  b.label("unpack.plain");
  b.store(1, to, 0, byte);
  b.alu("add", to, to, 1);
  b.jump("text.unpack");
  b.label("unpack.end");
  b.return();
}
