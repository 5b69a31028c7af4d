/**
 * A pen for writing IR: collects ops and data, shares equal strings, and names what is anonymous.
 */
import {
  type Address,
  type AluOperator,
  type Condition,
  type Constant,
  type Data,
  landmarks,
  type Op,
  type Program,
  type Slot,
  type Value,
  type Width,
} from "./ir.js";

/** A named number, for readable listings. */
export function constant(text: string, value: number | bigint): Constant {
  return { kind: "constant", text, value: BigInt(value) };
}

/** `address` moved on by some bytes. */
export function at(address: Address, bytes: number): Address {
  return { ...address, offset: address.offset + bytes };
}

/** An address of the program's own. */
export const landmark = (name: keyof typeof landmarks): Address => ({
  kind: "address",
  of: landmarks[name],
  offset: 0,
});

export const slot = (name: string): Slot => ({ kind: "slot", name });

export interface Builder {
  /** A NUL-terminated read-only string. */
  text(text: string): Address;
  /** Read-only bytes, named after what they are. */
  bytes(stem: string, bytes: Uint8Array): Address;
  /** Eight-byte words. */
  words(name: string, items: readonly (Address | number)[], writable: boolean): Address;
  /** Zeroed writable memory. */
  buffer(name: string, size: number): Address;

  /** Whether any op so far sets a slot to that number. */
  sets(number: number): boolean;

  /** A label that no other part of the program uses. */
  fresh(stem: string): string;
  label(name: string): void;
  comment(text: string): void;
  stackPointer(to: Slot): void;
  set(to: Slot, from: Value): void;
  alu(operator: AluOperator, to: Slot, a: Value, b: Value): void;
  load(width: Width, to: Slot, base: Value, offset?: number): void;
  store(width: Width, base: Value, offset: number, from: Value): void;
  jump(to: string): void;
  branch(a: Value, condition: Condition, b: Value, to: string): void;
  call(to: string): void;
  return(): void;

  /** A system call whose failure ends the step at hand: goes to the label that `failTo` set. */
  must(name: string, args: readonly Value[], result?: Slot): void;
  /** A system call whose failure is handled at `label`; the slot `errno` says which it was. */
  orElse(label: string, name: string, args: readonly Value[], result?: Slot): void;
  /** A system call whose result, -errno included, the following ops look at. */
  attempt(name: string, args: readonly Value[], result: Slot): void;
  /** A system call whose failure changes nothing. */
  ignore(because: string, name: string, args: readonly Value[], result?: Slot): void;
  /** exit_group(2) */
  exit(code: Value): void;
  /** Where `must` and `fail` go from now on. */
  failTo(label: string): void;
  /** Gives the step at hand up, with the errno in the slot of that name. */
  fail(): void;

  finish(): Program;
}

const utf8 = new TextEncoder();

export function builder(): Builder {
  const ops: Op[] = [];
  const data = new Map<string, Data>();
  const texts = new Map<string, Address>();
  const serials = new Map<string, number>();
  const numbers = new Set<number>();
  let failure = "";

  const fresh = (stem: string): string => {
    const serial = (serials.get(stem) ?? 0) + 1;
    serials.set(stem, serial);
    return `${stem}.${serial}`;
  };
  const address = (of: string): Address => ({ kind: "address", of, offset: 0 });
  const define = (item: Data): Address => {
    if (data.has(item.name)) throw new Error(`data ${item.name} is defined twice`);
    data.set(item.name, item);
    return address(item.name);
  };
  const syscall = (
    name: string,
    args: readonly Value[],
    result: Slot | undefined,
    onError: Extract<Op, { kind: "syscall" }>["onError"],
  ) => {
    ops.push({ kind: "syscall", name, arguments: args, result: result ?? null, onError });
  };

  return {
    text(text) {
      const known = texts.get(text);
      if (known !== undefined) return known;
      if (text.includes("\0")) throw new Error(`NUL in ${JSON.stringify(text)}`);
      const made = define({
        kind: "bytes",
        name: `text${texts.size}`,
        bytes: utf8.encode(`${text}\0`),
      });
      texts.set(text, made);
      return made;
    },
    bytes: (stem, bytes) => define({ kind: "bytes", name: fresh(stem), bytes }),
    words: (name, items, writable) => define({ kind: "words", name, items, writable }),
    buffer: (name, size) => define({ kind: "buffer", name, size }),

    sets: (number) => numbers.has(number),

    fresh,
    label: (name) => void ops.push({ kind: "label", name }),
    comment: (text) => void ops.push({ kind: "comment", text }),
    stackPointer: (to) => void ops.push({ kind: "sp", to }),
    set: (to, from) => {
      if (typeof from === "number") numbers.add(from);
      ops.push({ kind: "mov", to, from });
    },
    alu: (operator, to, a, b) => void ops.push({ kind: "alu", operator, to, a, b }),
    load: (width, to, base, offset = 0) => void ops.push({ kind: "load", width, to, base, offset }),
    store: (width, base, offset, from) =>
      void ops.push({ kind: "store", width, base, offset, from }),
    jump: (to) => void ops.push({ kind: "jump", to }),
    branch: (a, condition, b, to) => void ops.push({ kind: "branch", condition, a, b, to }),
    call: (to) => void ops.push({ kind: "call", to }),
    return: () => void ops.push({ kind: "return" }),

    must: (name, args, result) => syscall(name, args, result, { kind: "goto", label: failure }),
    orElse: (label, name, args, result) => syscall(name, args, result, { kind: "goto", label }),
    attempt: (name, args, result) => syscall(name, args, result, { kind: "result" }),
    ignore: (because, name, args, result) =>
      syscall(name, args, result, { kind: "ignore", because }),
    exit: (code) => syscall("exit_group", [code], undefined, { kind: "never" }),
    failTo: (label) => {
      failure = label;
    },

    fail: () => void ops.push({ kind: "jump", to: failure }),

    finish: () => ({ ops, data: [...data.values()] }),
  };
}
