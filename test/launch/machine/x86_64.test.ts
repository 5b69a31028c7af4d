/** Machine code, form by form, as objdump reads it back. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Op, Slot, Value } from "../../../launch/machine/ir.js";
import { x86_64 } from "../../../launch/machine/x86_64.js";
import { suite } from "../../support/suite.js";

const test = suite("x86_64");

const slot = (name: string): Slot => ({ kind: "slot", name });
const near = slot("near");
const other = slot("other");
const far = slot("far");
const farther = slot("farther");
const farthest = slot("farthest");
const offsets = new Map([
  ["near", 0],
  ["other", 128],
  ["far", 256],
  ["farther", 760],
  ["farthest", 768],
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
  [[mov(near, 0)], ["6a 00  push 0x0", "8f 43 80  pop QWORD PTR [rbx-0x80]"]],
  [[mov(near, -1)], ["6a ff  push 0xffffffffffffffff", "8f 43 80  pop QWORD PTR [rbx-0x80]"]],
  [[mov(far, 0x7fffffff)], ["49 c7 46 80 ff ff ff 7f  mov QWORD PTR [r14-0x80],0x7fffffff"]],
  [
    [mov(near, 0xffffffff)],
    ["b8 ff ff ff ff  mov eax,0xffffffff", "48 89 43 80  mov QWORD PTR [rbx-0x80],rax"],
  ],
  [
    [mov(near, -0x80000000)],
    ["48 c7 43 80 00 00 00 80  mov QWORD PTR [rbx-0x80],0xffffffff80000000"],
  ],
  [
    [mov(near, -0x80000001)],
    [
      "48 b8 ff ff ff 7f ff ff ff ff  movabs rax,0xffffffff7fffffff",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
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
  [[mov(near, top)], ["6a ff  push 0xffffffffffffffff", "8f 43 80  pop QWORD PTR [rbx-0x80]"]],
  [[mov(far, other)], ["ff 33  push QWORD PTR [rbx]", "41 8f 46 80  pop QWORD PTR [r14-0x80]"]],
  [[mov(near, datum)], ["48 c7 43 80 00 00 00 00  mov QWORD PTR [rbx-0x80],0x0"]],
  [[mov(farther, 1)], ["6a 01  push 0x1", "41 8f 47 78  pop QWORD PTR [r15+0x78]"]],
  [
    [mov(farthest, near)],
    ["ff 73 80  push QWORD PTR [rbx-0x80]", "41 8f 87 80 00 00 00  pop QWORD PTR [r15+0x80]"],
  ],
  [
    [mov(near, near), mov(far, near)],
    [
      "ff 73 80  push QWORD PTR [rbx-0x80]",
      "8f 43 80  pop QWORD PTR [rbx-0x80]",
      "ff 73 80  push QWORD PTR [rbx-0x80]",
      "41 8f 46 80  pop QWORD PTR [r14-0x80]",
    ],
  ],
  [[add(near, near, datum)], ["48 81 43 80 00 00 00 00  add QWORD PTR [rbx-0x80],0x0"]],
  [
    [add(near, other, datum)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 05 00 00 00 00  add rax,0x0",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [add(near, near, big)],
    [
      "48 b8 88 77 66 55 44 33 22 11  movabs rax,0x1122334455667788",
      "48 01 43 80  add QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [[alu("shr")(far, far, 8)], ["49 c1 6e 80 08  shr QWORD PTR [r14-0x80],0x8"]],
  [
    [alu("div")(near, near, near)],
    [
      "48 8b 4b 80  mov rcx,QWORD PTR [rbx-0x80]",
      "48 8b 43 80  mov rax,QWORD PTR [rbx-0x80]",
      "31 d2  xor edx,edx",
      "48 f7 f1  div rcx",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [store(8, datum, 4, near)],
    ["ff 73 80  push QWORD PTR [rbx-0x80]", "8f 83 00 00 00 00  pop QWORD PTR [rbx+0x0]"],
  ],
  [[store(8, datum, 4, 1)], ["6a 01  push 0x1", "8f 83 00 00 00 00  pop QWORD PTR [rbx+0x0]"]],
  [[store(8, datum, 4, datum)], ["48 c7 83 00 00 00 00 00 00 00 00  mov QWORD PTR [rbx+0x0],0x0"]],
  [[store(4, datum, 4, datum)], ["c7 83 00 00 00 00 00 00 00 00  mov DWORD PTR [rbx+0x0],0x0"]],
  [
    [store(1, datum, 4, datum)],
    ["b8 00 00 00 00  mov eax,0x0", "88 83 00 00 00 00  mov BYTE PTR [rbx+0x0],al"],
  ],
  [
    [store(4, datum, 4, top)],
    ["c7 83 00 00 00 00 ff ff ff ff  mov DWORD PTR [rbx+0x0],0xffffffff"],
  ],
  [
    [store(8, 4096, 4, big)],
    [
      "b9 00 10 00 00  mov ecx,0x1000",
      "48 b8 88 77 66 55 44 33 22 11  movabs rax,0x1122334455667788",
      "48 89 41 04  mov QWORD PTR [rcx+0x4],rax",
    ],
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
    ["49 8b 46 80  mov rax,QWORD PTR [r14-0x80]", "48 01 43 80  add QWORD PTR [rbx-0x80],rax"],
  ],
  [
    [add(near, other, far)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "49 03 46 80  add rax,QWORD PTR [r14-0x80]",
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
      "6a 05  push 0x5",
      "58  pop rax",
      "48 05 00 00 00 00  add rax,0x0",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("sub")(near, 0, other)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "48 f7 d8  neg rax",
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
  [[alu("shl")(near, near, 63)], ["48 c1 63 80 3f  shl QWORD PTR [rbx-0x80],0x3f"]],
  [
    [alu("shr")(near, other, far)],
    [
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "49 8b 4e 80  mov rcx,QWORD PTR [r14-0x80]",
      "48 d3 e8  shr rax,cl",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("div")(near, other, 10)],
    [
      "6a 0a  push 0xa",
      "59  pop rcx",
      "48 8b 03  mov rax,QWORD PTR [rbx]",
      "31 d2  xor edx,edx",
      "48 f7 f1  div rcx",
      "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    ],
  ],
  [
    [alu("rem")(near, other, far)],
    [
      "49 8b 4e 80  mov rcx,QWORD PTR [r14-0x80]",
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
    ["8b 83 00 00 00 00  mov eax,DWORD PTR [rbx+0x0]", "48 89 43 80  mov QWORD PTR [rbx-0x80],rax"],
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
  [[store(1, datum, 0, 255)], ["c6 83 00 00 00 00 ff  mov BYTE PTR [rbx+0x0],0xff"]],
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
      "6a ff  push 0xffffffffffffffff",
      "8f 41 08  pop QWORD PTR [rcx+0x8]",
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
    ["48 8b 0b  mov rcx,QWORD PTR [rbx]", "48 c7 41 01 00 00 00 00  mov QWORD PTR [rcx+0x1],0x0"],
  ],
  [[self, { kind: "jump", to: "self" }], ["eb fe  jmp 0x0"]],
  [
    [self, branch("eq", near, 0)],
    ["48 83 7b 80 00  cmp QWORD PTR [rbx-0x80],0x0", "74 f9  je 0x0"],
  ],
  [
    [self, branch("ne", near, far)],
    [
      "49 8b 46 80  mov rax,QWORD PTR [r14-0x80]",
      "48 39 43 80  cmp QWORD PTR [rbx-0x80],rax",
      "75 f6  jne 0x0",
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
    ["48 81 7b 80 00 00 00 00  cmp QWORD PTR [rbx-0x80],0x0", "7f f6  jg 0x0"],
  ],
  [[self, { kind: "call", to: "self" }], ["e8 fb ff ff ff  call 0x0"]],
  [[{ kind: "return" }], ["c3  ret"]],
  [[{ kind: "comment", text: "nothing" }], []],
];

const prologue = [
  "bb 00 00 00 00  mov ebx,0x0",
  "41 be 00 00 00 00  mov r14d,0x0",
  "41 bf 00 00 00 00  mov r15d,0x0",
  "48 89 e5  mov rbp,rsp",
  "48 8d 63 80  lea rsp,[rbx-0x80]",
];
const prologueSize = 24;

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
    // Jumps to offset 0 of the op are to the end of the prologue.
    const wanted = expected.map((line) => line.replace(/ 0x0$/, ` 0x${prologueSize.toString(16)}`));
    const jumps = forms[index]?.[0][0]?.kind === "label";
    assert.equal(read[index], [...prologue, ...(jumps ? wanted : expected)]);
  }
});

test("only slots that are there have a base", () => {
  const slots = (count: number) =>
    new Map(Array.from({ length: count }, (_, index) => [`slot${index}`, 8 * index] as const));
  const sizes = [1, 32, 33, 64, 65, 200].map(
    (count) => x86_64.encode([], slots(count)).text.length,
  );
  assert.equal(sizes, [12, 12, 18, 18, 24, 24]);
});

const syscall = (
  name: string,
  args: readonly Value[],
  result: Slot | null,
  onError: Extract<Op, { kind: "syscall" }>["onError"] = { kind: "result" },
): Op => ({ kind: "syscall", name, arguments: args, result, onError });
const orSelf = { kind: "goto", label: "self" } as const;

test.needs("objdump", "passes six arguments", () => {
  const [text] = disassemble([encode([syscall("mmap", [near, 0, datum, -1, 8, 0x80], near)]).text]);
  assert.equal(text, [
    ...prologue,
    "48 8b 7b 80  mov rdi,QWORD PTR [rbx-0x80]",
    "31 f6  xor esi,esi",
    "ba 00 00 00 00  mov edx,0x0",
    "6a ff  push 0xffffffffffffffff",
    "41 5a  pop r10",
    "6a 08  push 0x8",
    "41 58  pop r8",
    "41 b9 80 00 00 00  mov r9d,0x80",
    "6a 09  push 0x9",
    "58  pop rax",
    "0f 05  syscall",
    "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
  ]);
});

const kill = ["6a 3e  push 0x3e", "58  pop rax", "0f 05  syscall"];

test.needs("objdump", "a label that errors go to has an entrance which stores errno", () => {
  const ops = [syscall("kill", [], near, orSelf), self, syscall("kill", [], null, orSelf)];
  const remark: Op = { kind: "comment", text: "nothing" };
  const apart = [ops[0], { kind: "return" }, remark, self, { kind: "return" }] as Op[];
  const [text, other] = disassemble([encode(ops).text, encode(apart).text]);
  const entrance = ["48 f7 d8  neg rax", "48 89 43 88  mov QWORD PTR [rbx-0x78],rax"];
  assert.equal(text, [
    ...prologue,
    ...kill,
    "85 c0  test eax,eax",
    "78 06  js 0x27",
    "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
    "eb 07  jmp 0x2e",
    ...entrance,
    ...kill,
    "85 c0  test eax,eax",
    "78 f0  js 0x27",
  ]);
  // Nothing has to jump over it where nothing comes from above.
  assert.equal(other?.slice(-4), ["c3  ret", ...entrance, "c3  ret"]);
});

test.needs("objdump", "stores, ignores or leaves out what a call returns", () => {
  const stored = "48 89 43 80  mov QWORD PTR [rbx-0x80],rax";
  const ops = [
    syscall("kill", [], near),
    syscall("kill", [], null, { kind: "ignore", because: "it is" }),
    syscall("kill", [], null, { kind: "never" }),
  ];
  const [text] = disassemble([encode(ops).text]);
  // A filter that refuses exit_group(2) must not make it go on.
  assert.equal(text, [...prologue, ...kill, stored, ...kill, ...kill, "0f 0b  ud2"]);
});

/** What is emitted for the last of some ops. */
function last(...ops: readonly Op[]): string[] {
  const [before = [], all = []] = disassemble([encode(ops.slice(0, -1)).text, encode(ops).text]);
  return all.slice(before.length);
}
const reload = "48 8b 43 80  mov rax,QWORD PTR [rbx-0x80]";
const use = add(other, near, 1);

