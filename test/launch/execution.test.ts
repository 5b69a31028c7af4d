/** What compiled ops do, seen by running them as child processes. */
import * as assert from "uvu/assert";
import { type Builder, constant, slot } from "../../launch/machine/builder.js";
import type { AluOperator, Condition, Value, Width } from "../../launch/machine/ir.js";
import { suite } from "../support/suite.js";
import { numbers as numbersOn, runOn } from "./programs.js";

const test = suite("execution");

const result = slot("result");
const counter = slot("counter");

for (const architecture of ["x86_64", "aarch64"] as const) {
  const check = (name: string, body: () => void) =>
    test.needs(`${architecture} code`, `${architecture}: ${name}`, body);
  const run = (write: (b: Builder) => void, ...args: readonly string[]) =>
    runOn(architecture, write, ...args);
  const numbers = (values: (b: Builder) => readonly Value[]) => numbersOn(values, architecture);

  check("arithmetic of all operators, on slots and constants, in place and not", () => {
    const cases: readonly (readonly [AluOperator, bigint, bigint])[] = [
      ["add", 40n, 2n],
      ["add", 1n << 40n, -1n],
      ["add", (1n << 63n) - 1n, 1n],
      ["sub", 2n, 5n],
      ["sub", 0n, 1n << 40n],
      ["and", 0x1234_5678_9abc_def0n, 0xff00n],
      ["or", 1n << 40n, 0x80n],
      ["shl", 3n, 62n],
      ["shr", -1n, 60n],
      ["shr", 5n, 0n],
      ["div", -1n, 10n],
      ["div", 1n << 40n, 7n],
      ["rem", -1n, 10n],
    ];
    const u64 = (value: bigint) => BigInt.asUintN(64, value);
    const compute: Record<AluOperator, (a: bigint, b: bigint) => bigint> = {
      add: (a, b) => a + b,
      sub: (a, b) => a - b,
      and: (a, b) => a & b,
      or: (a, b) => a | b,
      shl: (a, b) => a << b,
      shr: (a, b) => u64(a) >> b,
      div: (a, b) => u64(a) / u64(b),
      rem: (a, b) => u64(a) % u64(b),
    };
    const found = numbers((b) =>
      cases.flatMap(([operator, x, y], index) => {
        const [left, right] = [constant("x", x), constant("y", y)];
        const onConstants = slot(`onConstants${index}`);
        b.alu(operator, onConstants, left, right);
        const inPlace = slot(`inPlace${index}`);
        b.set(inPlace, left);
        b.alu(operator, inPlace, inPlace, right);
        const onSlots = slot(`onSlots${index}`);
        b.set(onSlots, left);
        const other = slot(`other${index}`);
        b.set(other, right);
        b.alu(operator, onSlots, onSlots, other);
        b.alu(operator, other, left, other);
        return [onConstants, inPlace, onSlots, other];
      }),
    );
    const expected = cases.flatMap(([operator, x, y]) =>
      new Array(4).fill(BigInt.asIntN(64, compute[operator](x, y))),
    );
    assert.equal(found.map(String), expected.map(String));
  });

  check("comparisons are signed, whatever their operands are", () => {
    const values = [-(2 ** 40), -1, 0, 1, 127, 128, 2 ** 40];
    const holds: Record<Condition, (a: number, b: number) => boolean> = {
      eq: (a, b) => a === b,
      ne: (a, b) => a !== b,
      lt: (a, b) => a < b,
      ge: (a, b) => a >= b,
      le: (a, b) => a <= b,
      gt: (a, b) => a > b,
    };
    const conditions = Object.keys(holds) as Condition[];
    const pairs = values.flatMap((x) => values.map((y) => [x, y] as const));
    const found = numbers((b) =>
      conditions.map((condition) => {
        const wrong = slot(`wrong ${condition}`);
        const [left, right] = [slot("left"), slot("right")];
        b.set(wrong, 0);
        for (const [x, y] of pairs) {
          b.set(left, x);
          b.set(right, y);
          for (const [a, c] of [
            [left, right],
            [left, y],
            [x, right],
            [x, y],
          ] as const) {
            const taken = b.fresh("taken");
            const next = b.fresh("next");
            b.branch(a, condition, c, taken);
            b.alu("add", wrong, wrong, holds[condition](x, y) ? 1 : 0);
            b.jump(next);
            b.label(taken);
            b.alu("add", wrong, wrong, holds[condition](x, y) ? 0 : 1);
            b.label(next);
          }
        }
        return wrong;
      }),
    );
    assert.equal(
      found.map(Number),
      conditions.map(() => 0),
    );
  });

  check("loads extend with zeros, and stores leave the bytes beside them alone", () => {
    const widths: readonly Width[] = [1, 4, 8];
    const found = numbers((b) => {
      const pattern = b.words("pattern", [-2], false);
      const area = b.words("area", [-1, -1, -1, -1], true);
      const pointer = slot("pointer");
      const value = slot("value");
      b.set(value, 0x11223344_5566);
      return widths.flatMap((width) => {
        const loaded = slot(`loaded ${width}`);
        b.load(width, loaded, pattern);
        const through = slot(`through ${width}`);
        b.set(pointer, { ...pattern, offset: 8 });
        b.load(width, through, pointer, -8);
        const stored = slot(`stored ${width}`);
        b.store(8, area, 8, -1);
        b.store(width, area, 8, value);
        b.load(8, stored, area, 8);
        const constantly = slot(`constantly ${width}`);
        b.store(8, area, 16, -1);
        b.set(pointer, area);
        b.store(width, pointer, 16, 7);
        b.load(8, constantly, area, 16);
        return [loaded, through, stored, constantly];
      });
    });
    assert.equal(
      found.map((value) => BigInt.asUintN(64, value).toString(16)),
      [
        ["fe", "fe", "ffffffffffffff66", "ffffffffffffff07"],
        ["fffffffe", "fffffffe", "ffffffff33445566", "ffffffff00000007"],
        ["fffffffffffffffe", "fffffffffffffffe", "112233445566", "7"],
      ].flat(),
    );
  });

  check("loops and nested calls", () => {
    const { stdout, status } = run((b) => {
      b.set(counter, 0);
      b.label("again");
      b.call("twice");
      b.alu("add", counter, counter, 1);
      b.branch(counter, "lt", 3, "again");
      b.exit(counter);
      b.label("twice");
      b.call("once");
      b.call("once");
      b.return();
      b.label("once");
      b.must("write", [1, b.text("x"), 1]);
      b.return();
      b.label("fail");
      b.exit(100);
    });
    assert.equal([stdout, status], ["xxxxxx", 3]);
  });

  check("argv is found through the initial stack pointer, in a subroutine too", () => {
    const pointer = slot("pointer");
    const text = slot("text");
    const end = slot("end");
    const byte = slot("byte");
    const { stdout, status } = run(
      (b) => {
        b.call("print arguments");
        b.load(8, result, pointer, -8);
        b.stackPointer(pointer);
        b.load(8, counter, pointer);
        b.exit(counter);
        b.label("print arguments");
        b.stackPointer(pointer);
        b.alu("add", pointer, pointer, 16); // past argc and argv[0]
        b.label("argument");
        b.load(8, text, pointer);
        b.branch(text, "eq", 0, "done");
        b.set(end, text);
        b.label("character");
        b.load(1, byte, end);
        b.alu("add", end, end, 1);
        b.branch(byte, "ne", 0, "character");
        b.alu("sub", end, end, text);
        b.must("write", [1, text, end]);
        b.alu("add", pointer, pointer, 8);
        b.jump("argument");
        b.label("done");
        b.return();
        b.label("fail");
        b.exit(100);
      },
      "one",
      "",
      "three",
    );
    assert.equal([stdout, status], ["one\0\0three\0", 4]);
  });

  check(
    "errors go to their label with errno, or to the result; a failed call keeps its result slot",
    () => {
      const fd = slot("fd");
      const found = numbers((b) => {
        b.set(fd, 77);
        b.orElse("absent", "openat", [-100, b.text("/no/such/file"), 0, 0], fd);
        b.exit(9);
        b.label("absent");
        b.attempt("close", [-1], result);
        b.ignore("it is not open", "close", [-1]);
        return [fd, slot("errno"), result];
      });
      assert.equal(found.map(Number), [77, 2, -9]);
    },
  );

  check("both sides of clone go on with their own copy of all slots", () => {
    const child = slot("child");
    const { stdout, status } = run((b) => {
      const wait = b.buffer("wait", 4);
      b.set(counter, 5);
      b.must("clone", [constant("SIGCHLD", 17), 0, 0, 0, 0], child);
      b.branch(child, "eq", 0, "child");
      b.must("wait4", [child, wait, 0, 0]);
      b.load(1, result, wait, 1); // WEXITSTATUS
      b.alu("shl", result, result, 4);
      b.alu("or", result, result, counter);
      b.must("write", [1, b.text("parent"), 6]);
      b.exit(result);
      b.label("child");
      b.alu("add", counter, counter, 1);
      b.must("write", [1, b.text("child "), 6]);
      b.exit(counter);
      b.label("fail");
      b.exit(100);
    });
    assert.equal([stdout, status], ["child parent", 0x65]);
  });
}

test.run();
