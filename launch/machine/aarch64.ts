/**
 * The arm64 back end. System calls as in syscall(2): number in x8, arguments in x0 to x5, the result
 * in x0; the kernel preserves every other register, also across clone.
 *
 * x19 points at the slot area, and x20 keeps the stack pointer of the entry; neither is ever written
 * again. Subroutines keep the address that they return to, which is in x30, on a stack below the slots,
 * at x21: the stack pointer itself would have to be a multiple of 16.
 */
import { assertNever } from "../../spec/assert-never.js";
import { syscallNumbers } from "../../spec/linux.js";
import { type Assembler, assembler, b, bl, x0, xzr } from "./aarch64_assembler.js";
import type { Encoded, Encoder } from "./encoder.js";
import { errno, goesOn, targetOf, writeOf } from "./flow.js";
import type { Condition, Op, Value } from "./ir.js";
import { constantOf } from "./operand.js";

const entryStack = 20;
const syscallNumber = 8;

/** Condition codes of b.cond, signed comparisons. */
const conditions = {
  eq: 0,
  ne: 1,
  ge: 10,
  lt: 11,
  gt: 12,
  le: 13,
} as const satisfies Record<Condition, number>;
const negative = 4;
const jumpIf = (condition: number): number => 0x54000000 | condition;
const jumpIfZero = 0xb4000000; // cbz
const jumpIfNotZero = 0xb5000000; // cbnz

/** `operation to, a, b` with registers. */
const registerForms = {
  add: 0x8b000000,
  sub: 0xcb000000,
  and: 0x8a000000,
  or: 0xaa000000,
  shl: 0x9ac02000,
  shr: 0x9ac02400,
  div: 0x9ac00800,
  rem: 0x9ac00800,
} as const satisfies Record<Extract<Op, { kind: "alu" }>["operator"], number>;
const add = 0x91000000;
const sub = 0xd1000000;
const setFlags = 0x20000000;

/** Where errors enter a label, and where calls do; no other label has such a name. */
const errorsTo = (label: string): string => `${label}\0error`;
const callsTo = (label: string): string => `${label}\0call`;

function encode(ops: readonly Op[], slotOffsets: ReadonlyMap<string, number>): Encoded {
  const encoded =
    encodeWith(assembler(slotOffsets, false), ops) ?? encodeWith(assembler(slotOffsets, true), ops);
  if (encoded === null) throw new Error(`a program of ${ops.length} operations is too large`);
  return encoded;
}