test.needs("objdump", "a value that is in a register is not loaded again", () => {
  const rest = ["48 83 c0 01  add rax,0x1", "48 89 03  mov QWORD PTR [rbx],rax"];
  assert.equal(last(load(4, far, 0), use), rest);
  assert.equal(last(syscall("kill", [], near), use), rest);
  assert.equal(last(add(near, far, 1), use), rest);
  assert.equal(last(self, load(4, far, 0), branch("le", near, 0))[0], "48 85 c0  test rax,rax");
  assert.equal(
    last(self, load(4, far, 0), branch("le", near, -2))[0],
    "48 83 f8 fe  cmp rax,0xfffffffffffffffe",
  );
  assert.equal(last(load(4, far, 0), store(1, far, 8, near)), [
    "88 41 08  mov BYTE PTR [rcx+0x8],al",
  ]);
  assert.equal(last(load(4, far, 0), load(4, near, 8)), [
    "48 89 c1  mov rcx,rax",
    "8b 41 08  mov eax,DWORD PTR [rcx+0x8]",
    "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
  ]);
  assert.equal(last(syscall("kill", [7, 0], null), syscall("kill", [7, 0], near)), [
    ...kill,
    "48 89 43 80  mov QWORD PTR [rbx-0x80],rax",
  ]);
  assert.equal(last(load(4, far, 0), mov(other, near)), ["48 89 03  mov QWORD PTR [rbx],rax"]);
});

