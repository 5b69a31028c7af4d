/** Machine code, form by form, as objdump reads it back. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Op, Slot, Value } from "../../launch/ir.js";
import { x86_64 } from "../../launch/x86_64.js";
import { suite } from "../support/suite.js";

const test = suite("x86_64");

const slot = (name: string): Slot => ({ kind: "slot", name });
const near = slot("near");
const other = slot("other");
const far = slot("far");
const offsets = new Map([
  ["near", 0],
  ["other", 128],
  ["far", 256],
  ["errno", 8],
]);
const datum: Value = { kind: "address", of: "datum", offset: 4 };
const big: Value = { kind: "constant", text: "BIG", value: 0x1122334455667788n };
const top: Value = { kind: "constant", text: "TOP", value: 0xffffffffffffffffn };
const mov = (to: Slot, from: Value): Op => ({ kind: "mov", to, from });
const alu =
  (operator: "add" | "sub" | "and" | "or" | "shl" | "shr" | "div" | "rem") =>
  (to: Slot, a: Value, b: Value): Op => ({ kind: "alu", operator, to, a, b });
const add = alu("add");
const load = (width: 1 | 4 | 8, base: Value, offset: number): Op => ({
  kind: "load",
  width,
  to: near,
  base,
  offset,
});
const store = (width: 1 | 4 | 8, base: Value, offset: number, from: Value): Op => ({
  kind: "store",
  width,
  base,
  offset,
  from,
});
const branch = (condition: "eq" | "ne" | "lt" | "ge" | "le" | "gt", a: Value, b: Value): Op => ({
  kind: "branch",
  condition,
  a,
  b,
  to: "self",
});
const self: Op = { kind: "label", name: "self" };

/** Bytes and text of an op, without the prologue; addresses are left zero. */
const forms: readonly (readonly [ops: readonly Op[], expected: readonly string[]])[] = [
  [[{ kind: "sp", to: near }], ["48 89 6b 80  mov QWORD PTR [rbx-0x80],rbp"]],
  [[mov(near, 0)], ["48 c7 43 80 00 00 00 00  mov QWORD PTR [rbx-0x80],0x0"]],
  [[mov(near, -1)], ["48 c7 43 80 ff ff ff ff  mov QWORD PTR [rbx-0x80],0xffffffffffffffff"]],
  [
    [mov(far, 0x7fffffff)],
    ["48 c7 83 80 00 00 00 ff ff ff 7f  mov QWORD PTR [rbx+0x80],0x7fffffff"],
  ],
  [
    [mov(near, 0xffffffff)],
    ["b8 ff ff ff ff  mov eax,0xffffffff", "48 89 43 80  mov QWORD PTR [rbx-0x80],rax"],
  ],
  [
    [mov(near, 0x100000000)],
    [
      "48 b8 00 00 00 00 01 00 00 00  movabs rax,0x100000000",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [mov(near, big)],
    [
      "48 b8 88 77 66 55 44 33 22 11  movabs rax,0x1122334455667788",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [[mov(near, top)], ["48 c7 43 80 ff ff ff ff  mov QWORD PTR [rbx-0x80],0xffffffffffffffff"]],
  [
    [mov(far, other)],
    ["48 8b 03  mov rax,QWORD PTR [rbx]", "48 89 83 80 00 00 00  mov QWORD PTR [rbx+0x80],rax"],
  ],
  [
    [mov(near, datum)],
    ["b8 00 00 00 00  mov eax,0x0", "48 89 43 80  mov QWORD PTR [rbx-0x80],rax"],
  ],
  [[add(near, near, 1)], ["48 83 43 80 01  add QWORD PTR [rbx-0x80],0x1"]],
  [
    [add(near, near, -129)],
    ["48 81 43 80 7f ff ff ff  add QWORD PTR [rbx-0x80],0xffffffffffffff7f"],
  ],
  [
    [add(near, other, 127)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 83 c0 7f  add rax,0x7f",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, other, 128)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 05 80 00 00 00  add rax,0x80",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, near, far)],
    [
      "48 8b 83 80 00 00 00  mov rax,QWORD PTR [rbx+0x80]",
      "48 01 43 80  add QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, other, far)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 03 83 80 00 00 00  add rax,QWORD PTR [rbx+0x80]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, other, big)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 b9 88 77 66 55 44 33 22 11  movabs rcx,0x1122334455667788",
      "48 03 c1  add rax,rcx",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, datum, other)],
    [
      "b8 00 00 00 00  mov eax,0x0",
      "48 03 03  add rax,QWORD PTR [rbx]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, 5, datum)],
    [
      "b8 05 00 00 00  mov eax,0x5",
      "b9 00 00 00 00  mov ecx,0x0",
      "48 03 c1  add rax,rcx",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("sub")(near, 0, other)],
    [
      "31 c0  xor eax,eax",
      "48 2b 03  sub rax,QWORD PTR [rbx]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [[alu("and")(near, near, 0xff)], ["48 81 63 80 ff 00 00 00  and QWORD PTR [rbx-0x80],0xff"]],
  [
    [alu("or")(near, other, 8)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 83 c8 08  or rax,0x8",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("shl")(near, near, 63)],
    [
      "48 8b 43 80  mov rax,QWORD PTR [rbx-0x80]",
      "48 c1 e0 3f  shl rax,0x3f",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("shr")(near, other, far)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 8b 8b 80 00 00 00  mov rcx,QWORD PTR [rbx+0x80]",
      "48 d3 e8  shr rax,cl",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("div")(near, other, 10)],
    [
      "b9 0a 00 00 00  mov ecx,0xa",
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "31 d2  xor edx,edx",
      "48 f7 f1  div rcx",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("rem")(near, other, far)],
    [
      "48 8b 8b 80 00 00 00  mov rcx,QWORD PTR [rbx+0x80]",
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "31 d2  xor edx,edx",
      "48 f7 f1  div rcx",
      "48 89 53 80  mov QWORD PTR [rbx-0x80],rdx",
    ],
  ],
  [
    [load(1, other, 0)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "0f b6 01  movzx eax,BYTE PTR [rcx]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [load(4, datum, 127)],
    [
      "b9 00 00 00 00  mov ecx,0x0",
      "8b 41 7f  mov eax,DWORD PTR [rcx+0x7f]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [load(8, other, -128)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "48 8b 41 80  mov rax,QWORD PTR [rcx-0x80]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [load(8, other, 128)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "48 8b 81 80 00 00 00  mov rax,QWORD PTR [rcx+0x80]",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [[store(1, datum, 0, 255)], ["b9 00 00 00 00  mov ecx,0x0", "c6 01 ff  mov BYTE PTR [rcx],0xff"]],
  [
    [store(4, other, 4, -1)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "c7 41 04 ff ff ff ff  mov DWORD PTR [rcx+0x4],0xffffffff",
    ],
  ],
  [
    [store(8, other, 8, -1)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "48 c7 41 08 ff ff ff ff  mov QWORD PTR [rcx+0x8],0xffffffffffffffff",
    ],
  ],
  [
    [store(8, other, 0, 0xffffffff)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "b8 ff ff ff ff  mov eax,0xffffffff",
      "48 89 01  mov QWORD PTR [rcx],rax",
    ],
  ],
  [
    [store(1, other, 0, near)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "48 8b 43 80  mov rax,QWORD PTR [rbx-0x80]",
      "88 01  mov BYTE PTR [rcx],al",
    ],
  ],
  [
    [store(4, other, 4096, near)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "48 8b 43 80  mov rax,QWORD PTR [rbx-0x80]",
      "89 81 00 10 00 00  mov DWORD PTR [rcx+0x1000],eax",
    ],
  ],
  [
    [store(8, other, 1, datum)],
    [
      "48 8b 0b  mov rcx,QWORD PTR [rbx]",
      "b8 00 00 00 00  mov eax,0x0",
      "48 89 41 01  mov QWORD PTR [rcx+0x1],rax",
    ],
  ],
  [[self, { kind: "jump", to: "self" }], ["eb fe  jmp 0x0"]],
  [
    [self, branch("eq", near, 0)],
    ["48 83 7b 80 00  cmp QWORD PTR [rbx-0x80],0x0", "74 f9  je 0x0"],
  ],
  [
    [self, branch("ne", near, far)],
    [
      "48 8b 83 80 00 00 00  mov rax,QWORD PTR [rbx+0x80]",
      "48 39 43 80  cmp QWORD PTR [rbx-0x80],rax",
      "75 f3  jne 0x0",
    ],
  ],
  [
    [self, branch("lt", 0, near)],
    ["31 c0  xor eax,eax", "48 3b 43 80  cmp rax,QWORD PTR [rbx-0x80]", "7c f8  jl 0x0"],
  ],
  [
    [self, branch("ge", near, 4096)],
    ["48 81 7b 80 00 10 00 00  cmp QWORD PTR [rbx-0x80],0x1000", "7d f6  jge 0x0"],
  ],
  [
    [self, branch("le", near, big)],
    [
      "48 b8 88 77 66 55 44 33 22 11  movabs rax,0x1122334455667788",
      "48 39 43 80  cmp QWORD PTR [rbx-0x80],rax",
      "7e f0  jle 0x0",
    ],
  ],
  [
    [self, branch("gt", near, datum)],
    ["b8 00 00 00 00  mov eax,0x0", "48 39 43 80  cmp QWORD PTR [rbx-0x80],rax", "7f f5  jg 0x0"],
  ],
  [[self, { kind: "call", to: "self" }], ["e8 fb ff ff ff  call 0x0"]],
  [[{ kind: "return" }], ["c3  ret"]],
  [[{ kind: "comment", text: "nothing" }], []],
];

const prologue = ["bb 00 00 00 00  mov ebx,0x0", "48 89 e5  mov rbp,rsp"];

const encode = (ops: readonly Op[]) => x86_64.encode(ops, offsets);

/** `bytes  mnemonic operands` for each instruction of some texts, as objdump reads them. */
function disassemble(texts: readonly Uint8Array[]): string[][] {
  const directory = mkdtempSync(join(tmpdir(), "sbx-"));
  try {
    return texts.map((text, index) => {
      const path = join(directory, `${index}`);
      writeFileSync(path, text);
      const options = ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel"];
      const output = execFileSync("objdump", [...options, "--insn-width=12", path]).toString();
      return [...output.matchAll(/^ +[0-9a-f]+:\t(.*?) *\t(.*?) *$/gm)].map(
        ([, bytes, instruction = ""]) => `${bytes}  ${instruction.replace(/ +/, " ")}`,
      );
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test.needs("objdump", "encodes every form of op as objdump reads it back", () => {
  const read = disassemble(forms.map(([ops]) => encode(ops).text));
  for (const [index, [, expected]] of forms.entries()) {
    // An empty program is the prologue alone; jumps to offset 0 of the op are to 8 of the text.
    const wanted = [...prologue, ...expected.map((line) => line.replace(/ 0x0$/, " 0x8"))];
    assert.equal(read[index], wanted);
  }
});

test.needs("objdump", "passes six arguments, and shares one way out of errors to a label", () => {
  const call = (name: string, result: Slot | null): Op => ({
    kind: "syscall",
    name,
    arguments: [near, 0, 0, -1, 8, datum],
    result,
    onError: { kind: "goto", label: "self" },
  });
  const [text] = disassemble([encode([self, call("mmap", near), call("mmap", null)]).text]);
  const mmap = [
    "48 8b 7b 80  mov rdi,QWORD PTR [rbx-0x80]",
    "31 f6  xor esi,esi",
    "31 d2  xor edx,edx",
    "49 c7 c2 ff ff ff ff  mov r10,0xffffffffffffffff",
    "41 b8 08 00 00 00  mov r8d,0x8",
    "41 b9 00 00 00 00  mov r9d,0x0",
    "b8 09 00 00 00  mov eax,0x9",
    "0f 05  syscall",
    "48 3d 01 f0 ff ff  cmp rax,0xfffffffffffff001",
  ];
  assert.equal(text, [
    ...prologue,
    ...mmap,
    "73 2e  jae 0x60",
    "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ...mmap,
    "73 00  jae 0x60",
    "48 f7 d8  neg rax",
    "48 89 43 88  mov QWORD PTR [rbx-0x78],rax",
    "eb 9f  jmp 0x8",
  ]);
});

test.needs("objdump", "stores, ignores or leaves out what a call returns", () => {
  const call = (onError: Extract<Op, { kind: "syscall" }>["onError"], result: Slot | null): Op => ({
    kind: "syscall",
    name: "getpid",
    arguments: [],
    result,
    onError,
  });
  const getpid = ["b8 27 00 00 00  mov eax,0x27", "0f 05  syscall"];
  const stored = "48 89 43 80  mov QWORD PTR [rbx-0x80],rax";
  const ops = [
    call({ kind: "result" }, near),
    call({ kind: "ignore", because: "it is" }, null),
    call({ kind: "never" }, null),
  ];
  const [text] = disassemble([encode(ops).text]);
  assert.equal(text, [...prologue, ...getpid, stored, ...getpid, ...getpid]);
});

test("jumps are long only where the distance asks for it", () => {
  const filler = (bytes: number): Op[] => Array.from({ length: bytes }, () => ({ kind: "return" }));
  const forward = (bytes: number) =>
    encode([{ kind: "jump", to: "self" }, ...filler(bytes), self]).text.subarray(8);
  assert.equal([...forward(127).subarray(0, 2)], [0xeb, 127]);
  assert.equal([...forward(128).subarray(0, 5)], [0xe9, 128, 0, 0, 0]);
  const backward = (bytes: number) =>
    encode([self, ...filler(bytes), branch("gt", near, 0)]).text.subarray(8 + bytes + 5);
  assert.equal([...backward(121)], [0x7f, 0x80]);
  assert.equal([...backward(122)], [0x0f, 0x8f, 0x7b, 0xff, 0xff, 0xff]);
});

test("a jump that grows makes others grow", () => {
  const jump: Op = { kind: "jump", to: "self" };
  const filler: Op[] = Array.from({ length: 124 }, () => ({ kind: "return" }));
  // The second alone is 2 + 124 bytes behind the first; once it is 5 long, the first no longer reaches.
  const end: Op = { kind: "jump", to: "end" };
  const ops = [jump, end, ...filler, self, ...filler, { kind: "label", name: "end" } as const];
  const text = encode(ops).text.subarray(8);
  assert.equal([...text.subarray(0, 10)], [0xe9, 129, 0, 0, 0, 0xe9, 248, 0, 0, 0]);
});

test("relocations point at the immediates, and are patched little-endian", () => {
  const { text, relocations } = encode([mov(near, datum), mov(far, near), store(4, datum, 0, 1)]);
  assert.equal(relocations, [
    { at: 1, target: { kind: "slots", offset: 128 } },
    { at: 9, target: datum },
    { at: 29, target: datum },
  ]);
  x86_64.patch(new DataView(text.buffer), 9, 0x401234);
  assert.equal([...text.subarray(8, 13)], [0xb8, 0x34, 0x12, 0x40, 0]);
});

test.run();
