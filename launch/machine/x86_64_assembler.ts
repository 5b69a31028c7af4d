/**
 * Single x86-64 instructions, as bytes. Source: Intel SDM volume 2. Only what the back end needs:
 * operands in registers, and memory at a base register plus displacement.
 */
import type { Encoded, Relocation } from "./encoder.js";
import { isSlot } from "./flow.js";
import type { Slot, Value } from "./ir.js";
import { constantOf, isSame } from "./operand.js";
import { call, type Jump, type Mark, relax } from "./relax.js";
import { type Immediate, isByte, type Place } from "./x86_64_operand.js";

/** Registers by their numbers in an encoding. */
export const rax = 0;
export const rcx = 1;
export const rdx = 2;
const rbx = 3;
export const rbp = 5;
const registerCount = 16;
/** With the last bytes of the slot area out of reach of the first, there are more. */
export const slotBases = [rbx, 14, 15] as const;

/** How far into its part of the slot area a base points. */
export const slotBias = 128;
/** How much of the slot area an 8-bit displacement from one base reaches, in bytes. */
export const slotReach = 256;

/** Machine code in the making. Registers are numbers 0 to 15, labels those that `newLabel` gave. */
export interface Assembler {
  /** Appends instructions as they are. */
  emit(...bytes: number[]): void;
  /** Appends an immediate operand. */
  immediate(value: Immediate, bytes: 1 | 3 | 4): void;
  /** `opcode register, [place]`, or with the place first, as the opcode has it; `wide` for 64 bits. */
  memory(wide: boolean, opcode: number, register: number, place: Place): void;
  placeOf(slot: Slot): Place;
  /** Puts the address of a place in the slot area into a register. */
  loadSlotBase(register: number, offset: number): void;
  /** Puts a value into a register, unless it is there; flags are clobbered. */
  load(register: number, value: Value): void;
  /** Whether the register is known to hold the value. */
  holds(register: number, value: Value): boolean;
  /** From now on it does. */
  hold(register: number, value: Value): void;
  /** The slot has a new value, which is in memory already or, where given, in a register. */
  assign(slot: Slot, register: number | null): void;
  /** What these registers hold is not known any more; without any, of none. */
  clobber(...registers: readonly number[]): void;
  newLabel(): number;
  /** Jumps and calls to the label come here. */
  label(label: number): void;
  /** `opcode` is that of the short form. */
  jump(opcode: number, to: number): void;
  /** Resolves all jumps. The label is one whose place in the text is wanted. */
  finish(wanted: number | undefined): Encoded;
}