test.needs("objdump", "and is loaded again where it may have changed", () => {
  const reloaded = (...ops: readonly Op[]) =>
    assert.is(last(load(4, far, 0), ...ops, use)[0], reload, JSON.stringify(ops));
  reloaded(mov(near, 1));
  reloaded(add(near, near, 1));
  reloaded(alu("shl")(near, near, 1));
  reloaded(mov(near, other));
  reloaded(add(far, near, 1));
  reloaded(alu("sub")(far, 0, near));
  reloaded(alu("rem")(far, near, other));
  reloaded(alu("div")(near, near, other), mov(near, 2));
  reloaded(load(8, far, 0), mov(near, other));
  reloaded(syscall("kill", [], null));
  reloaded(syscall("kill", [], far));
  reloaded({ kind: "call", to: "self" }, self);
  reloaded(self);
  // rcx and r11 are the kernel's own, rdx the division's, and the others are preserved.
  assert.is(
    last(load(4, far, 0), syscall("kill", [], null), load(4, far, 0))[0],
    "49 8b 4e 80  mov rcx,QWORD PTR [r14-0x80]",
  );
  const behind: Value = { kind: "address", of: "datum", offset: 8 };
  assert.is(
    last(syscall("kill", [datum], null), syscall("kill", [behind], null))[0],
    "bf 00 00 00 00  mov edi,0x0",
  );
  const divided = [syscall("mmap", [1, 2, 3], null), alu("rem")(near, far, 10)];
  assert.equal(last(...divided, syscall("mmap", [1, 2, 3], null)).slice(0, 2), [
    "6a 03  push 0x3",
    "5a  pop rdx",
  ]);
  assert.is(
    last(self, syscall("kill", [1], null), self, syscall("kill", [1], null))[0],
    "6a 01  push 0x1",
  );
});

