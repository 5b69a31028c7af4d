import fc from "fast-check";
import * as assert from "uvu/assert";
import { pack, shortestCopy } from "../../../launch/machine/pack.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/pack");

/** What a program does at run time: launch/lower/text/failure-texts.ts. */
function unpack(packed: Uint8Array): number[] {
  const bytes: number[] = [];
  for (let at = 0; packed[at] !== 0x88 || packed[at + 1] !== 0; at += 1) {
    const byte = packed[at] as number;
    if (byte < 0x80) {
      bytes.push(byte);
      continue;
    }
    at += 1;
    const distance = ((byte & 7) << 8) | (packed[at] as number);
    if (distance === 0) bytes.push(packed[++at] as number);
    for (let left = distance && ((byte >> 3) & 15) + shortestCopy; left > 0; left -= 1) {
      bytes.push(bytes[bytes.length - distance] as number);
    }
  }
  return bytes;
}

test("what is unpacked is what was packed", () => {
  const words = fc.array(fc.constantFrom("mount ", "/tmp/mounts/", "7", "\0", "ü", "\x7f", "m"), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(words, (words) => {
      const bytes = Buffer.from(words.join(""));
      assert.equal(unpack(pack(bytes)), [...bytes]);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(unpack(pack(bytes)), [...bytes]);
    }),
  );
});

test("a copy may reach into itself, and is no longer and from no farther than two bytes can say", () => {
  assert.equal([...pack(Buffer.from("aaaaaa"))], [97, 0x80 | (2 << 3), 1, 0x88, 0]);
  const apart = (distance: number) => Buffer.from(`abc${"-".repeat(distance - 3)}abc`);
  assert.is(unpack(pack(apart(2047))).length, 2050);
  assert.is(pack(apart(2047)).length + 1, pack(apart(2048)).length);
});

test("bytes that are no ASCII are told from copies", () => {
  assert.equal([...pack(Uint8Array.of(0xff))], [0x80, 0, 0xff, 0x88, 0]);
  assert.equal([...pack(new Uint8Array(0))], [0x88, 0]);
});

test.run();
