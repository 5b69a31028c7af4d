/**
 * Runs a filter as the kernel does: bpf_convert_filter() of net/core/filter.c. And says whether the
 * kernel may keep the answer: seccomp_is_const_allow() of kernel/seccomp.c (Linux 5.11 to 6.18).
 */
import { assertNever } from "../spec/assert-never.js";
import type { Instruction } from "./instruction.js";
import { type Meaning, meaningOf, type Operator, type Relation, type Source } from "./meaning.js";

/** `struct seccomp_data`: what a filter sees of a call. */
export interface Call {
  /** Unsigned, 32 bits: -1 is 0xffffffff. */
  readonly nr: number;
  /** AUDIT_ARCH_* of linux/audit.h, unsigned. */
  readonly arch: number;
  /** Six at most, unsigned, 64 bits each; those left out are 0. */
  readonly args: readonly bigint[];
  readonly instructionPointer?: bigint;
}

export interface Outcome {
  /** SECCOMP_RET_* with its data, unsigned. */
  readonly verdict: number;
  /** Instructions that ran, the return among them. */
  readonly executed: number;
  /**
   * Whether the kernel finds that this number is always allowed, and no longer runs the filter for
   * it. It asks about the numbers of its own tables only, hence not about x32's.
   */
  readonly cacheable: boolean;
}

/** SECCOMP_RET_ALLOW. */
const allow = 0x7fff0000;

/** For a program that `validate` finds nothing wrong with; any other may throw an Error. */
export function simulate(program: readonly Instruction[], call: Call): Outcome {
  const data = words(call);
  const memory = new Uint32Array(16);
  const register = { a: 0, x: 0 };
  let constant = true;
  for (let pc = 0, executed = 1; ; pc += 1, executed += 1) {
    const { code, jt, jf, k } = at(program, pc);
    const meaning = meaningOf(code);
    if (meaning === undefined) throw new Error(`seccomp does not admit the code ${code}`);
    constant &&= isConstant(meaning, k);
    switch (meaning.kind) {
      case "load":
        register[meaning.to] = load(meaning.from, k, data, memory);
        break;
      case "store":
        memory[k] = register[meaning.from];
        break;
      case "copy":
        register[meaning.to] = register[meaning.from];
        break;
      case "negate":
        register.a = -register.a >>> 0;
        break;
      case "calculate": {
        const operand = meaning.operand === "k" ? k : register.x;
        // The kernel ends the program with 0 then, which is SECCOMP_RET_KILL_THREAD.
        if (meaning.operator === "/" && operand === 0) {
          return { verdict: 0, executed, cacheable: false };
        }
        register.a = calculate(register.a, meaning.operator, operand);
        break;
      }
      case "jump":
        pc += k;
        break;
      case "branch":
        pc += holds(register.a, meaning.relation, meaning.operand === "k" ? k : register.x)
          ? jt
          : jf;
        break;
      case "return": {
        const verdict = meaning.value === "k" ? k : register.a;
        return { verdict, executed, cacheable: constant && verdict === allow };
      }
      default:
        assertNever(meaning);
    }
  }
}

/** The low half of each argument first, as on all architectures here. */
function words({ nr, arch, args, instructionPointer = 0n }: Call): Uint32Array {
  const wide = new BigUint64Array(8);
  wide.set([BigInt(nr) | (BigInt(arch) << 32n), instructionPointer, ...args]);
  return new Uint32Array(wide.buffer);
}

/** Whether the kernel goes on, which knows the number and the architecture and nothing else. */
function isConstant(meaning: Meaning, k: number): boolean {
  switch (meaning.kind) {
    case "load":
      return meaning.from === "data" && (k === 0 || k === 4);
    case "calculate":
      return meaning.operator === "&" && meaning.operand === "k";
    case "branch":
      return meaning.operand === "k";
    case "return":
      return meaning.value === "k";
    case "jump":
      return true;
    default:
      return false;
  }
}

function load(from: Source, k: number, data: Uint32Array, memory: Uint32Array): number {
  switch (from) {
    case "data":
      return at(data, k / 4);
    case "size":
      return data.byteLength;
    case "memory":
      return at(memory, k);
    case "k":
      return k;
    default:
      return assertNever(from);
  }
}

function calculate(a: number, operator: Operator, b: number): number {
  switch (operator) {
    case "+":
      return (a + b) >>> 0;
    case "-":
      return (a - b) >>> 0;
    case "*":
      return Math.imul(a, b) >>> 0;
    case "/":
      return Math.floor(a / b);
    case "|":
      return (a | b) >>> 0;
    case "&":
      return (a & b) >>> 0;
    // Five bits of the distance count, in JavaScript as in the kernel.
    case "<<":
      return (a << b) >>> 0;
    case ">>":
      return a >>> b;
    case "^":
      return (a ^ b) >>> 0;
    default:
      return assertNever(operator);
  }
}

function holds(a: number, relation: Relation, b: number): boolean {
  switch (relation) {
    case "==":
      return a === b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
    case "&":
      return (a & b) !== 0;
    default:
      return assertNever(relation);
  }
}

function at<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`there is nothing at ${index}`);
  return item;
}
