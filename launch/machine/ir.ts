/**
 * The intermediate representation: what a compiled program does, in about a dozen operations that
 * x86-64 and arm64 share.
 *
 * Every variable is a *slot*: eight bytes of the writable segment, known by name. There are no
 * registers to allocate, no signal handlers and no heap. A cloned process has its own copy of all
 * slots, so a slot written before `clone` is readable on both sides of it.
 */

/** A variable of eight bytes. */
export interface Slot {
  readonly kind: "slot";
  readonly name: string;
}

/** The address of a data item, plus an offset in bytes. */
export interface Address {
  readonly kind: "address";
  readonly of: string;
  readonly offset: number;
}

/** A number with the name that a reader knows it by, such as `MS_BIND|MS_REC`. */
export interface Constant {
  readonly kind: "constant";
  readonly value: bigint;
  /** The value on arm64, where the kernel has another one there. */
  readonly aarch64?: bigint;
  readonly text: string;
}

/** An operand. A bare number is an unnamed constant: a safe integer, negative ones in two's complement. */
export type Value = number | Constant | Slot | Address;

/** Of 64 bits. `shr` shifts zeros in; `div` and `rem` take their operands as unsigned. */
export type AluOperator = "add" | "sub" | "and" | "or" | "shl" | "shr" | "div" | "rem";

/** Comparisons are signed, of 64 bits. */
export type Condition = "eq" | "ne" | "lt" | "ge" | "le" | "gt";

/** Bytes moved by a load or store; narrower loads are zero-extended. */
export type Width = 1 | 4 | 8;

/**
 * What happens when a system call returns an error (a value from -4095 to -1).
 * - `goto`: the positive errno is put into the slot `errno` and control goes to the label; the
 *   result slot keeps what it had.
 * - `result`: the result slot holds the negative errno, and the code that follows looks at it.
 * - `ignore`: the error changes nothing; `because` says why that is right.
 * - `never`: the call does not return (execve's success aside, exit_group only).
 */
export type OnError =
  | { readonly kind: "goto"; readonly label: string }
  | { readonly kind: "result" }
  | { readonly kind: "ignore"; readonly because: string }
  | { readonly kind: "never" };

export type Op =
  /** `to` := the stack pointer at entry, which points at argc, argv, NULL, envp, NULL. */
  | { readonly kind: "sp"; readonly to: Slot }
  | { readonly kind: "mov"; readonly to: Slot; readonly from: Value }
  | {
      readonly kind: "alu";
      readonly operator: AluOperator;
      readonly to: Slot;
      readonly a: Value;
      readonly b: Value;
    }
  | {
      readonly kind: "load";
      readonly width: Width;
      readonly to: Slot;
      readonly base: Value;
      readonly offset: number;
    }
  | {
      readonly kind: "store";
      readonly width: Width;
      readonly base: Value;
      readonly offset: number;
      readonly from: Value;
    }
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "jump"; readonly to: string }
  | {
      readonly kind: "branch";
      readonly condition: Condition;
      readonly a: Value;
      readonly b: Value;
      readonly to: string;
    }
  /** Subroutines take and give their values in slots; they do not recurse. */
  | { readonly kind: "call"; readonly to: string }
  | { readonly kind: "return" }
  | {
      readonly kind: "syscall";
      readonly name: string;
      readonly arguments: readonly Value[];
      readonly result: Slot | null;
      readonly onError: OnError;
    }
  /** Prints as a heading or remark in `explain`; compiles to nothing. */
  | { readonly kind: "comment"; readonly text: string };

/** What lies in the program's memory besides its code. */
export type Data =
  /** Read-only bytes; a string carries its own terminating NUL. */
  | { readonly kind: "bytes"; readonly name: string; readonly bytes: Uint8Array }
  /** Eight-byte words, each a number or an address filled in at link time. */
  | {
      readonly kind: "words";
      readonly name: string;
      readonly items: readonly (Address | number)[];
      readonly writable: boolean;
    }
  /** Zeroed writable memory, 16-byte aligned; takes no room in the file. */
  | { readonly kind: "buffer"; readonly name: string; readonly size: number };

/**
 * Addresses that are of no data item: where the program begins in memory, and where, on a page of its
 * own, what is needed while it only waits: the code from the label of that name on. Between the two
 * lies what a process may give back then.
 */
export const landmarks = { start: "program.start", resident: "program.resident" } as const;

/** A whole program. Execution begins at the first op. */
export interface Program {
  readonly ops: readonly Op[];
  readonly data: readonly Data[];
}
