/** The file format, as readelf reads it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { aarch64 } from "../../../launch/machine/aarch64.js";
import { encodeElf, layout, type SegmentSizes } from "../../../launch/machine/elf.js";
import { x86_64 } from "../../../launch/machine/x86_64.js";
import { suite } from "../../support/suite.js";

const test = suite("elf");

/** A file whose parts are filled with 1, 2 and 3. */
function file(sizes: SegmentSizes, encoder = x86_64): Uint8Array {
  const contents = {
    rodata: new Uint8Array(sizes.rodata).fill(1),
    text: new Uint8Array(sizes.text).fill(2),
    data: new Uint8Array(sizes.data).fill(3),
  };
  return encodeElf(layout(sizes, encoder), contents, encoder);
}

/** What readelf prints of the file, spaces squeezed, one line an item. */
function readelf(bytes: Uint8Array): string[] {
  const directory = mkdtempSync(join(tmpdir(), "sbx-"));
  try {
    const path = join(directory, "program");
    writeFileSync(path, bytes);
    const output = execFileSync("readelf", ["-lhW", path], {
      env: { ...process.env, LC_ALL: "C" },
    });
    return output
      .toString()
      .split("\n")
      .map((line) => line.trim().replace(/ +/g, " "));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The lines of the program header table. */
const segments = (lines: readonly string[]) =>
  lines.filter((line) => /^(LOAD|GNU_STACK) /.test(line));

test.needs("readelf", "is a static executable for the machine", () => {
  const lines = readelf(file({ rodata: 10, text: 20, data: 16, zero: 8 }));
  for (const line of [
    "Class: ELF64",
    "Data: 2's complement, little endian",
    "Type: EXEC (Executable file)",
    "Machine: Advanced Micro Devices X86-64",
    "Entry point address: 0x40112a",
    "Number of program headers: 4",
    "Number of section headers: 0",
  ]) {
    assert.ok(lines.includes(line), `${line} not in:\n${lines.join("\n")}`);
  }
  const arm = readelf(file({ rodata: 0, text: 4, data: 0, zero: 8 }, aarch64));
  assert.ok(arm.includes("Machine: AArch64"));
});

test.needs("readelf", "keeps read-only, executable and writable memory apart", () => {
  assert.equal(segments(readelf(file({ rodata: 10, text: 20, data: 16, zero: 5000 }))), [
    "LOAD 0x000000 0x0000000000400000 0x0000000000400000 0x00012a 0x00012a R 0x1000",
    "LOAD 0x00012a 0x000000000040112a 0x000000000040112a 0x000014 0x000014 R E 0x1000",
    "LOAD 0x000140 0x0000000000402140 0x0000000000402140 0x000010 0x001398 RW 0x1000",
    "GNU_STACK 0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW 0x10",
  ]);
});

test.needs("readelf", "gives a segment that is not in the file a page boundary", () => {
  assert.equal(segments(readelf(file({ rodata: 0, text: 4096, data: 0, zero: 8 }))).slice(1, 3), [
    "LOAD 0x000120 0x0000000000401120 0x0000000000401120 0x001000 0x001000 R E 0x1000",
    "LOAD 0x000000 0x0000000000403000 0x0000000000403000 0x000000 0x000008 RW 0x1000",
  ]);
});

test("the parts follow each other without page padding", () => {
  const bytes = file({ rodata: 3, text: 5, data: 16, zero: 8 });
  assert.is(bytes.length, 320);
  assert.equal([...bytes.subarray(286, 300)], [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0, 0, 0]);
  assert.equal([...bytes.subarray(304)], new Array(16).fill(3));
  assert.is(file({ rodata: 3, text: 5, data: 0, zero: 8 }).length, 296);
});

test("all addresses are congruent to their offsets, on pages of their own, wherever the ends fall", () => {
  for (let text = 3700; text < 3900; text += 1) {
    const { addresses, offsets } = layout({ rodata: 100, text, data: 48, zero: 64 }, x86_64);
    for (const part of ["rodata", "text", "data"] as const) {
      assert.is(addresses[part] % 4096, offsets[part] % 4096);
    }
    const page = (address: number) => Math.floor(address / 4096);
    assert.ok(page(addresses.rodata + 99) < page(addresses.text));
    assert.ok(page(addresses.text + text - 1) < page(addresses.data));
    assert.is(addresses.data % 16, 0);
    assert.is(addresses.zero, addresses.data + 48);
    assert.ok(offsets.data - (offsets.text + text) < 16);
  }
});

test.needs(
  "readelf",
  "on arm64 keeps them apart where pages have 64 KB, and aligns instructions",
  () => {
    const lines = readelf(file({ rodata: 10, text: 20, data: 16, zero: 70000 }, aarch64));
    assert.ok(lines.includes("Entry point address: 0x41012c"));
    assert.equal(segments(lines).slice(0, 3), [
      "LOAD 0x000000 0x0000000000400000 0x0000000000400000 0x00012c 0x00012c R 0x10000",
      "LOAD 0x00012c 0x000000000041012c 0x000000000041012c 0x000014 0x000014 R E 0x10000",
      "LOAD 0x000140 0x0000000000420140 0x0000000000420140 0x000010 0x011180 RW 0x10000",
    ]);
  },
);

test("what does not fit is refused", () => {
  assert.throws(() => layout({ rodata: 0, text: 1, data: 0, zero: 2 ** 31 }, x86_64), /too large/);
  const small = layout({ rodata: 0, text: 1, data: 0, zero: 8 }, x86_64);
  const none = new Uint8Array(0);
  assert.throws(
    () => encodeElf(small, { rodata: none, text: none, data: none }, x86_64),
    /text changed its size/,
  );
});

test.run();
