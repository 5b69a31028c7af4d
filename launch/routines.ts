/**
 * The main code and the subroutines of a program. A subroutine is a label that some `call` names;
 * it is analysed once, relative to its entry, and its callers use the summary.
 */
import { edgesOf, slotsOf } from "./flow.js";
import type { Op } from "./ir.js";

/** The main code, or a subroutine. Slots are sets of bits, see `Routines.bits`. */
export interface Routine {
  /** Index of the first op. */
  readonly entry: number;
  /**
   * For each op that is reached: the slots that are surely written since the routine's entry. The
   * index behind the last op is there when control runs off the end.
   */
  readonly written: ReadonlyMap<number, bigint>;
  /** What is surely written at every return; null where there is no way to one. */
  readonly summary: bigint | null;
}

export interface Routines {
  readonly main: Routine;
  readonly subroutines: readonly Routine[];
  /** The bit that stands for a slot. */
  readonly bits: ReadonlyMap<string, bigint>;
  /** The index of a label. */
  readonly target: (label: string) => number;
  /** The calls of the subroutine that begins at an index, reached or not. */
  readonly callSites: ReadonlyMap<number, readonly number[]>;
}

interface Step {
  readonly to: number;
  readonly writes: bigint;
}

/** Finds where each label is; all must be defined once. */
export function labelIndex(ops: readonly Op[]): (label: string) => number {
  const labels = new Map(
    ops.flatMap((op, index) => (op.kind === "label" ? [[op.name, index] as const] : [])),
  );
  return (label) => {
    const index = labels.get(label);
    if (index === undefined) throw new Error(`the label ${label} is not defined`);
    return index;
  };
}

/** Index of a call that is part of a recursion, or null. */
export function findRecursion(ops: readonly Op[]): number | null {
  const target = labelIndex(ops);
  const finished = new Set<number>();
  const active = new Set<number>();
  const visit = (entry: number): number | null => {
    active.add(entry);
    const reached = reach(entry, (index) => {
      const op = ops[index];
      return op === undefined
        ? []
        : edgesOf(op).map(({ to }) => (to === null ? index + 1 : target(to)));
    });
    for (const index of reached) {
      const op = ops[index];
      if (op?.kind !== "call") continue;
      const callee = target(op.to);
      if (active.has(callee)) return index;
      const found = finished.has(callee) ? null : visit(callee);
      if (found !== null) return found;
    }
    active.delete(entry);
    finished.add(entry);
    return null;
  };
  return visit(0);
}

/** Everything that can be reached from a place, itself included. */
function reach(from: number, next: (index: number) => readonly number[]): Set<number> {
  const seen = new Set([from]);
  // A set is iterated in the order of insertion, including what is inserted meanwhile.
  for (const index of seen) for (const to of next(index)) seen.add(to);
  return seen;
}

/** Analyses a program whose labels are all defined once and whose calls do not recurse. */
export function analyseRoutines(ops: readonly Op[]): Routines {
  const target = labelIndex(ops);
  const bits = new Map([["errno", 1n]]);
  for (const { name } of ops.flatMap(slotsOf)) {
    if (!bits.has(name)) bits.set(name, 1n << BigInt(bits.size));
  }
  const known = new Map<number, Routine>();
  const routineAt = (entry: number): Routine => {
    const made = known.get(entry) ?? analyse(ops, entry, stepsOf);
    known.set(entry, made);
    return made;
  };
  const stepsOf = (index: number): readonly Step[] => {
    const op = ops[index];
    if (op === undefined) return [];
    const callee = op.kind === "call" ? routineAt(target(op.to)).summary : 0n;
    if (callee === null) return [];
    return edgesOf(op).map(({ to, writes }) => ({
      to: to === null ? index + 1 : target(to),
      writes: callee | (writes === null ? 0n : (bits.get(writes) ?? 0n)),
    }));
  };
  const callSites = new Map<number, number[]>();
  for (const [index, op] of ops.entries()) {
    if (op.kind !== "call") continue;
    const sites = callSites.get(target(op.to)) ?? [];
    sites.push(index);
    callSites.set(target(op.to), sites);
  }
  const main = routineAt(0);
  return {
    main,
    subroutines: [...known.values()].filter((routine) => routine !== main),
    bits,
    target,
    callSites,
  };
}

/** What is surely written is what all ways to an op agree on; it only shrinks until nothing changes. */
function analyse(
  ops: readonly Op[],
  entry: number,
  stepsOf: (index: number) => readonly Step[],
): Routine {
  const written = new Map([[entry, 0n]]);
  const changed = [entry];
  for (let index = changed.pop(); index !== undefined; index = changed.pop()) {
    for (const { to, writes } of stepsOf(index)) {
      const before = written.get(to);
      const here = (written.get(index) ?? 0n) | writes;
      const after = before === undefined ? here : before & here;
      if (after === before) continue;
      written.set(to, after);
      changed.push(to);
    }
  }
  let summary: bigint | null = null;
  for (const [index, slots] of written) {
    if (ops[index]?.kind === "return") summary = summary === null ? slots : summary & slots;
  }
  return { entry, written, summary };
}
