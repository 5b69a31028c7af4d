/**
 * The main code and the subroutines of a program. A subroutine is a label that some `call` names;
 * it is analysed once, relative to its entry, and its callers use the summary.
 *
 * This runs once in a cold process, where code is interpreted: ops and slots are numbers, and sets of
 * slots are rows of bits.
 */
import { errno, goesOn, targetOf, writeOf } from "./flow.js";
import type { Op } from "./ir.js";

/** A set of slots: bit `n % 32` of word `n / 32` stands for slot number `n`. */
export type SlotSet = Uint32Array;

/** The ways through a program, by the index of the op. */
export interface Flow {
  readonly ops: readonly Op[];
  /** The op that a jump, branch, call or error goes to, or -1. */
  readonly targets: Int32Array;
  /** The number of the slot that is written where control goes on, or -1. */
  readonly writes: Int32Array;
  /** Whether control may go on to the next op. */
  readonly goesOn: Uint8Array;
  /** The number of a slot that is written somewhere; that of errno is 0. */
  readonly slots: ReadonlyMap<string, number>;
}

/** The main code, or a subroutine. */
export interface Routine {
  /** Index of the first op. */
  readonly entry: number;
  /** The slots that are surely written since the entry, for it and each label that is reached. */
  readonly written: ReadonlyMap<number, SlotSet>;
  /** What is surely written at every return; null where there is no way to one. */
  readonly summary: SlotSet | null;
}

export interface Routines {
  readonly flow: Flow;
  /** Every routine comes before those that it calls; the main code is the first. */
  readonly all: readonly Routine[];
  /** Index of a call that is part of a recursion, or null. */
  readonly recursion: number | null;
  /** Goes through a routine, with what is surely written since its entry before each op. */
  visit(routine: Routine, each: (index: number, written: SlotSet) => void): void;
}

/** Numbers the ops and slots of a program; all labels must be defined once. */
export function flowOf(ops: readonly Op[]): Flow {
  const places = new Map<string, number>();
  for (let index = 0; index < ops.length; index += 1) {
    const op = ops[index];
    if (op?.kind === "label") places.set(op.name, index);
  }
  const targets = new Int32Array(ops.length).fill(-1);
  const writes = new Int32Array(ops.length).fill(-1);
  const on = new Uint8Array(ops.length);
  const slots = new Map([[errno.name, 0]]);
  for (let index = 0; index < ops.length; index += 1) {
    const op = ops[index] as Op;
    on[index] = goesOn(op) ? 1 : 0;
    const label = targetOf(op);
    if (label !== null) targets[index] = places.get(label) ?? -1;
    const slot = writeOf(op)?.name;
    if (slot === undefined) continue;
    const number = slots.get(slot) ?? slots.size;
    slots.set(slot, number);
    writes[index] = number;
  }
  return { ops, targets, writes, goesOn: on, slots };
}

/** Finds the routines of a program that has ops, and what each surely writes. */
export function analyseRoutines(flow: Flow): Routines {
  const { ops, targets, writes, goesOn } = flow;
  const words = Math.ceil(flow.slots.size / 32);
  const known = new Map<number, Routine>();
  const active = new Set<number>();
  let recursion: number | null = null;

  /** The routine that a call enters; null where that is a recursion. */
  function callee(site: number): Routine | null {
    const entry = targets[site] ?? 0;
    if (!active.has(entry)) return known.get(entry) ?? analyse(entry);
    recursion ??= site;
    return null;
  }

  /**
   * Follows the code from an op, with `set` written there, up to the next label. Tells `reach` of
   * every way to a label, and `each` of every op before it is done.
   */
  function walk(
    from: number,
    set: SlotSet,
    reach: (index: number, set: SlotSet) => void,
    each: (index: number, set: SlotSet) => void,
  ) {
    for (let index = from; index < ops.length; index += 1) {
      const kind = ops[index]?.kind;
      if (kind === "label" && index > from) {
        reach(index, set);
        return;
      }
      each(index, set);
      const target = targets[index] as number;
      if (kind === "call") {
        const written = callee(index)?.summary;
        // Nothing comes back from a subroutine that ends the program.
        if (!written) return;
        unite(set, written);
      } else if (target !== -1) {
        const before = set[0] as number;
        if (kind === "syscall") set[0] = before | 1;
        reach(target, set);
        set[0] = before;
      }
      if (goesOn[index] === 0) return;
      const slot = writes[index] as number;
      if (slot !== -1) set[slot >> 5] = (set[slot >> 5] as number) | (1 << (slot & 31));
    }
    each(ops.length, set);
  }

  /** What is surely written is what all ways to a label agree on; it only shrinks until nothing changes. */
  function analyse(entry: number): Routine {
    active.add(entry);
    const written = new Map([[entry, new Uint32Array(words)]]);
    const waiting = new Set([entry]);
    let summary: SlotSet | null = null;
    const reach = (index: number, set: SlotSet) => {
      const before = written.get(index);
      if (before === undefined) written.set(index, set.slice());
      else if (!intersect(before, set)) return;
      waiting.add(index);
    };
    const each = (index: number, set: SlotSet) => {
      if (ops[index]?.kind !== "return") return;
      if (summary === null) summary = set.slice();
      else intersect(summary, set);
    };
    for (const index of waiting) {
      // What is inserted again meanwhile comes round again.
      waiting.delete(index);
      walk(index, (written.get(index) as SlotSet).slice(), reach, each);
    }
    active.delete(entry);
    const routine = { entry, written, summary };
    known.set(entry, routine);
    return routine;
  }

  function visit({ written }: Routine, each: (index: number, set: SlotSet) => void) {
    for (const [index, set] of written) walk(index, set.slice(), () => {}, each);
  }

  analyse(0);
  return { flow, all: [...known.values()].reverse(), recursion, visit };
}

/** Adds the members of another set. */
export function unite(set: SlotSet, other: SlotSet): void {
  for (let word = 0; word < set.length; word += 1) {
    set[word] = (set[word] as number) | (other[word] as number);
  }
}

/** Leaves only the members that are in another set too; true where that makes a difference. */
export function intersect(set: SlotSet, other: SlotSet): boolean {
  let changed = false;
  for (let word = 0; word < set.length; word += 1) {
    const before = set[word] as number;
    set[word] = before & (other[word] as number);
    if (set[word] !== before) changed = true;
  }
  return changed;
}
