/**
 * The x86-64 back end. System calls as in syscall(2): number in rax, arguments in rdi rsi rdx r10 r8
 * r9; rax, rcx and r11 are clobbered, every other register is preserved.
 *
 * rbx points 128 bytes into the slot area, so that the first 32 slots are in reach of an 8-bit
 * displacement; r14 and r15 do the same for the next 32 each. rbp keeps the stack pointer of the
 * entry. None is ever written again: the kernel preserves them, also across clone. rsp begins right
 * below the slots. What the other registers hold is known, and made use of, up to the next label or
 * call.
 */
import { assertNever } from "../../spec/assert-never.js";
import { syscallNumbers } from "../../spec/linux.js";
import type { Encoded, Encoder } from "./encoder.js";
import { errno, goesOn, isSlot, writeOf } from "./flow.js";
import { type Condition, landmarks, type Op, type Value, type Width } from "./ir.js";
import { constantOf } from "./operand.js";
import { call, jmp } from "./relax.js";
import { arithmetic } from "./x86_64_arithmetic.js";
import { assembler, rax, rbp, rcx, slotBases, slotBias, slotReach } from "./x86_64_assembler.js";
import { argumentRegisters, calls, jumpIfNegative, wideResults } from "./x86_64_calls.js";
import { immediateOf, isByte, type Place } from "./x86_64_operand.js";

/** The opcodes of Jcc, signed comparisons. */
const jumps = {
  eq: 0x74,
  ne: 0x75,
  lt: 0x7c,
  ge: 0x7d,
  le: 0x7e,
  gt: 0x7f,
} as const satisfies Record<Condition, number>;

function encode(ops: readonly Op[], slotOffsets: ReadonlyMap<string, number>): Encoded {
  const asm = assembler(slotOffsets);
  const { emit, immediate, memory, placeOf, load, holds, clobber } = asm;
  const { alu, compare } = arithmetic(asm);
  /** For each label: where control comes from elsewhere, and where errors come, if any do. */
  const labels = new Map<string, number>();
  const errors = new Map<string, number>();
  const labelIn = (names: Map<string, number>, name: string): number => {
    const label = names.get(name) ?? asm.newLabel();
    names.set(name, label);
    return label;
  };
  const goto = (opcode: number, to: string): void => asm.jump(opcode, labelIn(labels, to));

  /** [place] := value, of so many bytes. */
  function put(place: Place, width: Width, value: Value): void {
    const known = width === 1 ? null : immediateOf(value);
    const constant = constantOf(value, "x86_64");
    if (holds(rax, value)) memory(width === 8, width === 1 ? 0x88 : 0x89, rax, place);
    else if (width === 8 && known !== null && isByte(known)) {
      emit(0x6a); // push
      immediate(known, 1);
      memory(false, 0x8f, 0, place); // pop
    } else if (known !== null) {
      memory(width === 8, 0xc7, 0, place);
      immediate(known, 4);
    } else if (constant !== null && width < 8) {
      memory(false, width === 1 ? 0xc6 : 0xc7, 0, place);
      immediate(Number(BigInt.asIntN(32, BigInt(constant))), width === 1 ? 1 : 4);
    } else if (width === 8 && isSlot(value)) {
      memory(false, 0xff, 6, placeOf(value)); // push
      memory(false, 0x8f, 0, place); // pop
    } else {
      load(rax, value);
      memory(width === 8, width === 1 ? 0x88 : 0x89, rax, place);
    }
  }

  /** Memory at a value plus an offset. */
  function placeAt(base: Value, offset: number): Place {
    if (typeof base === "object" && base.kind === "address") {
      return { ...base, offset: base.offset + offset };
    }
    load(rcx, base);
    return { base: rcx, offset };
  }

  function syscall(op: Extract<Op, { kind: "syscall" }>): void {
    for (let index = 0; index < op.arguments.length; index += 1) {
      const register = argumentRegisters[index];
      if (register === undefined) throw new Error(`${op.name} has more than six arguments`);
      load(register, op.arguments[index] as Value);
    }
    const number = syscallNumbers.x86_64[op.name];
    if (number === undefined) throw new Error(`no system call is named ${op.name}`);
    load(rax, number);
    emit(0x0f, 0x05);
    clobber(rax, rcx);
    // A seccomp filter may refuse even exit_group(2): the process is killed by SIGILL then.
    if (op.onError.kind === "never") emit(0x0f, 0x0b); // ud2
    if (op.onError.kind !== "goto") return;
    // What succeeds is not negative: addresses of user space are below 2^63.
    if (wideResults.has(op.name)) emit(0x48);
    emit(0x85, 0xc0); // test eax, eax; with the prefix rax, rax
    asm.jump(jumpIfNegative, labelIn(errors, op.onError.label));
  }

  /** A label that errors go to has an entrance for them, which stores errno. */
  function label(name: string, fallsInto: boolean): void {
    const error = errors.get(name);
    const label = labelIn(labels, name);
    if (error !== undefined) {
      if (fallsInto) asm.jump(jmp, label);
      asm.label(error);
      emit(0x48, 0xf7, 0xd8); // neg rax
      asm.assign(errno, rax);
    }
    asm.label(label);
  }

  /** The register that holds what the op writes; null where that is in its slot. */
  function one(op: Op, isReached: boolean): number | null {
    switch (op.kind) {
      case "sp":
        return rbp;
      case "mov":
        put(placeOf(op.to), 8, op.from);
        return null;
      case "alu":
        return alu(op);
      case "load":
        memory(op.width === 8, op.width === 1 ? 0x0fb6 : 0x8b, rax, placeAt(op.base, op.offset));
        return rax;
      case "store":
        put(placeAt(op.base, op.offset), op.width, op.from);
        return null;
      case "label":
        label(op.name, isReached);
        return null;
      case "jump":
        goto(jmp, op.to);
        return null;
      case "branch":
        compare(op.a, op.b);
        goto(jumps[op.condition], op.to);
        return null;
      case "call":
        goto(call, op.to);
        clobber();
        return null;
      case "return":
        emit(0xc3);
        return null;
      case "syscall":
        syscall(op);
        return rax;
      case "comment":
        return null;
      default:
        return assertNever(op);
    }
  }

  for (const op of ops) {
    if (op.kind === "syscall" && op.onError.kind === "goto") labelIn(errors, op.onError.label);
  }
  const last = Math.max(0, ...slotOffsets.values());
  for (const [part, base] of slotBases.entries()) {
    if (last >= part * slotReach) asm.loadSlotBase(base, part * slotReach + slotBias);
  }
  emit(0x48, 0x89, 0xe5); // mov rbp, rsp
  emit(0x48, 0x8d, 0x63, -slotBias); // lea rsp, [rbx - slotBias]
  const rows = calls(asm, ops, slotOffsets);
  let isReached = true;
  for (let index = 0; index < ops.length; ) {
    const count = rows.run(index);
    index += count;
    if (count > 0) continue;
    const op = ops[index] as Op;
    const register = one(op, isReached);
    const slot = writeOf(op);
    if (slot !== null) asm.assign(slot, register);
    if (op.kind !== "comment") isReached = goesOn(op);
    index += 1;
  }
  rows.walker((label) => labelIn(errors, label));
  return asm.finish(labels.get(landmarks.resident));
}

/** The encoder for x86-64. */
export const x86_64: Encoder = {
  machine: 62, // EM_X86_64
  instructionBytes: 1,
  pageBytes: 4096,
  encode,
  // Added to zeros: of an address in three bytes the fourth belongs to what follows.
  patch: (text, at, value) => text.setInt32(at, text.getInt32(at, true) + value, true),
};
