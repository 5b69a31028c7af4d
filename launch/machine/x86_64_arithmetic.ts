/** Arithmetic and comparisons on x86-64: in a slot itself where that is possible, else in rax. */
import { assertNever } from "../../spec/assert-never.js";
import { isSlot } from "./flow.js";
import type { Op, Value } from "./ir.js";
import { constantOf } from "./operand.js";
import { type Assembler, rax, rcx, rdx } from "./x86_64_assembler.js";
import { immediateOf, isByte, type Place } from "./x86_64_operand.js";

/** The /digit of the arithmetic group 0x81 and 0x83; the register forms are made from it. */
const group = { add: 0, or: 1, and: 4, sub: 5, cmp: 7 } as const;
/** The /digit of the shifts 0xc1 and 0xd3. */
const shifts = { shl: 4, shr: 5 } as const;
export interface Arithmetic {
  /** Gives the register that holds the result; null where it is in its slot. */
  alu(op: Extract<Op, { kind: "alu" }>): number | null;
  /** Sets the flags for a jump. */
  compare(a: Value, b: Value): void;
}

/** Appends to the assembler's code. */
export function arithmetic(asm: Assembler): Arithmetic {
  const { emit, immediate, memory, placeOf, load, holds, clobber } = asm;

  /** `register digit b`; a comparison changes only flags. */
  function combine(digit: number, b: Value): void {
    const known = immediateOf(b);
    if (known === 0 && digit === group.cmp)
      emit(0x48, 0x85, 0xc0); // test rax, rax
    else if (known !== null && isByte(known)) {
      emit(0x48, 0x83, 0xc0 | (digit << 3));
      immediate(known, 1);
    } else if (known !== null) {
      emit(0x48, (digit << 3) | 5);
      immediate(known, 4);
    } else if (isSlot(b)) memory(true, (digit << 3) | 3, rax, placeOf(b));
    else {
      load(rcx, b);
      emit(0x48, (digit << 3) | 3, 0xc0 | rcx);
    }
  }

  /** `[place] digit b` */
  function combineInPlace(digit: number, place: Place, b: Value): void {
    const known = immediateOf(b);
    if (known === null) {
      load(rax, b);
      memory(true, (digit << 3) | 1, rax, place);
      return;
    }
    const short = isByte(known);
    memory(true, short ? 0x83 : 0x81, digit, place);
    immediate(known, short ? 1 : 4);
  }

  function compare(a: Value, b: Value): void {
    if (isSlot(a) && !holds(rax, a)) combineInPlace(group.cmp, placeOf(a), b);
    else {
      load(rax, a);
      combine(group.cmp, b);
    }
  }

  function alu({ operator, to, a, b }: Extract<Op, { kind: "alu" }>): number | null {
    const inPlace = isSlot(a) && a.name === to.name;
    switch (operator) {
      case "add":
      case "sub":
      case "and":
      case "or":
        if (inPlace) {
          combineInPlace(group[operator], placeOf(to), b);
          return null;
        }
        if (operator === "sub" && a === 0) {
          load(rax, b);
          emit(0x48, 0xf7, 0xd8); // neg rax
          return rax;
        }
        load(rax, a);
        combine(group[operator], b);
        return rax;
      case "shl":
      case "shr": {
        const digit = shifts[operator];
        const count = constantOf(b, "x86_64");
        if (count !== null && inPlace) {
          memory(true, 0xc1, digit, placeOf(to));
          emit(Number(count));
          return null;
        }
        load(rax, a);
        if (count === null) load(rcx, b);
        emit(0x48, count === null ? 0xd3 : 0xc1, 0xc0 | (digit << 3));
        if (count !== null) emit(Number(count));
        return rax;
      }
      case "div":
      case "rem":
        load(rcx, b);
        load(rax, a);
        load(rdx, 0);
        emit(0x48, 0xf7, 0xf0 | rcx);
        clobber(rax, rdx);
        return operator === "div" ? rax : rdx;
      default:
        return assertNever(operator);
    }
  }

  return { alu, compare };
}
