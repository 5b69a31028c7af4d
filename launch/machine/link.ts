/** From a program to the bytes of an executable: verify, encode, lay out, fill in addresses. */
import type { Architecture } from "../../spec/host.js";
import { aarch64 } from "./aarch64.js";
import { encodeElf, layout, programStart } from "./elf.js";
import type { Encoder } from "./encoder.js";
import { errno, isSlot, operandsOf, writeOf } from "./flow.js";
import {
  type Address,
  type Data,
  landmarks,
  type Op,
  type Program,
  type Slot,
  type Value,
} from "./ir.js";
import { verify } from "./verify.js";
import { x86_64 } from "./x86_64.js";

const encoders = { x86_64, aarch64 } as const satisfies Record<Architecture, Encoder>;

/**
 * Compiles a program; the same program gives the same bytes. Throws a plain Error, listing all that
 * is wrong, where the program does not verify: that is a fault in sbx, not in what the user asked for.
 */
export function compile(program: Program, architecture: Architecture): Uint8Array {
  const violations = verify(program);
  if (violations.length > 0) {
    throw new Error(`the program does not verify:\n${violations.join("\n")}`);
  }
  return link(program, encoders[architecture]);
}

function link({ ops, data }: Program, encoder: Encoder): Uint8Array {
  const slotOffsets = placeSlots(ops);
  const { text, relocations, resident } = encoder.encode(ops, slotOffsets);

  const words = data.filter((item) => item.kind === "words");
  const constant = arrange([
    ...words.filter((item) => !item.writable),
    ...data.filter((item) => item.kind === "bytes"),
  ]);
  const writable = arrange(words.filter((item) => item.writable));
  const { pageBytes } = encoder;
  // The small ones first: they share a page with the slots, and stay resident with them.
  const buffers = data.filter((item) => item.kind === "buffer").sort((a, b) => a.size - b.size);
  const small = arrange(buffers.filter(({ size }) => size < smallestPageBytes));
  // In pages of their own, however large these are, which a process that has no more use for them can give back.
  const large = arrange(
    buffers.filter(({ size }) => size >= smallestPageBytes),
    pageBytes,
  );
  const slotArea = stackBytes + alignUp(8 * slotOffsets.size);
  const image = layout(
    {
      rodata: constant.size,
      text: text.length,
      data: writable.size,
      zero: slotArea + small.size + pageBytes + large.size,
    },
    encoder,
  );

  const { addresses } = image;
  const slots = addresses.zero + stackBytes;
  const smallBuffers = addresses.zero + slotArea;
  const places = new Map<string, number>();
  for (const [{ offsets }, start] of [
    [constant, addresses.rodata],
    [writable, addresses.data],
    [small, smallBuffers],
    [large, alignUp(smallBuffers + small.size, pageBytes)],
  ] as const) {
    for (const [name, offset] of offsets) places.set(name, start + offset);
  }
  places.set(landmarks.start, programStart);
  if (resident !== null) {
    const page = Math.floor((addresses.text + resident) / pageBytes) * pageBytes;
    places.set(landmarks.resident, page);
  }
  const addressOf = ({ of, offset }: Address): number => {
    const start = places.get(of);
    if (start === undefined) throw new Error(`no data item is named ${of}`);
    return start + offset;
  };

  const view = new DataView(text.buffer, text.byteOffset, text.byteLength);
  for (const { at, target, relative } of relocations) {
    const address = target.kind === "slots" ? slots + target.offset : addressOf(target);
    encoder.patch(view, at, relative ? address - slots : address);
  }
  const rodata = contents(constant, addressOf);
  return encodeElf(image, { rodata, text, data: contents(writable, addressOf) }, encoder);
}

/**
 * What an encoder may use as the stack, right below the slots: subroutines do not recurse, and so do not
 * nest deeply. The stack that the kernel gives would be one more page that stays resident.
 */
const stackBytes = 320;

/** Of all kernels. */
const smallestPageBytes = 4096;

const alignUp = (value: number, to = 16): number => Math.ceil(value / to) * to;

/** Gives every slot its offset, the most used ones first, where short displacements reach them. */
function placeSlots(ops: readonly Op[]): Map<string, number> {
  // Counted from the start: a back end stores into it on every error.
  const uses = new Map([[errno.name, 1]]);
  const use = ({ name }: Slot) => void uses.set(name, (uses.get(name) ?? 0) + 1);
  for (let index = 0; index < ops.length; index += 1) {
    const op = ops[index] as Op;
    const operands = operandsOf(op);
    for (let number = 0; number < operands.length; number += 1) {
      const value = operands[number] as Value;
      if (isSlot(value)) use(value);
    }
    const written = writeOf(op);
    if (written !== null) use(written);
  }
  const names = [...uses].sort(([, a], [, b]) => b - a);
  return new Map(names.map(([name], index) => [name, 8 * index]));
}

interface Section {
  readonly items: readonly Data[];
  readonly offsets: ReadonlyMap<string, number>;
  readonly size: number;
}

/** Lays items out one after another: bytes packed, equal ones only once, the others aligned. */
function arrange(items: readonly Data[], alignment = 16): Section {
  const offsets = new Map<string, number>();
  const shared = new Map<string, number>();
  let size = 0;
  for (const item of items) {
    if (item.kind === "bytes") {
      const key = Buffer.from(item.bytes).toString("latin1");
      const offset = shared.get(key) ?? size;
      if (offset === size) size += item.bytes.length;
      shared.set(key, offset);
      offsets.set(item.name, offset);
    } else {
      const start = alignUp(size, alignment);
      offsets.set(item.name, start);
      size = start + (item.kind === "words" ? 8 * item.items.length : item.size);
    }
  }
  return { items, offsets, size };
}

/** The bytes of a section in the file. */
function contents(section: Section, addressOf: (target: Address) => number): Uint8Array {
  const bytes = new Uint8Array(section.size);
  const view = new DataView(bytes.buffer);
  for (const item of section.items) {
    const start = section.offsets.get(item.name) ?? 0;
    if (item.kind === "bytes") bytes.set(item.bytes, start);
    if (item.kind !== "words") continue;
    for (const [index, word] of item.items.entries()) {
      const value = typeof word === "number" ? word : addressOf(word);
      view.setBigUint64(start + 8 * index, BigInt.asUintN(64, BigInt(value)), true);
    }
  }
  return bytes;
}