test("jumps are long only where the distance asks for it", () => {
  const forward = (bytes: number) =>
    encode([{ kind: "jump", to: "self" }, ...filler(bytes), self]).text.subarray(prologueSize);
  assert.equal([...forward(127).subarray(0, 2)], [0xeb, 127]);
  assert.equal([...forward(128).subarray(0, 5)], [0xe9, 128, 0, 0, 0]);
  const backward = (bytes: number) =>
    encode([self, ...filler(bytes), branch("gt", near, 0)]).text.subarray(prologueSize + bytes + 5);
  assert.equal([...backward(121)], [0x7f, 0x80]);
  assert.equal([...backward(122)], [0x0f, 0x8f, 0x7b, 0xff, 0xff, 0xff]);
});

const filler = (bytes: number): Op[] => Array.from({ length: bytes }, () => ({ kind: "return" }));
const toSelf: Op = { kind: "jump", to: "self" };

test("a jump that grows makes others grow", () => {
  // The second alone is 2 + 124 bytes behind the first; once it is 5 long, the first no longer reaches.
  const end: Op = { kind: "jump", to: "end" };
  const label: Op = { kind: "label", name: "end" };
  const text = encode([toSelf, end, ...filler(124), self, ...filler(124), label]).text;
  assert.equal(
    [...text.subarray(prologueSize, prologueSize + 10)],
    [0xe9, 129, 0, 0, 0, 0xe9, 248, 0, 0, 0],
  );
});

