/**
 * System calls of x86-64 as data. As code a call takes 23 bytes with its arguments and the way to its
 * error; as a row of a table it takes nine, and what walks the rows is there once. A run of calls is a
 * `call` of the walker with the rows right behind it, where the return address points; control goes on
 * behind the last of them.
 *
 * A row begins with three bytes, little-endian. From the lowest bit on: two bits for each of six
 * arguments, how it is given (`forms`); nine for the number of the call, or `assignment`; three flags. Then
 * come the arguments that are not in their registers already, and the number of the result's slot.
 */
import { syscallNumbers } from "../../spec/linux.js";
import { isSlot } from "./flow.js";
import type { Op, Slot, Value } from "./ir.js";
import { constantOf } from "./operand.js";
import { call, jmp } from "./relax.js";
import { type Assembler, rax, rcx, slotBias } from "./x86_64_assembler.js";
import { type Immediate, immediateOf, isByte } from "./x86_64_operand.js";

type Syscall = Extract<Op, { kind: "syscall" }>;
type Row = Syscall | Extract<Op, { kind: "mov" }>;

export const argumentRegisters = [7, 6, 2, 10, 8, 9] as const;
/** System calls whose result needs more than the 31 bits of an int. */
export const wideResults: ReadonlySet<string> = new Set(["mmap", "lseek"]);

/** Nothing, the argument being in its register; a byte with sign; the number of a slot, a byte; three bytes without sign. */
const forms = { kept: 0b00, byte: 0b01, slot: 0b10, wide: 0b11 } as const;
type Form = keyof typeof forms;
const bytesOf = { kept: 0, byte: 1, slot: 1, wide: 3 } as const satisfies Record<Form, number>;
/** No system call: the slot of the result gets the byte that stands before its number. */
const assignment = 0x1ff;
const numberShift = 12;
const canFail = 1 << 21;
const hasResult = 1 << 22;
const isLast = 1 << 23;

const jumpIfCarry = 0x72;
const jumpUnlessCarry = 0x73;
const jumpIfZero = 0x74;
const jumpUnlessZero = 0x75;
export const jumpIfNegative = 0x78;

/** They do not come back, or in two processes that may share the stack. */
const ownWays: readonly string[] = ["clone", "clone3", "execve", "execveat", "exit_group"];
/** Fewer are not worth the walker: calls in all, and those whose errors go to the same label. */
const fewest = { calls: 24, errors: 3 };

export interface Calls {
  /** Appends the ops from there on that can be rows, and tells how many these are: 0 where code is smaller. */
  run(from: number): number;
  /** Appends what walks the rows, behind all code; `errorsOf` gives the label where errors enter another one. */
  walker(errorsOf: (label: string) => number): void;
}

