import * as assert from "uvu/assert";
import type { Instruction } from "../../seccomp/instruction.js";
import { simulate } from "../../seccomp/simulate.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/simulate");

/** code, k, jt, jf */
type Words = readonly [code: number, k?: number, jt?: number, jf?: number];

const program = (lines: readonly Words[]): Instruction[] =>
  lines.map(([code, k = 0, jt = 0, jf = 0]) => ({ code, jt, jf, k }));

const call = {
  nr: 0x40000001,
  arch: 0xc000003e,
  args: [0x11_22222222n, 2n, 3n, 4n, 5n, 0xffffffff_fffffffen],
  instructionPointer: 0x7fff_00001234n,
};
const run = (...lines: Words[]) => simulate(program(lines), call);
/** What is in A after the lines. */
const after = (...lines: Words[]) => run(...lines, [0x16]).verdict;

const load = 0x20;
const [imm, immX] = [0x00, 0x01];

test("loads every word of seccomp_data", () => {
  const words = Array.from({ length: 16 }, (_, index) => after([load, 4 * index]));
  const expected = [
    [0x40000001, 0xc000003e, 0x1234, 0x7fff, 0x22222222, 0x11, 2, 0],
    [3, 0, 4, 0, 5, 0, 0xfffffffe, 0xffffffff],
  ];
  assert.equal(words, expected.flat());
  assert.is(after([0x80]), 64, "ld len");
  assert.is(after([0x81], [0x87]), 64, "ldx len; txa");
});

test("calculates unsigned, with 32 bits", () => {
  const cases: [code: number, a: number, b: number, result: number][] = [
    [0x04, 0xffffffff, 2, 1],
    [0x14, 1, 2, 0xffffffff],
    [0x24, 0xffffffff, 0xffffffff, 1],
    [0x34, 0xffffffff, 2, 0x7fffffff],
    [0x44, 0xf0000000, 0x0f, 0xf000000f],
    [0x54, 0xf000000f, 0xff000001, 0xf0000001],
    [0x64, 0xc0000001, 1, 0x80000002],
    [0x74, 0x80000000, 31, 1],
    [0xa4, 0xffffffff, 0x7fffffff, 0x80000000],
  ];
  for (const [code, a, b, result] of cases) {
    assert.is(after([imm, a], [code, b]), result, `${code} with K`);
    assert.is(after([imm, a], [immX, b], [code | 8]), result, `${code} with X`);
  }
  assert.is(after([imm, 1], [0x84]), 0xffffffff, "neg");
  assert.is(after([imm, 0], [0x84]), 0, "neg 0");
  assert.is(after([imm, 1], [immX, 33], [0x6c]), 2, "five bits of a distance count");
});

test("ends with 0 at a division by zero", () => {
  assert.equal(run([imm, 7], [0x3c], [0x06, 0x7fff0000]), {
    verdict: 0,
    executed: 2,
    cacheable: false,
  });
});

test("keeps words, and copies registers", () => {
  assert.is(after([imm, 7], [0x02, 15], [imm, 0], [0x60, 15]), 7, "st; ld");
  assert.is(after([immX, 8], [0x03, 0], [0x61, 0], [0x87]), 8, "stx; ldx");
  assert.is(after([imm, 9], [0x07], [imm, 0], [0x87]), 9, "tax; txa");
});

test("jumps as unsigned numbers compare", () => {
  const yes = [0x06, 1] as const;
  const no = [0x06, 2] as const;
  const cases: [code: number, a: number, b: number, holds: boolean][] = [
    [0x15, 5, 5, true],
    [0x15, 5, 6, false],
    [0x25, 0x80000000, 0x7fffffff, true],
    [0x25, 5, 5, false],
    [0x35, 5, 5, true],
    [0x35, 5, 0x80000000, false],
    [0x45, 0x80000001, 0x80000000, true],
    [0x45, 1, 2, false],
  ];
  for (const [code, a, b, holds] of cases) {
    const verdict = holds ? 1 : 2;
    assert.is(run([imm, a], [code, b, 0, 1], yes, no).verdict, verdict, `${code} with K`);
    const withX = run([imm, a], [immX, b], [code | 8, 0, 0, 1], yes, no);
    assert.is(withX.verdict, verdict, `${code} with X`);
  }
  assert.equal(run([0x05, 1], no, yes), { verdict: 1, executed: 2, cacheable: false });
});

test("says what the kernel can keep, by seccomp_is_const_allow()", () => {
  const allow = [0x06, 0x7fff0000] as const;
  assert.is(run(allow).cacheable, true);
  assert.is(run([0x06, 0x7ffc0000]).cacheable, false, "only SECCOMP_RET_ALLOW");
  assert.is(run([0x06, 0x7fff0001]).cacheable, false, "nor with data");
  for (const [code, name] of [
    [0x15, "jeq"],
    [0x25, "jgt"],
    [0x35, "jge"],
    [0x45, "jset"],
  ] as const) {
    assert.is(run([load, 0], [code, 0], allow).cacheable, true, name);
    assert.is(run([load, 0], [code | 8, 0], allow).cacheable, false, `${name} with X`);
  }
  assert.is(run([load, 4], [0x54, 1], [0x05, 0], allow).cacheable, true, "ld arch; and; ja");
  assert.is(run([load, 0], [0x5c], allow).cacheable, false, "and with X");
  assert.is(run([load, 8], allow).cacheable, false, "the instruction pointer");
  assert.is(run([load, 16], allow).cacheable, false, "an argument");
  assert.is(run([imm, 1], allow).cacheable, false, "ld #imm");
  assert.is(run([0x14, 1], allow).cacheable, false, "sub");
  assert.is(run([imm, 0x7fff0000], [0x16]).cacheable, false, "ret a");
  // What is not on the way does not matter.
  assert.is(run([0x05, 1], [imm, 1], allow).cacheable, true);
});

test("throws where a program ends without a return, or has codes of its own", () => {
  assert.throws(() => run([load, 0]), /nothing at 1/);
  assert.throws(() => run([0x94, 1]), /does not admit the code 148/);
});

test.run();
