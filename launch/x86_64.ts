/**
 * The x86-64 back end. System calls as in syscall(2): number in rax, arguments in rdi rsi rdx r10 r8
 * r9; rcx and r11 are clobbered.
 *
 * rbx points 128 bytes into the slot area, so that the first 32 slots are in reach of an 8-bit
 * displacement; rbp keeps the stack pointer of the entry. Neither is ever written again: the kernel
 * preserves both, also across clone. Everything else is dead between two ops.
 */
import { syscallNumbers } from "../spec/linux.js";
import { assertNever } from "../spec/step.js";
import type { Encoded, Encoder } from "./encoder.js";
import { isSlot } from "./flow.js";
import type { Condition, Op, Slot, Value } from "./ir.js";
import {
  assembler,
  constantOf,
  fits,
  littleEndian,
  memory,
  rax,
  rbp,
  rbx,
  rcx,
  rdx,
  slotBias,
} from "./x86_64_assembler.js";

const argumentRegisters = [7, 6, 2, 10, 8, 9] as const;

/** The /digit of the arithmetic group 0x81 and 0x83; the register forms are made from it. */
const group = { add: 0, or: 1, and: 4, sub: 5, cmp: 7 } as const;
/** The condition codes of Jcc, signed comparisons. */
const conditionCodes = {
  eq: 0x4,
  ne: 0x5,
  lt: 0xc,
  ge: 0xd,
  le: 0xe,
  gt: 0xf,
} as const satisfies Record<Condition, number>;
const aboveOrEqual = 0x3;

function encode(ops: readonly Op[], slotOffsets: ReadonlyMap<string, number>): Encoded {
  const asm = assembler(slotOffsets);
  const { emit, slotOp, load, label, jump, jumpIf, call } = asm;
  /** Where to go on error; each such label gets one stub at the end, which stores errno. */
  const errorTargets = new Set<string>();

  /** `to` := value. */
  function move(to: Slot, value: Value) {
    const constant = constantOf(value);
    if (constant !== null && fits(constant, 32)) {
      slotOp(0xc7, 0, to, ...littleEndian(constant, 4));
    } else {
      load(rax, value);
      slotOp(0x89, rax, to);
    }
  }

  /** `a digit b`, left in rax, or in the slot itself; true where it is in the slot. */
  function arithmetic(digit: number, a: Value, b: Value, inPlace: boolean): boolean {
    const constant = constantOf(b);
    const short = constant !== null && fits(constant, 8);
    if (constant !== null && fits(constant, 32)) {
      const immediate = littleEndian(constant, short ? 1 : 4);
      if (inPlace && isSlot(a)) {
        slotOp(short ? 0x83 : 0x81, digit, a, ...immediate);
        return true;
      }
      load(rax, a);
      if (short) emit(0x48, 0x83, 0xc0 | (digit << 3), ...immediate);
      else emit(0x48, (digit << 3) | 5, ...immediate);
      return false;
    }
    if (inPlace && isSlot(a)) {
      load(rax, b);
      slotOp((digit << 3) | 1, rax, a);
      return true;
    }
    load(rax, a);
    if (isSlot(b)) slotOp((digit << 3) | 3, rax, b);
    else {
      load(rcx, b);
      emit(0x48, (digit << 3) | 3, 0xc0 | rcx);
    }
    return false;
  }

  function alu({ operator, to, a, b }: Extract<Op, { kind: "alu" }>) {
    switch (operator) {
      case "add":
      case "sub":
      case "and":
      case "or": {
        const inPlace = isSlot(a) && a.name === to.name;
        if (arithmetic(group[operator], a, b, inPlace)) return;
        break;
      }
      case "shl":
      case "shr": {
        const digit = operator === "shl" ? 4 : 5;
        const count = constantOf(b);
        load(rax, a);
        if (count === null) {
          load(rcx, b);
          emit(0x48, 0xd3, 0xc0 | (digit << 3));
        } else emit(0x48, 0xc1, 0xc0 | (digit << 3), Number(count));
        break;
      }
      case "div":
      case "rem":
        load(rcx, b);
        load(rax, a);
        load(rdx, 0);
        emit(0x48, 0xf7, 0xf0 | rcx);
        slotOp(0x89, operator === "div" ? rax : rdx, to);
        return;
      default:
        assertNever(operator);
    }
    slotOp(0x89, rax, to);
  }

  function store({ width, base, offset, from }: Extract<Op, { kind: "store" }>) {
    const constant = constantOf(from);
    load(rcx, base);
    if (constant !== null && (width < 8 || fits(constant, 32))) {
      const opcode = width === 1 ? 0xc6 : 0xc7;
      emit(...memory(width === 8, [opcode], 0, rcx, offset));
      emit(...littleEndian(constant, Math.min(width, 4)));
    } else {
      load(rax, from);
      emit(...memory(width === 8, [width === 1 ? 0x88 : 0x89], rax, rcx, offset));
    }
  }

  function syscall(op: Extract<Op, { kind: "syscall" }>) {
    for (const [index, value] of op.arguments.entries()) {
      const register = argumentRegisters[index];
      if (register === undefined) throw new Error(`${op.name} has more than six arguments`);
      load(register, value);
    }
    const number = syscallNumbers.x86_64[op.name];
    if (number === undefined) throw new Error(`no system call is named ${op.name}`);
    load(rax, number);
    emit(0x0f, 0x05);
    if (op.onError.kind === "goto") {
      emit(0x48, 0x3d, ...littleEndian(-4095n, 4));
      errorTargets.add(op.onError.label);
      jumpIf(aboveOrEqual, `error ${op.onError.label}`);
    }
    if (op.result !== null) slotOp(0x89, rax, op.result);
  }

  function one(op: Op) {
    switch (op.kind) {
      case "sp":
        return slotOp(0x89, rbp, op.to);
      case "mov":
        return move(op.to, op.from);
      case "alu":
        return alu(op);
      case "load": {
        load(rcx, op.base);
        const opcode = op.width === 1 ? [0x0f, 0xb6] : [0x8b];
        emit(...memory(op.width === 8, opcode, rax, rcx, op.offset));
        return slotOp(0x89, rax, op.to);
      }
      case "store":
        return store(op);
      case "label":
        return label(`label ${op.name}`);
      case "jump":
        return jump(`label ${op.to}`);
      case "branch":
        arithmetic(group.cmp, op.a, op.b, true);
        return jumpIf(conditionCodes[op.condition], `label ${op.to}`);
      case "call":
        return call(`label ${op.to}`);
      case "return":
        return emit(0xc3);
      case "syscall":
        return syscall(op);
      case "comment":
        return;
      default:
        return assertNever(op);
    }
  }

  asm.loadAddress(rbx, { kind: "slots", offset: slotBias });
  emit(0x48, 0x89, 0xe5); // mov rbp, rsp
  for (const op of ops) one(op);
  for (const target of errorTargets) {
    label(`error ${target}`);
    emit(0x48, 0xf7, 0xd8); // neg rax
    slotOp(0x89, rax, { kind: "slot", name: "errno" });
    jump(`label ${target}`);
  }
  return asm.finish();
}

/** The encoder for x86-64. */
export const x86_64: Encoder = {
  machine: 62, // EM_X86_64
  encode,
  patch: (text, at, address) => text.setUint32(at, address, true),
};