/** Appends to the assembler's code; `slotOffsets` says where in the slot area each slot lies. */
export function calls(
  asm: Assembler,
  ops: readonly Op[],
  slotOffsets: ReadonlyMap<string, number>,
): Calls {
  const { emit } = asm;
  const slotNumber = ({ name }: Slot): number => (slotOffsets.get(name) ?? Number.NaN) / 8;

  /** Null for a value that a row cannot hold. */
  function formOf(value: Value): Form | null {
    if (isSlot(value)) return slotNumber(value) < 256 ? "slot" : null;
    const known = constantOf(value, "x86_64");
    if (known === null) return "wide";
    if (typeof known === "number" && isByte(known)) return "byte";
    return known >= 0 && known < 2 ** 24 ? "wide" : null;
  }

  function isCall(op: Op): op is Syscall {
    if (op.kind !== "syscall" || ownWays.includes(op.name)) return false;
    if (op.onError.kind === "goto" && wideResults.has(op.name)) return false;
    const values = op.result === null ? op.arguments : [...op.arguments, op.result];
    return values.every((value) => formOf(value) !== null);
  }

  const all = ops.filter(isCall);
  if (all.length < fewest.calls) return { run: () => 0, walker: () => undefined };
  /** The walker's entrances by the label that errors go to, and the one of runs in which nothing can fail. */
  const entrances = new Map<string, number>();
  const unfailing = asm.newLabel();
  const failing = new Map<string, number>();
  for (const { onError } of all) {
    if (onError.kind !== "goto") continue;
    const { label } = onError;
    const count = (failing.get(label) ?? 0) + 1;
    failing.set(label, count);
    if (count === fewest.errors) entrances.set(label, asm.newLabel());
  }

  /** The ops from there on that can be rows of one run, the number of all of them, and where errors go. */
  function find(from: number) {
    const rows: Row[] = [];
    const assignments: Row[] = [];
    let count = 0;
    let failure: string | null = null;
    for (let index = from; index < ops.length; index += 1) {
      const op = ops[index] as Op;
      if (isCall(op)) {
        const { onError } = op;
        if (onError.kind === "goto") {
          const { label } = onError;
          if (!entrances.has(label) || (failure !== null && failure !== label)) break;
          failure = label;
        }
        rows.push(...assignments.splice(0), op);
        count = index + 1 - from;
      } else if (op.kind === "mov" && formOf(op.from) === "byte" && formOf(op.to) === "slot") {
        // Only between two calls: code for it is as small.
        if (rows.length === 0) break;
        assignments.push(op);
      } else if (op.kind !== "comment" || rows.length === 0) break;
    }
    return { rows, count, failure };
  }

  /** Whether a call by itself is smaller as code. */
  function isSmallAsCode({ name, arguments: values, result, onError }: Syscall): boolean {
    const isSmallNumber = (syscallNumbers.x86_64[name] ?? 0) < 0x80;
    let code =
      (isSmallNumber ? 5 : 7) + (result === null ? 0 : 4) + (onError.kind === "goto" ? 4 : 0);
    let row = 8 + (result === null ? 0 : 1);
    for (const [index, value] of values.entries()) {
      const form = formOf(value);
      if (form === null || asm.holds(argumentRegisters[index] as number, value)) continue;
      code += form === "byte" ? 3 : form === "slot" ? 4 : 5;
      row += bytesOf[form];
    }
    return code <= row;
  }

  function appendRow(op: Row, last: boolean): void {
    const operands: [Form, Value][] = [];
    let head = last ? isLast : 0;
    if (op.kind === "mov") {
      head |= (assignment << numberShift) | hasResult;
      operands.push(["byte", op.from], ["slot", op.to]);
    } else {
      const number = syscallNumbers.x86_64[op.name];
      if (number === undefined) throw new Error(`no system call is named ${op.name}`);
      head |= number << numberShift;
      for (const [index, value] of op.arguments.entries()) {
        const register = argumentRegisters[index];
        const form = formOf(value);
        if (register === undefined || form === null) throw new Error(`${op.name} is no row`);
        if (asm.holds(register, value)) continue;
        head |= forms[form] << (2 * index);
        operands.push([form, value]);
        asm.hold(register, value);
      }
      asm.clobber(rax, rcx);
      if (op.onError.kind === "goto") head |= canFail;
      if (op.result !== null) {
        head |= hasResult;
        operands.push(["slot", op.result]);
      }
    }
    emit(head, head >> 8, head >> 16);
    for (const [form, value] of operands) {
      if (isSlot(value)) emit(slotNumber(value));
      else asm.immediate(immediateOf(value) as Immediate, form === "byte" ? 1 : 3);
    }
    const to = op.kind === "mov" ? op.to : op.result;
    if (to !== null) asm.assign(to, null);
    if (last && op.kind === "syscall" && op.result !== null) asm.hold(rax, op.result);
  }

  function run(from: number): number {
    const { rows, count, failure } = find(from);
    const [first] = rows;
    if (first === undefined) return 0;
    if (rows.length === 1 && first.kind === "syscall" && isSmallAsCode(first)) return 0;
    asm.jump(call, failure === null ? unfailing : (entrances.get(failure) as number));
    for (const [index, row] of rows.entries()) appendRow(row, index === rows.length - 1);
    return count;
  }

  function walker(errorsOf: (label: string) => number): void {
    const places = new Map<string, number>();
    const place = (name: string): number => {
      const label = places.get(name) ?? asm.newLabel();
      places.set(name, label);
      return label;
    };
    for (const [label, entrance] of entrances) {
      asm.label(entrance);
      emit(0x41, 0x5c); // pop r12
      asm.jump(call, place("walk"));
      asm.jump(jmp, errorsOf(label));
    }
    asm.label(unfailing);
    emit(0x4c, 0x8b, 0x24, 0x24); // mov r12, [rsp]

    // r12: what is next in the rows; on the stack, where errors go
    asm.label(place("walk"));
    emit(0x45, 0x8b, 0x2c, 0x24); // mov r13d, [r12]
    emit(0x49, 0x83, 0xc4, 0x03); // add r12, 3
    emit(0x41, 0x51, 0x41, 0x50, 0x41, 0x52, 0x52, 0x56, 0x57); // push r9, r8, r10, rdx, rsi, rdi
    emit(0x45, 0x31, 0xdb); // xor r11d, r11d
    emit(0x44, 0x89, 0xe8); // mov eax, r13d
    emit(0xc1, 0xe8, numberShift); // shr eax, numberShift
    emit(0x41, 0x81, 0xe5, 0xff, 0x0f, 0x00, 0x00); // and r13d, 0xfff
    asm.jump(jumpIfZero, place("ready"));
    asm.label(place("operand"));
    emit(0x41, 0xd1, 0xed); // shr r13d, 1
    asm.jump(jumpIfCarry, place("immediate"));
    emit(0x41, 0xd1, 0xed); // shr r13d, 1
    asm.jump(jumpUnlessCarry, place("next"));
    loadNumber();
    emit(0x48, 0x8b, 0x4c, 0xcb, -slotBias); // mov rcx, [rbx + 8 * rcx - slotBias]
    asm.jump(jmp, place("put"));
    asm.label(place("immediate"));
    emit(0x41, 0xd1, 0xed); // shr r13d, 1
    asm.jump(jumpIfCarry, place("wide"));
    emit(0x49, 0x0f, 0xbe, 0x0c, 0x24); // movsx rcx, byte [r12]
    emit(0x49, 0xff, 0xc4); // inc r12
    asm.jump(jmp, place("put"));
    asm.label(place("wide"));
    emit(0x41, 0x8b, 0x0c, 0x24); // mov ecx, [r12]
    emit(0x81, 0xe1, 0xff, 0xff, 0xff, 0x00); // and ecx, 0xffffff
    emit(0x49, 0x83, 0xc4, 0x03); // add r12, 3
    asm.label(place("put"));
    emit(0x4a, 0x89, 0x0c, 0xdc); // mov [rsp + 8 * r11], rcx
    asm.label(place("next"));
    emit(0x41, 0xff, 0xc3); // inc r11d
    emit(0x45, 0x85, 0xed); // test r13d, r13d
    asm.jump(jumpUnlessZero, place("operand"));
    asm.label(place("ready"));
    emit(0x5f, 0x5e, 0x5a, 0x41, 0x5a, 0x41, 0x58, 0x41, 0x59); // pop rdi, rsi, rdx, r10, r8, r9
    emit(0x41, 0x89, 0xc5); // mov r13d, eax
    emit(0x25, 0xff, 0x01, 0x00, 0x00); // and eax, 0x1ff
    emit(0x3d, assignment, assignment >> 8, 0x00, 0x00); // cmp eax, assignment
    asm.jump(jumpUnlessZero, place("syscall"));
    emit(0x49, 0x0f, 0xbe, 0x04, 0x24); // movsx rax, byte [r12]
    emit(0x49, 0xff, 0xc4); // inc r12
    asm.jump(jmp, place("result"));
    asm.label(place("syscall"));
    emit(0x0f, 0x05); // syscall
    testFlag(canFail);
    asm.jump(jumpUnlessCarry, place("done"));
    emit(0x85, 0xc0); // test eax, eax
    asm.jump(jumpIfNegative, place("error"));
    asm.label(place("done"));
    testFlag(hasResult);
    asm.jump(jumpUnlessCarry, place("end"));
    asm.label(place("result"));
    loadNumber();
    emit(0x48, 0x89, 0x44, 0xcb, -slotBias); // mov [rbx + 8 * rcx - slotBias], rax
    asm.label(place("end"));
    testFlag(isLast);
    asm.jump(jumpUnlessCarry, place("walk"));
    emit(0x59, 0x41, 0xff, 0xe4); // pop rcx; jmp r12
    asm.label(place("error"));
    emit(0xc3);
  }

  /** rcx := the number of a slot that is next in the rows. */
  function loadNumber(): void {
    emit(0x41, 0x0f, 0xb6, 0x0c, 0x24); // movzx ecx, byte [r12]
    emit(0x49, 0xff, 0xc4); // inc r12
  }

  /** The carry is the flag of the row at hand, of whose bits r13d has those from the number on. */
  function testFlag(flag: number): void {
    emit(0x41, 0x0f, 0xba, 0xe5, Math.log2(flag) - numberShift); // bt r13d, bit
  }

  return { run, walker };
}
