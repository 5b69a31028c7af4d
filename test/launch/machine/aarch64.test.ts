/** Machine code for arm64, form by form, as objdump reads it back. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { aarch64 } from "../../../launch/machine/aarch64.js";
import { type Builder, builder, constant, slot } from "../../../launch/machine/builder.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("aarch64");

const near = slot("near");
const other = slot("other");
const farthest = slot("farthest");
const beyond = slot("beyond");
const offsets = new Map([
  ["near", 0],
  ["errno", 8],
  ["other", 16],
  ["farthest", 32760],
  ["beyond", 32768],
]);
/** The address of the slots, and two stack pointers. */
const prologueBytes = 16;
const directory = temporaryDirectory("aarch64");

/** The instructions of what `write` writes, as `word  text`; addresses are left zero. */
function code(write: (b: Builder) => void): string[] {
  const b = builder();
  b.failTo("fail");
  write(b);
  const { text } = aarch64.encode(b.finish().ops, offsets);
  const path = join(directory, "text");
  writeFileSync(path, text.subarray(prologueBytes));
  const options = ["-D", "-z", "-b", "binary", "-m", "aarch64"];
  const listing = execFileSync("aarch64-linux-gnu-objdump", [...options, path]).toString();
  return [...listing.matchAll(/^ *[0-9a-f]+:\t([0-9a-f]{8}) +\t(.*)$/gm)].map(
    ([, word, line = ""]) => `${word}  ${line.replace(/\s*\/\/.*/, "").replace(/\s+/g, " ")}`,
  );
}

