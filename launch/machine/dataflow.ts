/**
 * What the verifier can say only by following all ways through a program: what is reached, that
 * calls and returns match, and that nothing is read before it is written.
 */
import { isSlot, operandsOf } from "./flow.js";
import type { Op, Value } from "./ir.js";
import {
  analyseRoutines,
  type Flow,
  flowOf,
  intersect,
  type Routines,
  type SlotSet,
  unite,
} from "./routines.js";

export interface Violation {
  /** Of the op. */
  readonly index: number;
  readonly text: string;
}

/** All faults of control and data flow. Every label must be defined once. */
export function verifyFlow(ops: readonly Op[]): Violation[] {
  if (ops.length === 0) return [{ index: 0, text: "the program is empty" }];
  const routines = analyseRoutines(flowOf(ops));
  const { recursion } = routines;
  if (recursion !== null) {
    return [{ index: recursion, text: "the subroutine comes to call itself" }];
  }
  const { reached, misplaced, unwritten, returns } = follow(routines);
  return [
    ...unreached(ops, reached),
    ...misplaced,
    ...unwritten.sort((a, b) => a.index - b.index),
    ...unreadResults(routines.flow, returns),
  ];
}

interface Followed {
  /** By the index of the op. */
  readonly reached: Uint8Array;
  /**
   * Code that ends nowhere, and returns without a call. Code that is shared by the main code and
   * subroutines is sound without a `return` in it and without calls back into them: it leaves the
   * return address on the stack, at most once for each subroutine, and ends the program.
   */
  readonly misplaced: Violation[];
  /** Slots that are read although they are not written on every way there. */
  readonly unwritten: Violation[];
  /** For each `return` that is reached, the entries of the subroutines that it ends. */
  readonly returns: ReadonlyMap<number, readonly number[]>;
}

/** Goes once through every routine, callers first. */
function follow({ flow, all, visit }: Routines): Followed {
  const { ops, targets, slots } = flow;
  const reached = new Uint8Array(ops.length + 1);
  const misplaced: Violation[] = [];
  const found = new Map<string, Violation>();
  const returns = new Map<number, number[]>();
  /** What is surely written at a routine's entry: on what all its call sites agree. */
  const known = new Map<number, SlotSet>();
  for (const routine of all) {
    const isMain = routine === all[0];
    const atEntry = known.get(routine.entry) ?? null;
    visit(routine, (index, written) => {
      reached[index] = 1;
      const op = ops[index];
      if (op === undefined) return;
      const operands = operandsOf(op);
      for (let number = 0; number < operands.length; number += 1) {
        const value = operands[number] as Value;
        if (!isSlot(value)) continue;
        const slot = slots.get(value.name) ?? -1;
        if (slot !== -1) {
          const word = slot >> 5;
          const all =
            (written[word] as number) | (atEntry === null ? 0 : (atEntry[word] as number));
          if (((all >>> (slot & 31)) & 1) === 1) continue;
        }
        const text = `reads ${value.name}, which is not written on every way here`;
        found.set(`${index} ${value.name}`, { index, text });
      }
      if (op.kind === "call") {
        const here = written.slice();
        if (atEntry !== null) unite(here, atEntry);
        const others = known.get(targets[index] as number);
        if (others === undefined) known.set(targets[index] as number, here);
        else intersect(others, here);
      }
      if (op.kind === "return") {
        if (isMain) {
          const text = "the main code comes here, and has nowhere to return to";
          misplaced.push({ index, text });
        } else returns.set(index, [...(returns.get(index) ?? []), routine.entry]);
      }
    });
  }
  if (reached[ops.length] === 1) {
    misplaced.unshift({ index: ops.length - 1, text: "control runs off the end" });
  }
  return { reached, misplaced, unwritten: [...found.values()], returns };
}

/** The first op of each stretch that nothing leads to. A comment there may announce what follows. */
function unreached(ops: readonly Op[], reached: Uint8Array): Violation[] {
  const violations: Violation[] = [];
  let before = false;
  for (let index = 0; index < ops.length; index += 1) {
    const dead = reached[index] === 0 && ops[index]?.kind !== "comment";
    if (dead && !before) violations.push({ index, text: "is never reached" });
    before = dead;
  }
  return violations;
}

/** System calls that leave their error in the result, where no way on looks at it. */
function unreadResults(flow: Flow, returns: Followed["returns"]): Violation[] {
  const callSites = new Map<number, number[]>();
  const violations: Violation[] = [];
  const { ops, targets } = flow;
  for (let index = 0; index < ops.length; index += 1) {
    if (ops[index]?.kind !== "call") continue;
    const entry = targets[index] as number;
    const sites = callSites.get(entry);
    if (sites === undefined) callSites.set(entry, [index]);
    else sites.push(index);
  }
  for (let index = 0; index < ops.length; index += 1) {
    const op = ops[index];
    if (op?.kind !== "syscall" || op.onError.kind !== "result" || op.result === null) continue;
    const { name } = op.result;
    if (isRead(flow, index, name, returns, callSites)) continue;
    violations.push({ index, text: `nothing looks at the error that may be in ${name}` });
  }
  return violations;
}

/** Whether a value in a slot may be seen: through calls and returns, but not past a write. */
function isRead(
  { ops, targets, writes, goesOn, slots }: Flow,
  from: number,
  name: string,
  returns: Followed["returns"],
  callSites: ReadonlyMap<number, readonly number[]>,
): boolean {
  const slot = slots.get(name);
  const ahead = new Set([from + 1]);
  // A set is iterated in the order of insertion, including what is inserted meanwhile.
  for (const index of ahead) {
    const op = ops[index];
    if (op === undefined) continue;
    for (const value of operandsOf(op)) if (isSlot(value) && value.name === name) return true;
    for (const entry of returns.get(index) ?? []) {
      for (const site of callSites.get(entry) ?? []) ahead.add(site + 1);
    }
    const target = targets[index] as number;
    if (target !== -1 && !(op.kind === "syscall" && slot === 0)) ahead.add(target);
    // What follows a call is seen when the subroutine returns.
    if (op.kind !== "call" && goesOn[index] === 1 && writes[index] !== slot) ahead.add(index + 1);
  }
  return false;
}