/** Begins an empty text; `slotOffsets` says where in the slot area each slot lies. */
export function assembler(slotOffsets: ReadonlyMap<string, number>): Assembler {
  /** The lowest eight bits of each number count. */
  const code: number[] = [];
  const jumps: Jump[] = [];
  const labels: Mark[] = [];
  const pending: (Mark & Omit<Relocation, "at">)[] = [];
  /** What registers are known to hold, by their numbers. */
  const contents: (Value | bigint | undefined)[] = new Array(registerCount).fill(undefined);

  const emit = (...bytes: number[]): void => void code.push(...bytes);
  const byte = (value: number): void => void code.push(value);
  const number = (value: number, bytes: number): void => {
    for (let shift = 0; shift < 8 * bytes; shift += 8) code.push(value >> shift);
  };
  const word = (value: number): void => number(value, 4);

  function relocation(target: Relocation["target"], relative: boolean, bytes = 4): void {
    pending.push({ at: code.length, jumps: jumps.length, target, relative });
    number(0, bytes);
  }

  function immediate(value: Immediate, bytes: 1 | 3 | 4): void {
    if (typeof value === "object") relocation(value, false, bytes);
    else number(value, bytes);
  }

  /** A base needs no SIB byte, and is not rbp. */
  function memory(wide: boolean, opcode: number, register: number, place: Place): void {
    const base = "base" in place ? place.base : rbx;
    const rex = 0x40 | (wide ? 8 : 0) | ((register >> 3) << 2) | (base >> 3);
    if (rex !== 0x40) byte(rex);
    if (opcode > 0xff) byte(opcode >> 8);
    byte(opcode);
    const fields = ((register & 7) << 3) | (base & 7);
    if (!("base" in place)) {
      byte(0x80 | fields);
      relocation({ ...place, offset: place.offset - slotBias }, true);
    } else if (place.offset === 0) byte(fields);
    else if (isByte(place.offset)) {
      byte(0x40 | fields);
      byte(place.offset);
    } else {
      byte(0x80 | fields);
      word(place.offset);
    }
  }

  function placeOf({ name }: Slot): Place {
    const offset = slotOffsets.get(name);
    if (offset === undefined) throw new Error(`slot ${name} has no place`);
    const part = Math.min(Math.floor(offset / slotReach), slotBases.length - 1);
    return { base: slotBases[part] as number, offset: offset - part * slotReach - slotBias };
  }

  const known = (value: Value) => constantOf(value, "x86_64") ?? value;
  const holds = (register: number, value: Value): boolean => {
    const held = contents[register];
    return held !== undefined && isSame(held, known(value));
  };
  const hold = (register: number, value: Value): void => {
    contents[register] = known(value);
  };

  function load(register: number, value: Value): void {
    if (holds(register, value)) return;
    const wanted = known(value);
    if (typeof wanted !== "object") loadConstant(register, wanted);
    else if (wanted.kind === "address") loadAddress(register, wanted);
    else if (isSlot(wanted)) {
      if (holds(rax, wanted)) emit(register > 7 ? 0x49 : 0x48, 0x89, 0xc0 | (register & 7));
      else memory(true, 0x8b, register, placeOf(wanted));
    }
    hold(register, value);
  }

  /** `mov r32, address`: all addresses are below 2^31. */
  function loadAddress(register: number, target: Relocation["target"]): void {
    if (register > 7) byte(0x41);
    byte(0xb8 | (register & 7));
    relocation(target, false);
  }

  function loadConstant(register: number, value: number | bigint): void {
    const low = register & 7;
    const high = register > 7;
    if (value === 0) {
      if (high) byte(0x45);
      emit(0x31, 0xc0 | (low << 3) | low);
    } else if (value >= -128 && value <= 127) {
      emit(0x6a, Number(value)); // push
      if (high) byte(0x41);
      byte(0x58 | low); // pop
    } else if (value > 0 && value <= 0xffffffff) {
      if (high) byte(0x41);
      byte(0xb8 | low);
      word(Number(value));
    } else if (value < 0 && value >= -0x80000000) {
      emit(high ? 0x49 : 0x48, 0xc7, 0xc0 | low);
      word(Number(value));
    } else {
      const whole = BigInt(value);
      emit(high ? 0x49 : 0x48, 0xb8 | low);
      word(Number(BigInt.asIntN(32, whole)));
      word(Number(BigInt.asIntN(32, whole >> 32n)));
    }
  }

  function assign(slot: Slot, register: number | null): void {
    for (let other = 0; other < registerCount; other += 1) {
      const held = contents[other];
      if (held !== undefined && isSame(held, slot)) contents[other] = undefined;
    }
    if (register === null) return;
    memory(true, 0x89, register, placeOf(slot));
    contents[register] = slot;
  }

  function jump(opcode: number, to: number): void {
    jumps.push({ at: code.length, opcode, to });
    emit(opcode, 0);
    if (opcode === call) emit(0, 0, 0);
  }

  function finish(wanted: number | undefined): Encoded {
    if (labels.some(({ at }) => at < 0)) throw new Error("a jump leads to no label");
    const { text, find } = relax(new Uint8Array(code), jumps, labels);
    return {
      text,
      relocations: pending.map((mark) => ({
        at: find(mark),
        target: mark.target,
        relative: mark.relative,
      })),
      resident: wanted === undefined ? null : find(labels[wanted] as Mark),
    };
  }

  return {
    emit,
    immediate,
    memory,
    placeOf,
    loadSlotBase: (register, offset) => loadAddress(register, { kind: "slots", offset }),
    load,
    holds,
    hold,
    assign,
    clobber: (...registers) => {
      if (registers.length === 0) contents.fill(undefined);
      for (const register of registers) contents[register] = undefined;
    },
    newLabel: () => labels.push({ at: -1, jumps: 0 }) - 1,
    label: (label) => {
      labels[label] = { at: code.length, jumps: jumps.length };
      contents.fill(undefined);
    },
    jump,
    finish,
  };
}
