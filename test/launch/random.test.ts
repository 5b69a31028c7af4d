/** Programs at random do on each architecture what their operations mean. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { type Builder, constant, slot } from "../../launch/machine/builder.js";
import type { AluOperator, Condition, Slot, Value, Width } from "../../launch/machine/ir.js";
import { assertNever } from "../../spec/assert-never.js";
import { suite } from "../support/suite.js";
import { interpret } from "./interpreter.js";
import { print, program, runOn } from "./programs.js";

const test = suite("random programs");

/** So many that their values do not all stay in registers. */
const slots = Array.from({ length: 20 }, (_, index) => slot(`slot${index}`));
const areaBytes = 64;
/** Of a loop, which ends by this. */
const counter = (depth: number): Slot => slot(`counter${depth}`);

type Statement =
  | { readonly kind: "mov"; readonly to: Slot; readonly from: Value }
  | {
      readonly kind: "alu";
      readonly operator: AluOperator;
      readonly to: Slot;
      readonly a: Value;
      readonly b: Value;
    }
  | {
      readonly kind: "load";
      readonly width: Width;
      readonly to: Slot;
      readonly offset: number;
      readonly shift: number;
    }
  | {
      readonly kind: "store";
      readonly width: Width;
      readonly from: Value;
      readonly offset: number;
      readonly shift: number;
    }
  | {
      readonly kind: "unless";
      readonly condition: Condition;
      readonly a: Value;
      readonly b: Value;
      readonly body: readonly Statement[];
    }
  | { readonly kind: "loop"; readonly times: number; readonly body: readonly Statement[] }
  | { readonly kind: "call"; readonly body: readonly Statement[] };

const anySlot = fc.constantFrom(...slots);
const edges = [
  0,
  1,
  -1,
  7,
  8,
  255,
  256,
  4095,
  4096,
  -4095,
  -4096,
  0xffff,
  0x10000,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
];
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: anySlot },
  { weight: 2, arbitrary: fc.constantFrom(...edges) },
  { weight: 1, arbitrary: fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n).map((n) => constant("n", n)) },
);
const width = fc.constantFrom<Width>(1, 4, 8);
/** Within the area; the base may lie before or behind it. */
const place = {
  offset: fc.integer({ min: 0, max: areaBytes - 8 }),
  shift: fc.constantFrom(0, 8, -8, 5000, -5000, 300, -300),
};
const operator = fc.constantFrom<AluOperator>(
  "add",
  "sub",
  "and",
  "or",
  "shl",
  "shr",
  "div",
  "rem",
);
const condition = fc.constantFrom<Condition>("eq", "ne", "lt", "ge", "le", "gt");

const { body } = fc.letrec<{ body: Statement[]; statement: Statement }>((tie) => ({
  body: fc.array(tie("statement"), { maxLength: 12 }),
  statement: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ kind: fc.constant("mov" as const), to: anySlot, from: value }),
    fc.record({ kind: fc.constant("alu" as const), operator, to: anySlot, a: value, b: value }),
    fc.record({ kind: fc.constant("load" as const), width, to: anySlot, ...place }),
    fc.record({ kind: fc.constant("store" as const), width, from: value, ...place }),
    fc.record({
      kind: fc.constant("unless" as const),
      condition,
      a: value,
      b: value,
      body: tie("body"),
    }),
    fc.record({
      kind: fc.constant("loop" as const),
      times: fc.integer({ min: 1, max: 3 }),
      body: tie("body"),
    }),
    fc.record({ kind: fc.constant("call" as const), body: tie("body") }),
  ),
}));

/** There is no division by zero, and no shift by more than 63: launch/machine/verify.ts. */
function rightOperand(b: Builder, operator: AluOperator, given: Value): Value {
  const base = slot("right");
  if (operator === "div" || operator === "rem") b.alu("or", base, given, 1);
  else if (operator === "shl" || operator === "shr") {
    if (typeof given === "number") return given & 63;
    b.alu("and", base, given, 63);
  } else return given;
  return base;
}

/** Writes all slots and the area in the end. */
const whole = (statements: readonly Statement[]) =>
  print((b) => {
    const area = b.buffer("area", areaBytes);
    for (const [index, name] of slots.entries())
      b.set(name, constant("n", (BigInt(index) * 0x0123456789abcdefn) % 2n ** 64n));
    write(b, statements, 0);
    const words = Array.from({ length: areaBytes / 8 }, (_, index) => slot(`area${index}`));
    for (const [index, word] of words.entries()) b.load(8, word, area, 8 * index);
    return [...slots, ...words];

    function write(b: Builder, all: readonly Statement[], depth: number): void {
      for (const statement of all) one(b, statement, depth);
    }
    function one(b: Builder, statement: Statement, depth: number): void {
      const [start, end] = [b.fresh("start"), b.fresh("end")];
      const base = slot("base");
      switch (statement.kind) {
        case "mov":
          b.set(statement.to, statement.from);
          break;
        case "alu": {
          const { operator, to, a } = statement;
          b.alu(operator, to, a, rightOperand(b, operator, statement.b));
          break;
        }
        case "load":
          b.alu("add", base, area, statement.shift);
          b.load(statement.width, statement.to, base, statement.offset - statement.shift);
          break;
        case "store":
          b.alu("add", base, area, statement.shift);
          b.store(statement.width, base, statement.offset - statement.shift, statement.from);
          break;
        case "unless":
          b.branch(statement.a, statement.condition, statement.b, end);
          write(b, statement.body, depth + 1);
          b.label(end);
          break;
        case "loop":
          b.set(counter(depth), statement.times);
          b.label(start);
          write(b, statement.body, depth + 1);
          b.alu("sub", counter(depth), counter(depth), 1);
          b.branch(counter(depth), "gt", 0, start);
          break;
        case "call":
          b.call(start);
          b.jump(end);
          b.label(start);
          write(b, statement.body, depth + 1);
          b.return();
          b.label(end);
          break;
        default:
          assertNever(statement);
      }
    }
  });

for (const architecture of ["x86_64", "aarch64"] as const) {
  test.needs(
    `${architecture} code`,
    `${architecture}: what a program leaves is what its operations mean`,
    () => {
      fc.assert(
        fc.property(fc.array(body, { minLength: 4, maxLength: 8 }), (bodies) => {
          const write = whole(bodies.flat());
          const { stdout, status } = runOn(architecture, write);
          assert.is(status, 0);
          const expected = interpret(program(write));
          assert.is(Buffer.from(stdout, "latin1").toString("hex"), expected.toString("hex"));
        }),
        { numRuns: 60 },
      );
    },
  );
}

test.run();
