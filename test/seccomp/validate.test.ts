import * as assert from "uvu/assert";
import { meaningOf } from "../../seccomp/meaning.js";
import { validate } from "../../seccomp/validate.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/validate");

/** code, k, jt, jf */
type Words = readonly [code: number, k?: number, jt?: number, jf?: number];

const check = (...lines: Words[]) =>
  validate(lines.map(([code, k = 0, jt = 0, jf = 0]) => ({ code, jt, jf, k })));
const ret: Words = [0x06];

test("admits the codes that seccomp_check_filter() does", () => {
  // Two for each of 9 calculations and 4 comparisons, and 15 others. BPF_MOD is not among them.
  const admitted = Array.from({ length: 0x10000 }, (_, code) => code).filter(meaningOf);
  assert.is(admitted.length, 41);
  assert.is(check([0x94, 1], ret), "0: the code 148 is not admitted");
  assert.is(check([0x28], ret), "0: the code 40 is not admitted", "ldh");
});

test("limits the length", () => {
  const many = (length: number) => Array.from({ length }, () => ret);
  assert.is(check(), "there is no instruction");
  assert.is(check(...many(4096)), null);
  assert.is(check(...many(4097)), "there are more than 4096 instructions");
});

test("wants a return at the end", () => {
  assert.is(check([0x20]), "the last one is not a return");
  assert.is(check([0x16]), null);
});

test("keeps loads within seccomp_data", () => {
  assert.is(check([0x20, 60], ret), null);
  assert.is(check([0x20, 64], ret), "0: 64 is no word of seccomp_data");
  assert.is(check([0x20, 2], ret), "0: 2 is no word of seccomp_data");
});

test("keeps jumps within the program", () => {
  assert.is(check([0x05, 1], ret, ret), null);
  assert.is(check([0x05, 2], ret, ret), "0: jumps past the end");
  assert.is(check([0x05, 0xffffffff], ret, ret), "0: jumps past the end");
  assert.is(check([0x15, 0, 1, 1], ret, ret), null);
  assert.is(check([0x15, 0, 2, 0], ret, ret), "0: jumps past the end");
  assert.is(check(ret, [0x15, 0, 0, 1], ret), "1: jumps past the end");
});

test("refuses constants that no calculation can have", () => {
  assert.is(check([0x34, 0], ret), "0: divides by 0");
  assert.is(check([0x3c], ret), null);
  assert.is(check([0x64, 31], ret), null);
  assert.is(check([0x64, 32], ret), "0: shifts by 32");
  assert.is(check([0x74, 32], ret), "0: shifts by 32");
});

test("wants memory written before it is read, on every way", () => {
  assert.is(check([0x02, 3], [0x60, 3], ret), null);
  assert.is(check([0x60, 3], ret), "0: the memory word 3 may be unwritten");
  assert.is(check([0x02, 16], ret), "0: there is no memory word 16");
  assert.is(check([0x61, 16], ret), "0: there is no memory word 16");
  const oneWay = check([0x15, 0, 0, 1], [0x02, 3], [0x61, 3], ret);
  assert.is(oneWay, "2: the memory word 3 may be unwritten");
  const bothWays = check([0x15, 0, 0, 2], [0x02, 3], [0x05, 1], [0x03, 3], [0x60, 3], ret);
  assert.is(bothWays, null);
});

test.run();
