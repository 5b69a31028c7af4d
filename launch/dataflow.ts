/**
 * What the verifier can say only by following all ways through a program: what is reached, that
 * calls and returns match, and that nothing is read before it is written.
 */
import { edgesOf, readsOf } from "./flow.js";
import type { Op } from "./ir.js";
import { analyseRoutines, findRecursion, type Routine, type Routines } from "./routines.js";

export interface Violation {
  /** Of the op. */
  readonly index: number;
  readonly text: string;
}

/** All faults of control and data flow. Every label must be defined once. */
export function verifyFlow(ops: readonly Op[]): Violation[] {
  if (ops.length === 0) return [{ index: 0, text: "the program is empty" }];
  const recursive = findRecursion(ops);
  if (recursive !== null)
    return [{ index: recursive, text: "the subroutine comes to call itself" }];
  const routines = analyseRoutines(ops);
  return [
    ...unreached(ops, routines),
    ...misplaced(ops, routines),
    ...unwritten(ops, routines),
    ...unreadResults(ops, routines),
  ];
}

/** The first op of each stretch that nothing leads to. A comment there may announce what follows. */
function unreached(ops: readonly Op[], { main, subroutines }: Routines): Violation[] {
  const routines = [main, ...subroutines];
  const isDead = (index: number): boolean =>
    ops[index]?.kind !== "comment" && !routines.some(({ written }) => written.has(index));
  return ops.flatMap((_, index) =>
    isDead(index) && !(index > 0 && isDead(index - 1)) ? [{ index, text: "is never reached" }] : [],
  );
}

/**
 * Code that ends nowhere, and returns without a call. Code that is shared by the main code and
 * subroutines is sound without a `return` in it and without calls back into them: it leaves the
 * return address on the stack, at most once for each subroutine, and ends the program.
 */
function misplaced(ops: readonly Op[], { main, subroutines }: Routines): Violation[] {
  const runsOff = [main, ...subroutines].some(({ written }) => written.has(ops.length));
  return [
    ...(runsOff ? [{ index: ops.length - 1, text: "control runs off the end" }] : []),
    ...[...main.written.keys()]
      .filter((index) => ops[index]?.kind === "return")
      .map((index) => ({ index, text: "the main code comes here, and has nowhere to return to" })),
  ];
}

/** Slots that are read although they are not written on every way there. */
function unwritten(ops: readonly Op[], routines: Routines): Violation[] {
  const { main, subroutines, bits, callSites } = routines;
  const all = [main, ...subroutines];
  /** What is surely written at a routine's entry: on what all its call sites agree. */
  const known = new Map([[main.entry, 0n]]);
  const atEntry = ({ entry }: Routine): bigint => {
    const before = known.get(entry);
    if (before !== undefined) return before;
    const sites = all.flatMap((caller) =>
      (callSites.get(entry) ?? []).flatMap((site) => {
        const slots = caller.written.get(site);
        return slots === undefined ? [] : [atEntry(caller) | slots];
      }),
    );
    const agreed = sites.reduce((a, b) => a & b);
    known.set(entry, agreed);
    return agreed;
  };
  const found = new Map<string, Violation>();
  for (const routine of all) {
    const entry = atEntry(routine);
    for (const [index, slots] of routine.written) {
      const op = ops[index];
      for (const { name } of op === undefined ? [] : readsOf(op)) {
        if ((entry | slots) & (bits.get(name) ?? 0n)) continue;
        found.set(`${index} ${name}`, {
          index,
          text: `reads ${name}, which is not written on every way here`,
        });
      }
    }
  }
  return [...found.values()].sort((a, b) => a.index - b.index);
}

/** System calls that leave their error in the result, where no way on looks at it. */
function unreadResults(ops: readonly Op[], routines: Routines): Violation[] {
  return ops.flatMap((op, index) => {
    if (op.kind !== "syscall" || op.onError.kind !== "result" || op.result === null) return [];
    const { name } = op.result;
    const ahead = new Set([index + 1]);
    // A set is iterated in the order of insertion, including what is inserted meanwhile.
    for (const at of ahead) {
      const other = ops[at];
      if (other === undefined) continue;
      if (readsOf(other).some((slot) => slot.name === name)) return [];
      for (const to of waysOn(ops, routines, at, name)) ahead.add(to);
    }
    return [{ index, text: `nothing looks at the error that may be in ${name}` }];
  });
}

/** Where a value in a slot may be seen next: through calls and returns, but not past a write. */
function waysOn(
  ops: readonly Op[],
  { subroutines, target, callSites }: Routines,
  index: number,
  slot: string,
): readonly number[] {
  const op = ops[index];
  if (op === undefined) return [];
  if (op.kind === "call") return [target(op.to)];
  if (op.kind !== "return") {
    return edgesOf(op)
      .filter(({ writes }) => writes !== slot)
      .map(({ to }) => (to === null ? index + 1 : target(to)));
  }
  return subroutines
    .filter(({ written }) => written.has(index))
    .flatMap(({ entry }) => (callSites.get(entry) ?? []).map((site) => site + 1));
}