const forms: Readonly<Record<string, readonly [write: (b: Builder) => void, expected: string]>> = {
  "the entry's stack": [(b) => b.stackPointer(near), `f9000274  str x20, [x19]`],
  "constants in one instruction": [
    (b) => {
      for (const value of [0, 1, 0xffff, 0x10000, -1, -2, -0x10000, 0x7fff00000000])
        b.set(near, value);
    },
    `f900027f  str xzr, [x19]
d2800029  mov x9, #0x1
f9000269  str x9, [x19]
d29fffea  mov x10, #0xffff
f900026a  str x10, [x19]
d2a0002b  mov x11, #0x10000
f900026b  str x11, [x19]
9280000c  mov x12, #0xffffffffffffffff
f900026c  str x12, [x19]
9280002d  mov x13, #0xfffffffffffffffe
f900026d  str x13, [x19]
929fffee  mov x14, #0xffffffffffff0000
f900026e  str x14, [x19]
d2cfffef  mov x15, #0x7fff00000000
f900026f  str x15, [x19]`,
  ],
  "constants in several": [
    (b) => {
      b.set(near, 0x12345678);
      b.set(near, -0x12345678);
      b.set(near, constant("BIG", 0x1122334455667788n));
      b.set(near, constant("TOP", 0xffff_ffff_1234_ffffn));
    },
    `d28acf09  mov x9, #0x5678
f2a24689  movk x9, #0x1234, lsl #16
f9000269  str x9, [x19]
928aceea  mov x10, #0xffffffffffffa988
f2bdb96a  movk x10, #0xedcb, lsl #16
f900026a  str x10, [x19]
d28ef10b  mov x11, #0x7788
f2aaaccb  movk x11, #0x5566, lsl #16
f2c6688b  movk x11, #0x3344, lsl #32
f2e2244b  movk x11, #0x1122, lsl #48
f900026b  str x11, [x19]
92bdb96c  mov x12, #0xffffffff1234ffff
f900026c  str x12, [x19]`,
  ],
  "the constant of this architecture": [
    (b) => b.set(near, { ...constant("O_NOFOLLOW", 0o400000), aarch64: 0o100000n }),
    `d2900009  mov x9, #0x8000
f9000269  str x9, [x19]`,
  ],
  "an address": [
    (b) => b.set(near, b.bytes("datum", new Uint8Array(8))),
    `d2800009  mov x9, #0x0
f2a00009  movk x9, #0x0, lsl #16
f9000269  str x9, [x19]`,
  ],
  "slots, and what is in a register already": [
    (b) => {
      b.set(other, near);
      b.set(farthest, other);
      b.alu("add", near, near, other);
    },
    `f9400269  ldr x9, [x19]
f9000a69  str x9, [x19, #16]
f93ffe69  str x9, [x19, #32760]
f940026b  ldr x11, [x19]
f9400a6c  ldr x12, [x19, #16]
8b0c016a  add x10, x11, x12
f900026a  str x10, [x19]`,
  ],
  "a slot beyond the offsets of an instruction": [
    (b) => b.set(beyond, near),
    `f9400269  ldr x9, [x19]
d290000a  mov x10, #0x8000
f82a6a69  str x9, [x19, x10]`,
  ],
  "sums with constants": [
    (b) => {
      for (const value of [1, -1, 4095, -4095, 4096]) b.alu("add", near, near, value);
      for (const value of [1, -1, 4096]) b.alu("sub", near, near, value);
      b.alu("sub", near, 0, near);
      b.alu("add", near, 0, 5);
    },
    `f940026a  ldr x10, [x19]
91000549  add x9, x10, #0x1
f9000269  str x9, [x19]
d100052b  sub x11, x9, #0x1
f900026b  str x11, [x19]
913ffd6c  add x12, x11, #0xfff
f900026c  str x12, [x19]
d13ffd8d  sub x13, x12, #0xfff
f900026d  str x13, [x19]
d282000f  mov x15, #0x1000
8b0f01ae  add x14, x13, x15
f900026e  str x14, [x19]
d10005d0  sub x16, x14, #0x1
f9000270  str x16, [x19]
91000611  add x17, x16, #0x1
f9000271  str x17, [x19]
cb0f022a  sub x10, x17, x15
f900026a  str x10, [x19]
cb0a03e9  neg x9, x10
f9000269  str x9, [x19]
d28000ac  mov x12, #0x5
8b0c03eb  add x11, xzr, x12
f900026b  str x11, [x19]`,
  ],
  "the other operators": [
    (b) => {
      for (const operator of ["and", "or", "shl", "shr", "div", "rem"] as const) {
        b.alu(operator, near, near, other);
      }
      b.alu("and", near, near, 0xff);
    },
    `f9400269  ldr x9, [x19]
f9400a6a  ldr x10, [x19, #16]
8a0a012b  and x11, x9, x10
f900026b  str x11, [x19]
aa0a016c  orr x12, x11, x10
f900026c  str x12, [x19]
9aca218d  lsl x13, x12, x10
f900026d  str x13, [x19]
9aca25ae  lsr x14, x13, x10
f900026e  str x14, [x19]
9aca09cf  udiv x15, x14, x10
f900026f  str x15, [x19]
9aca09f0  udiv x16, x15, x10
9b0abe10  msub x16, x16, x10, x15
f9000270  str x16, [x19]
d2801ff1  mov x17, #0xff
8a110209  and x9, x16, x17
f9000269  str x9, [x19]`,
  ],
  "shifts by constants": [
    (b) => {
      for (const count of [0, 1, 8, 63]) {
        b.alu("shl", near, near, count);
        b.alu("shr", near, near, count);
      }
    },
    `f9400269  ldr x9, [x19]
d340fd2a  lsr x10, x9, #0
f900026a  str x10, [x19]
d340fd4b  lsr x11, x10, #0
f900026b  str x11, [x19]
d37ff96c  lsl x12, x11, #1
f900026c  str x12, [x19]
d341fd8d  lsr x13, x12, #1
f900026d  str x13, [x19]
d378ddae  lsl x14, x13, #8
f900026e  str x14, [x19]
d348fdcf  lsr x15, x14, #8
f900026f  str x15, [x19]
d34101f0  lsl x16, x15, #63
f9000270  str x16, [x19]
d37ffe11  lsr x17, x16, #63
f9000271  str x17, [x19]`,
  ],
  loads: [
    (b) => {
      for (const width of [1, 4, 8] as const) b.load(width, near, other, width);
      b.load(1, near, other, 4095);
      b.load(8, near, other, 32760);
      b.load(1, near, other, 4096);
      b.load(4, near, other, 2);
      b.load(8, near, other, -8);
    },
    `f9400a69  ldr x9, [x19, #16]
3940052a  ldrb w10, [x9, #1]
f900026a  str x10, [x19]
b940052b  ldr w11, [x9, #4]
f900026b  str x11, [x19]
f940052c  ldr x12, [x9, #8]
f900026c  str x12, [x19]
397ffd2d  ldrb w13, [x9, #4095]
f900026d  str x13, [x19]
f97ffd2e  ldr x14, [x9, #32760]
f900026e  str x14, [x19]
d2820010  mov x16, #0x1000
3870692f  ldrb w15, [x9, x16]
f900026f  str x15, [x19]
d280004a  mov x10, #0x2
b86a6931  ldr w17, [x9, x10]
f9000271  str x17, [x19]
928000ec  mov x12, #0xfffffffffffffff8
f86c692b  ldr x11, [x9, x12]
f900026b  str x11, [x19]`,
  ],
  stores: [
    (b) => {
      for (const width of [1, 4, 8] as const) b.store(width, other, 16, near);
      b.store(8, other, 0, 0);
      b.store(8, 0, 0, near);
      b.store(8, other, -8, near);
    },
    `f9400269  ldr x9, [x19]
f9400a6a  ldr x10, [x19, #16]
39004149  strb w9, [x10, #16]
b9001149  str w9, [x10, #16]
f9000949  str x9, [x10, #16]
f900015f  str xzr, [x10]
aa1f03eb  mov x11, xzr
f9000169  str x9, [x11]
928000ec  mov x12, #0xfffffffffffffff8
f82c6949  str x9, [x10, x12]`,
  ],
  branches: [
    (b) => {
      b.label("self");
      for (const condition of ["eq", "ne", "lt", "ge", "le", "gt"] as const) {
        b.branch(near, condition, other, "self");
      }
      b.branch(near, "eq", 0, "self");
      b.branch(near, "ne", 0, "self");
      b.branch(near, "lt", 0, "self");
      b.branch(near, "eq", 4095, "self");
      b.branch(near, "eq", -4095, "self");
      b.branch(near, "eq", 4096, "self");
      b.branch(0, "lt", near, "self");
      b.jump("self");
    },
    `f9400269  ldr x9, [x19]
f9400a6a  ldr x10, [x19, #16]
eb0a013f  cmp x9, x10
54ffffa0  b.eq 0x0
eb0a013f  cmp x9, x10
54ffff61  b.ne 0x0
eb0a013f  cmp x9, x10
54ffff2b  b.lt 0x0
eb0a013f  cmp x9, x10
54fffeea  b.ge 0x0
eb0a013f  cmp x9, x10
54fffead  b.le 0x0
eb0a013f  cmp x9, x10
54fffe6c  b.gt 0x0
b4fffe49  cbz x9, 0x0
b5fffe29  cbnz x9, 0x0
f100013f  cmp x9, #0x0
54fffdeb  b.lt 0x0
f13ffd3f  cmp x9, #0xfff
54fffda0  b.eq 0x0
b13ffd3f  cmn x9, #0xfff
54fffd60  b.eq 0x0
d282000b  mov x11, #0x1000
eb0b013f  cmp x9, x11
54fffd00  b.eq 0x0
eb0903ff  cmp xzr, x9
54fffccb  b.lt 0x0
17ffffe5  b 0x0`,
  ],
  "a subroutine, which its own jumps do not enter": [
    (b) => {
      b.call("sub");
      b.set(near, near);
      b.label("sub");
      b.branch(near, "ne", 0, "sub");
      b.return();
    },
    `94000004  bl 0x10
f9400269  ldr x9, [x19]
f9000269  str x9, [x19]
14000002  b 0x14
f81f8ebe  str x30, [x21, #-8]!
f940026a  ldr x10, [x19]
b5ffffea  cbnz x10, 0x14
f84086be  ldr x30, [x21], #8
d65f03c0  ret`,
  ],
  "a system call, whose registers are known afterwards": [
    (b) => {
      b.attempt("kill", [near, 9], other);
      b.ignore("a test", "kill", [near, 9]);
      b.ignore("a test", "kill", [other, near]);
    },
    `f9400260  ldr x0, [x19]
d2800121  mov x1, #0x9
d2801028  mov x8, #0x81
d4000001  svc #0x0
f9000a60  str x0, [x19, #16]
f9400260  ldr x0, [x19]
d4000001  svc #0x0
f9400a60  ldr x0, [x19, #16]
f9400261  ldr x1, [x19]
d4000001  svc #0x0`,
  ],
  "errors that go to a label, which is called and fallen into too": [
    (b) => {
      b.must("close", [near], other);
      b.call("fail");
      b.label("fail");
      b.return();
    },
    `f9400260  ldr x0, [x19]
d2800728  mov x8, #0x39
d4000001  svc #0x0
ea00001f  tst x0, x0
54000084  b.mi 0x20
f9000a60  str x0, [x19, #16]
94000005  bl 0x2c
14000005  b 0x30
cb0003e0  neg x0, x0
f9000660  str x0, [x19, #8]
14000002  b 0x30
f81f8ebe  str x30, [x21, #-8]!
f84086be  ldr x30, [x21], #8
d65f03c0  ret`,
  ],
  "after a clone nothing is known": [
    (b) => {
      b.attempt("clone", [near, 0, 0, 0, 0], other);
      b.set(farthest, near);
    },
    `f9400260  ldr x0, [x19]
aa1f03e1  mov x1, xzr
aa1f03e2  mov x2, xzr
aa1f03e3  mov x3, xzr
aa1f03e4  mov x4, xzr
d2801b88  mov x8, #0xdc
d4000001  svc #0x0
f9000a60  str x0, [x19, #16]
f9400269  ldr x9, [x19]
f93ffe69  str x9, [x19, #32760]`,
  ],
  "an end that must be one": [
    (b) => b.exit(near),
    `f9400260  ldr x0, [x19]
d2800bc8  mov x8, #0x5e
d4000001  svc #0x0
00000000  udf #0`,
  ],
};

