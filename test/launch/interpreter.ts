/** What the operations of a program mean, carried out one by one: what machine code is compared with. */
import type { AluOperator, Condition, Program, Slot, Value } from "../../launch/machine/ir.js";
import { assertNever } from "../../spec/assert-never.js";

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

const compute: Readonly<Record<AluOperator, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  shl: (a, b) => a << (b % 64n),
  shr: (a, b) => a >> (b % 64n),
  div: (a, b) => a / b,
  rem: (a, b) => a % b,
};

const holds: Readonly<Record<Condition, (a: bigint, b: bigint) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  ge: (a, b) => a >= b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
};

/** What the program writes until it exits. Its data are buffers; other system calls are an error. */
export function interpret({ ops, data }: Program): Buffer {
  const memory = Buffer.alloc(65536);
  const addresses = new Map<string, number>();
  let room = memory.length / 2;
  for (const item of data) {
    if (item.kind !== "buffer") throw new Error(`${item.name} is no buffer`);
    addresses.set(item.name, room);
    room += Math.ceil(item.size / 16) * 16;
  }
  const slots = new Map<string, bigint>();
  const labels = new Map(ops.map((op, index) => [op.kind === "label" ? op.name : null, index]));
  const find = (label: string): number => labels.get(label) ?? Number.NaN;
  const returns: number[] = [];
  const output: Buffer[] = [];
  const get = (value: Value): bigint => {
    if (typeof value === "number") return u64(BigInt(value));
    if (value.kind === "constant") return u64(value.value);
    if (value.kind === "slot") return slots.get(value.name) ?? 0n;
    return BigInt((addresses.get(value.of) ?? Number.NaN) + value.offset);
  };
  const set = ({ name }: Slot, value: bigint): void => void slots.set(name, u64(value));
  for (let at = 0; ; at++) {
    const op = ops[at];
    if (op === undefined) throw new Error("the program has no end");
    switch (op.kind) {
      case "mov":
        set(op.to, get(op.from));
        break;
      case "alu":
        set(op.to, compute[op.operator](get(op.a), get(op.b)));
        break;
      case "load": {
        const from = Number(get(op.base)) + op.offset;
        set(
          op.to,
          BigInt(
            `0x${Buffer.from(memory.subarray(from, from + op.width))
              .reverse()
              .toString("hex")}`,
          ),
        );
        break;
      }
      case "store": {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(get(op.from));
        bytes.copy(memory, Number(get(op.base)) + op.offset, 0, op.width);
        break;
      }
      case "jump":
        at = find(op.to);
        break;
      case "branch": {
        const [a, b] = [op.a, op.b].map((value) => BigInt.asIntN(64, get(value)));
        if (holds[op.condition](a as bigint, b as bigint)) at = find(op.to);
        break;
      }
      case "call":
        returns.push(at);
        at = find(op.to);
        break;
      case "return":
        at = returns.pop() ?? Number.NaN;
        break;
      case "syscall": {
        if (op.name === "exit_group") return Buffer.concat(output);
        if (op.name !== "write") throw new Error(`${op.name} is not interpreted`);
        const [, from = 0, size = 0] = op.arguments.map((value) => Number(get(value)));
        output.push(Buffer.from(memory.subarray(from, from + size)));
        break;
      }
      case "label":
      case "comment":
        break;
      case "sp":
        throw new Error("there is no stack");
      default:
        assertNever(op);
    }
  }
}