/** Null where a jump does not reach its label. */
function encodeWith(asm: Assembler, ops: readonly Op[]): Encoded | null {
  const { emit, use, take } = asm;
  const entrances = new Set(
    ops.flatMap((op) => {
      const to = targetOf(op);
      if (to === null) return [];
      return op.kind === "call" ? [callsTo(to)] : op.kind === "syscall" ? [errorsTo(to)] : [];
    }),
  );

  /** As a base, register 31 is the stack pointer. */
  function baseOf(value: Value): number {
    const register = use(value);
    if (register !== xzr) return register;
    const zero = take();
    asm.put(zero, 0);
    return zero;
  }

  /** `to := a + b` or `a - b`, by an immediate where one does; register 31 is the stack pointer there. */
  function sum(isSub: boolean, to: number, a: Value, b: Value, flags = 0): void {
    const left = use(a);
    const count = constantOf(b, "aarch64");
    const isSmall = typeof count === "number" && Math.abs(count) < 4096;
    if (isSmall && left !== xzr) {
      const form = isSub === count < 0 ? add : sub;
      emit(form | flags | (Math.abs(count) << 10) | (left << 5) | to);
    } else emit(registerForms[isSub ? "sub" : "add"] | flags | (use(b) << 16) | (left << 5) | to);
  }

  function alu({ operator, a, b }: Extract<Op, { kind: "alu" }>): number {
    const count = constantOf(b, "aarch64");
    if (operator === "add" || operator === "sub") {
      const to = take();
      sum(operator === "sub", to, a, b);
      return to;
    }
    const left = use(a);
    if (typeof count === "number" && (operator === "shl" || operator === "shr")) {
      const by = count & 63;
      const [rotate, last] = operator === "shl" ? [-by & 63, 63 - by] : [by, 63];
      const to = take();
      emit(0xd3400000 | (rotate << 16) | (last << 10) | (left << 5) | to); // ubfm
      return to;
    }
    const right = use(b);
    const to = take();
    emit(registerForms[operator] | (right << 16) | (left << 5) | to);
    // msub: what is left of the dividend
    if (operator === "rem") emit(0x9b008000 | (right << 16) | (left << 10) | (to << 5) | to);
    return to;
  }

  function branch({ condition, a, b, to }: Extract<Op, { kind: "branch" }>): void {
    const isEquality = condition === "eq" || condition === "ne";
    if (isEquality && constantOf(b, "aarch64") === 0) {
      asm.jump((condition === "eq" ? jumpIfZero : jumpIfNotZero) | use(a), to);
      return;
    }
    sum(true, xzr, a, b, setFlags);
    asm.jump(jumpIf(conditions[condition]), to);
  }

  function syscall(op: Extract<Op, { kind: "syscall" }>): void {
    if (op.arguments.length > 6) throw new Error(`${op.name} has more than six arguments`);
    for (const [register, value] of op.arguments.entries()) asm.put(register, value);
    const number = syscallNumbers.aarch64[op.name];
    if (number === undefined) throw new Error(`no system call is named ${op.name}`);
    asm.put(syscallNumber, number);
    emit(0xd4000001); // svc
    asm.forget(x0);
    // A child that shares the memory may have changed slots.
    if (op.name === "clone" || op.name === "clone3") asm.forget();
    // A seccomp filter may refuse even exit_group(2): the process is killed by SIGILL then.
    if (op.onError.kind === "never") emit(0); // udf
    if (op.onError.kind !== "goto") return;
    // What succeeds is not negative: addresses of user space are below 2^63.
    emit(0xea00001f); // tst x0, x0
    asm.jump(jumpIf(negative), errorsTo(op.onError.label));
  }

  /** A label has entrances of their own for errors, where errno is stored, and for calls. */
  function label(name: string, fallsInto: boolean): void {
    const [errors, calls] = [errorsTo(name), callsTo(name)].map((entrance) =>
      entrances.has(entrance),
    );
    if (fallsInto && (errors || calls)) asm.jump(b, name);
    if (errors) {
      asm.label(errorsTo(name));
      emit(0xcb0003e0); // neg x0, x0
      asm.assign(errno, x0);
      if (calls) asm.jump(b, name);
    }
    if (calls) {
      asm.label(callsTo(name));
      emit(0xf81f8ebe); // str x30, [x21, #-8]!
    }
    asm.label(name);
  }

  /** The register that holds what the op writes; null where it writes nothing. */
  function one(op: Op, isReached: boolean): number | null {
    switch (op.kind) {
      case "sp":
        return entryStack;
      case "mov":
        return use(op.from);
      case "alu":
        return alu(op);
      case "load": {
        const base = baseOf(op.base);
        const to = take();
        asm.memory("load", op.width, to, base, op.offset);
        return to;
      }
      case "store":
        asm.memory("store", op.width, use(op.from), baseOf(op.base), op.offset);
        return null;
      case "label":
        label(op.name, isReached);
        return null;
      case "jump":
        asm.jump(b, op.to);
        return null;
      case "branch":
        branch(op);
        return null;
      case "call":
        asm.jump(bl, callsTo(op.to));
        return null;
      case "return":
        emit(0xf84086be); // ldr x30, [x21], #8
        emit(0xd65f03c0); // ret
        return null;
      case "syscall":
        syscall(op);
        return x0;
      case "comment":
        return null;
      default:
        return assertNever(op);
    }
  }

  emit(0x910003e0 | entryStack); // mov x20, sp
  emit(0xaa1303f5); // mov x21, x19
  let isReached = true;
  for (const op of ops) {
    const register = one(op, isReached);
    const slot = writeOf(op);
    if (slot !== null && register !== null) asm.assign(slot, register);
    if (op.kind !== "comment") isReached = goesOn(op);
  }
  return asm.finish();
}

/** The encoder for arm64. */
export const aarch64: Encoder = {
  machine: 183, // EM_AARCH64
  instructionBytes: 4,
  pageBytes: 65536,
  encode,
  patch: (text, at, value) => {
    for (const [index, part] of [value & 0xffff, value >>> 16].entries()) {
      const place = at + 4 * index;
      text.setUint32(place, text.getUint32(place, true) | (part << 5), true);
    }
  },
};
