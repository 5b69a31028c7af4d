/**
 * Single A64 instructions, as words. Source: Arm Architecture Reference Manual for A-profile, part C.
 * Only what the back end needs. It knows what registers hold, up to the next label or call, so that
 * a value that is in one is not loaded again.
 */
import type { Encoded, Relocation } from "./encoder.js";
import { isSlot } from "./flow.js";
import { landmarks, type Slot, type Value, type Width } from "./ir.js";
import { constantOf, isSame } from "./operand.js";

/** The first argument of a system call, and its result. */
export const x0 = 0;
/** Points at the slot area. */
const slotBase = 19;
/** As an operand 0, where an instruction does not take it for the stack pointer. */
export const xzr = 31;

/** Jumps whose condition leaves 19 bits for the distance: 1 MB forwards and backwards. */
const isConditional = (opcode: number): boolean => opcode !== b && opcode !== bl;
export const b = 0x14000000;
export const bl = 0x94000000;

/** Machine code in the making; registers are numbers 0 to 31. */
export interface Assembler {
  /** Appends an instruction as it is. */
  emit(word: number): void;
  /** A register that holds the value, to be read by the next instructions only. */
  use(value: Value): number;
  /** A register to write to. */
  take(): number;
  /** Puts a value into that register. */
  put(register: number, value: Value): void;
  /** `register` from or to memory at the register `base` plus an offset. */
  memory(
    kind: "load" | "store",
    width: Width,
    register: number,
    base: number,
    offset: number,
  ): void;
  /** The slot has the value that is in the register. */
  assign(slot: Slot, register: number): void;
  /** What this register holds is not known any more; without one, of none. */
  forget(register?: number): void;
  /** Jumps and calls by that name come here. */
  label(name: string): void;
  /** `opcode` with a distance of 0. */
  jump(opcode: number, to: string): void;
  /** Resolves all jumps; null where one does not reach its label, which can't be when they are `far`. */
  finish(): Encoded | null;
}

/**
 * Begins a text by pointing at the slot area; `slotOffsets` says where in it each slot lies. With
 * `far`, a jump on a condition is the opposite jump around one without.
 */
export function assembler(slotOffsets: ReadonlyMap<string, number>, far: boolean): Assembler {
  const code: number[] = [];
  const jumps: { readonly at: number; readonly opcode: number; readonly to: string }[] = [];
  const labels = new Map<string, number>();
  const relocations: Relocation[] = [];
  const contents = new Map<number, Value | bigint>();
  /** Registers for values in passing, the one whose use is longest ago first. */
  const pool = [9, 10, 11, 12, 13, 14, 15, 16, 17];

  const emit = (word: number): void => void code.push(word);
  const known = (value: Value) => constantOf(value, "aarch64") ?? value;

  function touch(register: number): void {
    const index = pool.indexOf(register);
    if (index >= 0) pool.push(...pool.splice(index, 1));
  }

  function take(): number {
    const register = pool[0] as number;
    touch(register);
    contents.delete(register);
    return register;
  }

  /** Where the value is; -1 where in no register. */
  function find(wanted: Value | bigint): number {
    if (wanted === 0) return xzr;
    for (const [register, held] of contents) if (isSame(held, wanted)) return register;
    return -1;
  }

  function use(value: Value): number {
    const found = find(known(value));
    if (found < 0) {
      const register = take();
      put(register, value);
      return register;
    }
    touch(found);
    return found;
  }

  function put(register: number, value: Value): void {
    const wanted = known(value);
    const found = find(wanted);
    if (found === register) return;
    if (found >= 0)
      emit(0xaa0003e0 | (found << 16) | register); // mov
    else if (typeof wanted !== "object") putConstant(register, BigInt.asUintN(64, BigInt(wanted)));
    else if (wanted.kind === "address") putAddress(register, wanted);
    else if (isSlot(wanted)) memory("load", 8, register, slotBase, offsetOf(wanted));
    contents.set(register, wanted);
  }

  /** `movz` or `movn` of one part of 16 bits, and `movk` of those that are still wrong then. */
  function putConstant(register: number, value: bigint): void {
    const parts = [0n, 16n, 32n, 48n].map((shift) => Number((value >> shift) & 0xffffn));
    const count = (wanted: number) => parts.filter((part) => part === wanted).length;
    const filler = count(0xffff) > count(0) ? 0xffff : 0;
    const first = Math.max(
      0,
      parts.findIndex((part) => part !== filler),
    );
    for (const [index, part] of parts.entries()) {
      const fields = (index << 21) | register;
      if (index === first)
        emit((filler === 0 ? 0xd2800000 : 0x92800000) | fields | ((part ^ filler) << 5));
      else if (part !== filler) emit(0xf2800000 | fields | (part << 5));
    }
  }

  /** `movz`, `movk`: all addresses are below 2^31. */
  function putAddress(register: number, target: Relocation["target"]): void {
    relocations.push({ at: 4 * code.length, target, relative: false });
    emit(0xd2800000 | register);
    emit(0xf2a00000 | register);
  }

  function offsetOf({ name }: Slot): number {
    const offset = slotOffsets.get(name);
    if (offset === undefined) throw new Error(`slot ${name} has no place`);
    return offset;
  }

  function memory(
    kind: "load" | "store",
    width: Width,
    register: number,
    base: number,
    offset: number,
  ): void {
    const size = Math.log2(width);
    const fields = (size << 30) | (kind === "load" ? 1 << 22 : 0) | (base << 5) | register;
    const scaled = offset / width;
    if (Number.isInteger(scaled) && scaled >= 0 && scaled < 4096)
      emit(0x39000000 | fields | (scaled << 10));
    else emit(0x38206800 | fields | (use(offset) << 16));
  }

  function assign(slot: Slot, register: number): void {
    memory("store", 8, register, slotBase, offsetOf(slot));
    for (const [other, held] of contents) if (isSame(held, slot)) contents.delete(other);
    contents.set(register, slot);
  }

  function jump(opcode: number, to: string): void {
    const around = far && isConditional(opcode);
    // The lowest bit of a condition, and bit 24 of cbz and cbnz, make it its opposite.
    if (around) emit((opcode ^ (opcode >>> 24 === 0x54 ? 1 : 1 << 24)) | (2 << 5));
    jumps.push({ at: code.length, opcode: around ? b : opcode, to });
    emit(0);
    if (opcode === bl) contents.clear();
  }

  function finish(): Encoded | null {
    const text = new Uint8Array(4 * code.length);
    const view = new DataView(text.buffer);
    for (const [index, word] of code.entries()) view.setUint32(4 * index, word, true);
    for (const { at, opcode, to } of jumps) {
      const target = labels.get(to);
      if (target === undefined) throw new Error(`a jump leads to no label ${to}`);
      const distance = target - at;
      const bits = isConditional(opcode) ? 19 : 26;
      if (distance < -(2 ** (bits - 1)) || distance >= 2 ** (bits - 1)) return null;
      const field = distance & (2 ** bits - 1);
      view.setUint32(4 * at, opcode | (bits === 19 ? field << 5 : field), true);
    }
    const resident = labels.get(landmarks.resident);
    return { text, relocations, resident: resident === undefined ? null : 4 * resident };
  }

  putAddress(slotBase, { kind: "slots", offset: 0 });
  return {
    emit,
    use,
    take,
    put,
    memory,
    assign,
    forget: (register) => {
      if (register === undefined) contents.clear();
      else contents.delete(register);
    },
    label: (name) => {
      labels.set(name, code.length);
      contents.clear();
    },
    jump,
    finish,
  };
}