for (const [name, [write, expected]] of Object.entries(forms)) {
  test.needs("arm64 objdump", name, () => assert.is(code(write).join("\n"), expected));
}

test("jumps on a condition reach 1 MB, and go around one without where that is not enough", () => {
  const words = (count: number) => {
    const b = builder();
    b.branch(near, "eq", 0, "end");
    b.branch(near, "lt", other, "end");
    for (let index = 0; index < count; index++) b.return();
    b.label("end");
    const text = aarch64.encode(b.finish().ops, offsets).text.subarray(prologueBytes);
    const view = new DataView(text.buffer, text.byteOffset);
    return Array.from({ length: 7 }, (_, index) => view.getUint32(4 * index, true).toString(16));
  };
  // Four words between the first jump and its label are not the filling, of two each.
  const most = (2 ** 18 - 6) / 2;
  assert.equal(words(most).slice(0, 2), ["f9400269", "b47fffc9"]);
  assert.equal(words(most + 1), [
    "f9400269",
    "b5000049", // cbnz, over the next
    "14040001",
    "f9400a6a",
    "eb0a013f",
    "5400004a", // b.ge
    "1403fffd",
  ]);
});

test("relocations point at the halves of an address, and are patched little-endian", () => {
  const { text, relocations } = aarch64.encode(
    [{ kind: "mov", to: near, from: { kind: "address", of: "datum", offset: 4 } }],
    offsets,
  );
  assert.equal(relocations, [
    { at: 0, target: { kind: "slots", offset: 0 }, relative: false },
    { at: 16, target: { kind: "address", of: "datum", offset: 4 }, relative: false },
  ]);
  const view = new DataView(text.buffer);
  aarch64.patch(view, 16, 0x7fab1234);
  // movz x9, #0x1234; movk x9, #0x7fab, lsl #16
  assert.equal(
    [16, 20].map((at) => view.getUint32(at, true)),
    [0xd2824689, 0xf2aff569],
  );
});

test.run();