test("a jump out of reach goes by way of others like it", () => {
  const at = (text: Uint8Array, offset: number, bytes: number) => [
    ...text.subarray(prologueSize + offset, prologueSize + offset + bytes),
  ];
  const forward = encode([toSelf, ...filler(100), toSelf, ...filler(100), self]).text;
  assert.equal(
    [at(forward, 0, 2), at(forward, 102, 2)],
    [
      [0xeb, 100],
      [0xeb, 100],
    ],
  );
  const backward = encode([self, ...filler(100), toSelf, ...filler(100), toSelf]).text;
  assert.equal(
    [at(backward, 100, 2), at(backward, 202, 2)],
    [
      [0xeb, 0x9a],
      [0xeb, 0x98],
    ],
  );
  // Not away from the target, not to another target, not on another condition, and not too far.
  const away = encode([toSelf, ...filler(200), self, ...filler(10), toSelf]).text;
  assert.equal(at(away, 0, 2), [0xe9, 200]);
  const elsewhere: Op = { kind: "jump", to: "end" };
  const label: Op = { kind: "label", name: "end" };
  const different = encode([toSelf, ...filler(50), elsewhere, ...filler(150), self, label]).text;
  assert.equal(at(different, 0, 1), [0xe9]);
  const equal = branch("eq", near, 0);
  const unlike = encode([equal, ...filler(50), branch("ne", near, 0), ...filler(100), self]).text;
  assert.equal(at(unlike, 5, 2), [0x0f, 0x84]);
  const apart = encode([toSelf, ...filler(128), toSelf, ...filler(100), self]).text;
  assert.equal(at(apart, 0, 1), [0xe9]);
});

test("a call goes straight to its target", () => {
  const toSub: Op = { kind: "call", to: "self" };
  const text = encode([toSub, ...filler(300), toSub, ...filler(300), self]).text;
  assert.equal([...text.subarray(prologueSize, prologueSize + 5)], [0xe8, 0x5d, 0x02, 0, 0]);
});

test("relocations point at the immediates, and are patched little-endian", () => {
  const { text, relocations } = encode([mov(near, datum), mov(far, near), store(4, datum, 8, 1)]);
  assert.equal(relocations, [
    { at: 1, target: { kind: "slots", offset: 128 }, relative: false },
    { at: 7, target: { kind: "slots", offset: 384 }, relative: false },
    { at: 13, target: { kind: "slots", offset: 640 }, relative: false },
    { at: 28, target: datum, relative: false },
    // rbx points 128 bytes into the slot area.
    { at: 41, target: { ...datum, offset: 12 - 128 }, relative: true },
  ]);
  x86_64.patch(new DataView(text.buffer), 28, 0x401234);
  assert.equal([...text.subarray(24, 32)], [0x48, 0xc7, 0x43, 0x80, 0x34, 0x12, 0x40, 0]);
});

test("relocations move with the jumps before them", () => {
  const { text, relocations } = encode([toSelf, ...filler(200), mov(near, datum), self]);
  assert.is(relocations.at(-1)?.at, prologueSize + 5 + 200 + 4);
  assert.is(text.length, prologueSize + 5 + 200 + 8);
});

test.run();
