import * as assert from "uvu/assert";
import { opcodes } from "../../seccomp/instruction.js";
import { listFilter } from "../../seccomp/listing.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/listing");

const op = (name: keyof typeof opcodes, k: number, jt = 0, jf = 0) => ({
  code: opcodes[name],
  jt,
  jf,
  k,
});

test("labels, words, calls by their names and verdicts", () => {
  const filter = [
    op("load", 4),
    op("equal", 0xc000003e, 1, 0),
    op("return", 0x80000000),
    op("load", 0),
    op("greaterEqual", 0x40000000, 0, 1),
    op("subtract", 0x40000000),
    op("equal", 1, 5, 0),
    op("greater", 41, 3, 0),
    op("load", 24 + 4),
    op("and", 0xff),
    op("anyBit", 0x10, 1, 0),
    op("jump", 1),
    op("return", 0x00050016),
    op("return", 0x7fff0000),
  ];
  assert.is(
    listFilter(filter, ["x86_64", "x32"]),
    `       ld [4]                            ; arch
       jeq #0xc000003e, L3, L2           ; x86_64, x32
L2:    ret #0x80000000                   ; KILL_PROCESS
L3:    ld [0]                            ; number
       jge #0x40000000, L5, L6           ; read (x32)
L5:    sub #0x40000000
L6:    jeq #0x1, L12, L7                 ; write (x32, x86_64)
L7:    jgt #0x29, L11, L8                ; socket (x32, x86_64)
L8:    ld [28]                           ; arg1, high word
       and #0xff
       jset #0x10, L12, L11
L11:   ja L13
L12:   ret #0x50016                      ; ERRNO(EINVAL)
L13:   ret #0x7fff0000                   ; ALLOW
`,
  );
});

test("a name only where the number is loaded, and of the architectures that come there", () => {
  const filter = [
    op("load", 4),
    op("equal", 0x40000003, 0, 2),
    op("load", 0),
    op("jump", 1),
    op("load", 16),
    op("equal", 3, 0, 1),
    op("return", 0x7fff0000),
    op("load", 0),
    op("equal", 3, 0, 0),
    op("return", 0),
  ];
  const lines = listFilter(filter, ["x86_64", "x86"]).split("\n");
  assert.is(lines[1], "       jeq #0x40000003, L2, L4           ; x86");
  assert.is(lines[5], "L5:    jeq #0x3, L6, L7");
  assert.is(lines[8], "       jeq #0x3, L9, L9                  ; read (x86), close (x86_64)");
});

test.run();
