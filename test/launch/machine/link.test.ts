/** Data, slots and files of whole programs. */
import * as assert from "uvu/assert";
import { landmark, slot } from "../../../launch/machine/builder.js";
import { k } from "../../../launch/machine/constants.js";
import { landmarks } from "../../../launch/machine/ir.js";
import { compile } from "../../../launch/machine/link.js";
import { suite } from "../../support/suite.js";
import { numbers, print, program, run } from "../programs.js";

const test = suite("link");

const result = slot("result");

test("words hold addresses and numbers, buffers are zeroed, and equal bytes are shared", () => {
  const found = numbers((b) => {
    const first = b.bytes("blob", new Uint8Array([1, 2, 3]));
    const second = b.bytes("blob", new Uint8Array([1, 2, 3]));
    const third = b.bytes("blob", new Uint8Array([1, 2, 4]));
    const buffer = b.buffer("zeroes", 70_000);
    const items = [{ ...third, offset: 2 }, -5, buffer];
    const written = b.words("written", items, true);
    const constant = b.words("constant", items, false);
    b.load(8, result, written);
    b.load(1, result, result);
    const number = slot("number");
    b.load(8, number, constant, 8);
    const address = slot("address");
    b.load(8, address, constant, 16);
    b.alu("sub", address, address, buffer);
    const shared = slot("shared");
    b.alu("sub", shared, first, second);
    const apart = slot("apart");
    b.alu("sub", apart, first, third);
    const last = slot("last");
    b.load(8, last, buffer, 69_992);
    const aligned = slot("aligned");
    b.alu("or", aligned, buffer, written);
    b.alu("or", aligned, aligned, constant);
    b.alu("and", aligned, aligned, 15);
    return [result, number, address, shared, apart, last, aligned];
  });
  assert.equal(found.map(Number), [4, -5, 0, 0, -3, 0, 0]);
});

test("read-only data cannot be written", () => {
  const address = slot("pointer");
  const { signal } = run((b) => {
    b.set(address, b.words("constant", [1], false));
    b.store(8, address, 0, 2);
    b.exit(0);
  });
  assert.is(signal, "SIGSEGV");
});

test("a hundred slots, near and far, hold what was put into them", () => {
  const names = Array.from({ length: 100 }, (_, index) => slot(`slot${index}`));
  const found = numbers((b) => {
    for (const [index, name] of names.entries()) b.set(name, index);
    for (const name of names.slice(50)) b.alu("add", name, name, 1000);
    return names;
  });
  assert.equal(
    found.map(Number),
    names.map((_, index) => (index < 50 ? index : index + 1000)),
  );
});

test("the most used slots are the cheapest to reach", () => {
  const names = Array.from({ length: 100 }, (_, index) => slot(`slot${index}`));
  const size = (hot: number, times: number) =>
    compile(
      program((b) => {
        for (const name of names) b.set(name, 1);
        for (let time = 0; time < times; time += 1) b.set(slot(`slot${hot}`), time);
        b.exit(0);
      }),
      "x86_64",
    ).length;
  // push imm8; pop QWORD PTR [rbx+disp8] has 5 bytes.
  assert.is(size(99, 20), size(0, 0) + 20 * 5);
});

test("the same program gives the same bytes, small ones", () => {
  const write = print((b) => [b.text("a")]);
  const bytes = compile(program(write), "x86_64");
  assert.equal(bytes, compile(program(write), "x86_64"));
  assert.ok(bytes.length < 450, `${bytes.length} bytes`);
});

test("buffers of a page or more have pages of their own, behind what is smaller", () => {
  const found = numbers((b) => {
    const large = b.buffer("large", 5000);
    const small = b.buffer("small", 16);
    const other = b.buffer("other", 4096);
    const [inPage, otherInPage, page] = [slot("inPage"), slot("otherInPage"), slot("page")];
    b.alu("and", inPage, large, 4095);
    b.alu("and", otherInPage, other, 4095);
    b.alu("sub", page, other, small);
    b.alu("shr", page, page, 12);
    return [inPage, otherInPage, page];
  });
  assert.equal(found.map(Number), [0, 0, 0]);
});

test("memory before what is resident comes back as it was in the file", () => {
  const { status } = run((b) => {
    const size = slot("size");
    b.jump(landmarks.resident);
    b.label("fail");
    b.exit(2);
    b.label("again");
    b.load(1, result, b.bytes("seven", new Uint8Array([7])));
    b.exit(result);
    b.label(landmarks.resident);
    b.alu("sub", size, landmark("resident"), landmark("start"));
    b.branch(size, "lt", 4096, "fail");
    b.must("madvise", [landmark("start"), size, k("MADV_DONTNEED")]);
    b.jump("again");
  });
  assert.is(status, 7);
});

test("a program that does not verify is not compiled, and all its faults are told", () => {
  const counter = slot("counter");
  const broken = program((b) => {
    b.set(result, counter);
    b.alu("shl", result, result, 64);
  });
  assert.throws(
    () => compile(broken, "x86_64"),
    ({ message }: Error) => /reads counter/.test(message) && /shift by 64/.test(message),
  );
});

test.run();
