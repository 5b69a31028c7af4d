/** System calls as rows: their bytes, and what they do. */
import * as assert from "uvu/assert";
import { type Builder, slot } from "../../../launch/machine/builder.js";
import type { Op, Value } from "../../../launch/machine/ir.js";
import { x86_64 } from "../../../launch/machine/x86_64.js";
import { suite } from "../../support/suite.js";
import { numbers, runOn } from "../programs.js";

const test = suite("x86_64 calls");

const [near, far, errno] = [slot("near"), slot("far"), slot("errno")];
const offsets = new Map([
  ["errno", 0],
  ["near", 8],
  ["far", 8 * 256],
]);
const kill = (
  args: readonly Value[],
  more: Partial<Extract<Op, { kind: "syscall" }>> = {},
): Op => ({
  kind: "syscall",
  name: "kill",
  arguments: args,
  result: null,
  onError: { kind: "ignore", because: "it is" },
  ...more,
});
const datum: Value = { kind: "address", of: "datum", offset: 0 };
/** So many calls that the walker is worth it, behind a label of which nothing is known. */
const many: Op[] = [{ kind: "label", name: "many" }, ...Array.from({ length: 24 }, () => kill([]))];
const prologueSize = x86_64.encode([], offsets).text.length;

/** What is emitted for ops before `many`; a run begins with a call of five bytes. */
function emitted(...ops: readonly Op[]): number[] {
  const [without, text] = [many, [...ops, ...many]].map((all) => x86_64.encode(all, offsets).text);
  const size = (text?.length ?? 0) - (without?.length ?? 0);
  return [...(text ?? []).slice(prologueSize, prologueSize + size)];
}
/** The three bytes that a row begins with; kill(2) is number 62. */
const head = (forms: number, flags: number, number = 62) => {
  const bits = forms | (number << 12) | (flags << 21);
  return [bits & 0xff, (bits >> 8) & 0xff, bits >> 16];
};

test("a row has what is not in its register already", () => {
  const [opcode, , , , , ...rows] = emitted(
    kill([near, -1], { result: near, onError: { kind: "result" } }),
    { kind: "comment", text: "between" },
    kill([near, -1, 0x123456]),
    { kind: "mov", to: near, from: -7 },
    kill([near, datum]),
  );
  assert.is(opcode, 0xe8);
  assert.equal(rows, [
    ...[...head(0b01_10, 0b010), 1, 0xff, 1],
    ...[...head(0b11_00_10, 0b000), 1, 0x56, 0x34, 0x12],
    ...[...head(0, 0b010, 0x1ff), 0xf9, 1],
    ...[...head(0b11_10, 0b100), 1, 0, 0, 0],
  ]);
});

test("what a row cannot hold, and a call that is smaller so, is code", () => {
  for (const value of [far, 2 ** 24, -129]) {
    assert.is.not(emitted(kill([value]), kill([value]))[0], 0xe8, JSON.stringify(value));
  }
  assert.equal(emitted(kill([])), [0x6a, 62, 0x58, 0x0f, 0x05]);
  assert.is(emitted(kill([]), kill([]))[0], 0xe8);
});

/** The results of calls of umask(2), each of which gives the argument of the one before. */
function masks(b: Builder) {
  const [mask, assigned] = [slot("mask"), slot("assigned")];
  const given = Array.from({ length: 30 }, (_, index) => slot(`given${index}`));
  b.set(mask, 0o123);
  b.set(assigned, 1);
  for (const [index, result] of given.entries()) {
    const forms = [mask, 7, 0o12345, assigned] as const;
    if (index % 4 === 3) b.set(assigned, -1);
    b.ignore("umask(2) always succeeds", "umask", [forms[index % 4] as Value], result);
  }
  return [...given.slice(1), assigned];
}

test.needs("x86_64 code", "rows give calls their arguments, and slots their results", () => {
  const expected = Array.from({ length: 29 }, (_, index) => [0o123, 7, 0o345, 0o777][index % 4]);
  assert.equal(numbers(masks, "x86_64").map(Number), [...expected, -1]);
});

test.needs("x86_64 code", "an error ends the run, and goes to its label with errno", () => {
  const failing = (fails: "first" | "second") =>
    runOn("x86_64", (b) => {
      const [result, after] = [slot("result"), slot("after")];
      b.set(result, 1);
      b.set(after, 2);
      for (let index = 0; index < 24; index += 1)
        b.ignore("umask(2) always succeeds", "umask", [0]);
      for (const [label, bad] of [
        ["first", fails === "first" ? -1 : 0],
        ["second", -1],
      ] as const) {
        for (const fd of [0, 1, bad, 2]) {
          b.orElse(label, "fcntl", [fd, 1], result);
          b.set(after, fd + 10);
        }
        b.orElse(label, "umask", [0]);
      }
      b.exit(0);
      for (const [label, base] of [
        ["first", 100],
        ["second", 200],
      ] as const) {
        b.label(label);
        b.alu("add", after, after, base);
        b.alu("add", after, after, errno);
        b.alu("add", after, after, result);
        b.exit(after);
      }
    }).status;
  const ebadf = 9;
  // The assignment before the call that fails is done, and the one behind it is not; the result stays.
  assert.is(failing("first"), 100 + 11 + ebadf);
  assert.is(failing("second"), 200 + 11 + ebadf);
});

test.run();
