/**
 * Single x86-64 instructions, as bytes. Source: Intel SDM volume 2. Only what the back end needs:
 * 64-bit operands in registers, memory at a base register plus displacement.
 */
import type { Encoded, Relocation } from "./encoder.js";
import { isSlot } from "./flow.js";
import type { Slot, Value } from "./ir.js";
import { type Piece, relax } from "./relax.js";

/** Registers by their numbers in an encoding. */
export const rax = 0;
export const rcx = 1;
export const rdx = 2;
export const rbx = 3;
export const rbp = 5;

/** How far into the slot area rbx points. */
export const slotBias = 128;

/** The lowest `bytes` bytes of a number in two's complement. */
export const littleEndian = (value: bigint, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
/** Whether the number is one of `bits` bits, with sign. */
export const fits = (value: bigint, bits: number): boolean => BigInt.asIntN(bits, value) === value;

/** The value as a signed 64-bit number where it is known now, else null. */
export function constantOf(value: Value): bigint | null {
  if (typeof value === "number") return BigInt.asIntN(64, BigInt(value));
  return value.kind === "constant" ? BigInt.asIntN(64, value.value) : null;
}

/** `opcode reg, [base + displacement]`; the base is one that needs no SIB byte. */
export function memory(
  wide: boolean,
  opcode: readonly number[],
  reg: number,
  base: number,
  disp: number,
) {
  const rex = (wide ? 0x48 : 0x40) | ((reg >> 3) << 2);
  const short = fits(BigInt(disp), 8);
  const mod = disp === 0 ? 0x00 : short ? 0x40 : 0x80;
  const displacement = disp === 0 ? [] : littleEndian(BigInt(disp), short ? 1 : 4);
  return [
    ...(rex === 0x40 ? [] : [rex]),
    ...opcode,
    mod | ((reg & 7) << 3) | base,
    ...displacement,
  ];
}

/** Machine code in the making. Registers are numbers 0 to 15, labels any strings. */
export interface Assembler {
  /** Appends instructions as they are. */
  emit(...bytes: number[]): void;
  /** `opcode register, [slot]`, or with the slot first, as the opcode has it; 64 bits. */
  slotOp(opcode: number, register: number, slot: Slot, ...immediate: number[]): void;
  /** Puts a value into a register; flags are clobbered. */
  load(register: number, value: Value): void;
  /** Puts an address into a register that is known only after layout. */
  loadAddress(register: number, target: Relocation["target"]): void;
  /** Jumps and calls to the label come here. */
  label(name: string): void;
  jump(to: string): void;
  /** Jcc with the condition code `code`. */
  jumpIf(code: number, to: string): void;
  call(to: string): void;
  /** Resolves all jumps. Throws where one has no label. */
  finish(): Encoded;
}

/** Begins an empty text; `slotOffsets` says where in the slot area each slot lies. */
export function assembler(slotOffsets: ReadonlyMap<string, number>): Assembler {
  const pieces: Piece[] = [];
  const pending: { piece: number; offset: number; target: Relocation["target"] }[] = [];

  /** The code that is being appended to; begins anew behind every label and jump. */
  const code = (): number[] => {
    const last = pieces[pieces.length - 1];
    if (last?.kind === "code") return last.bytes;
    const bytes: number[] = [];
    pieces.push({ kind: "code", bytes });
    return bytes;
  };
  const emit = (...bytes: number[]): void => void code().push(...bytes);
  const jump = (short: number | null, long: readonly number[], to: string): void =>
    void pieces.push({ kind: "jump", short, long, to });

  function slotOp(opcode: number, register: number, slot: Slot, ...immediate: number[]): void {
    const offset = slotOffsets.get(slot.name);
    if (offset === undefined) throw new Error(`slot ${slot.name} has no place`);
    emit(...memory(true, [opcode], register, rbx, offset - slotBias), ...immediate);
  }

  /** `mov r32, address`: all addresses are below 2^31. */
  function loadAddress(register: number, target: Relocation["target"]) {
    const rex = register > 7 ? [0x41] : [];
    const offset = code().length + rex.length + 1;
    pending.push({ piece: pieces.length - 1, offset, target });
    emit(...rex, 0xb8 | (register & 7), 0, 0, 0, 0);
  }

  function load(register: number, value: Value): void {
    const constant = constantOf(value);
    if (constant !== null) loadConstant(register, constant);
    else if (isSlot(value)) slotOp(0x8b, register, value);
    else if (typeof value === "object" && value.kind === "address") loadAddress(register, value);
  }

  function loadConstant(register: number, value: bigint) {
    const low = register & 7;
    const high = register > 7;
    if (value === 0n) emit(...(high ? [0x45] : []), 0x31, 0xc0 | (low << 3) | low);
    else if (value > 0n && value <= 0xffffffffn)
      emit(...(high ? [0x41] : []), 0xb8 | low, ...littleEndian(value, 4));
    else if (fits(value, 32)) emit(high ? 0x49 : 0x48, 0xc7, 0xc0 | low, ...littleEndian(value, 4));
    else emit(high ? 0x49 : 0x48, 0xb8 | low, ...littleEndian(value, 8));
  }

  function finish(): Encoded {
    const { text, starts } = relax(pieces);
    const relocations = pending.map(({ piece, offset, target }) => ({
      at: (starts[piece] ?? 0) + offset,
      target,
    }));
    return { text, relocations };
  }

  return {
    emit,
    slotOp,
    load,
    loadAddress,
    label: (name) => void pieces.push({ kind: "label", name }),
    jump: (to) => jump(0xeb, [0xe9], to),
    jumpIf: (code, to) => jump(0x70 | code, [0x0f, 0x80 | code], to),
    call: (to) => jump(null, [0xe8], to),
    finish,
  };
}
