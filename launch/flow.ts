/** Where values and control go in a program: what the verifier and the linker ask of single ops. */
import { assertNever } from "../spec/step.js";
import type { Address, Op, Slot, Value } from "./ir.js";

/** Whether the operand is a slot. */
export const isSlot = (value: Value): value is Slot =>
  typeof value === "object" && value.kind === "slot";

/** The operands that an op reads. */
export function operandsOf(op: Op): readonly Value[] {
  switch (op.kind) {
    case "mov":
      return [op.from];
    case "alu":
    case "branch":
      return [op.a, op.b];
    case "load":
      return [op.base];
    case "store":
      return [op.base, op.from];
    case "syscall":
      return op.arguments;
    case "sp":
    case "label":
    case "jump":
    case "call":
    case "return":
    case "comment":
      return [];
    default:
      return assertNever(op);
  }
}

/** The slots that an op reads. */
export function readsOf(op: Op): readonly Slot[] {
  return operandsOf(op).filter(isSlot);
}

/** The addresses that an op names. */
export function addressesOf(op: Op): readonly Address[] {
  return operandsOf(op).filter(
    (value): value is Address => typeof value === "object" && value.kind === "address",
  );
}

/** The slot that an op writes when it goes well. */
export function writeOf(op: Op): Slot | null {
  switch (op.kind) {
    case "sp":
    case "mov":
    case "alu":
    case "load":
      return op.to;
    case "syscall":
      return op.result;
    case "store":
    case "label":
    case "jump":
    case "branch":
    case "call":
    case "return":
    case "comment":
      return null;
    default:
      return assertNever(op);
  }
}

/** All slots that an op names. */
export function slotsOf(op: Op): readonly Slot[] {
  const write = writeOf(op);
  return write === null ? readsOf(op) : [...readsOf(op), write];
}

/** A way from one op to another, and the slot that is written on it. */
export interface Edge {
  /** A label, or null for the op that follows. */
  readonly to: string | null;
  readonly writes: string | null;
}

/**
 * The ways on from an op inside its own routine. A call goes on behind itself. Only execve among
 * the calls whose errors go elsewhere does not come back when it goes well.
 */
export function edgesOf(op: Op): readonly Edge[] {
  const write = writeOf(op)?.name ?? null;
  const next: Edge = { to: null, writes: write };
  switch (op.kind) {
    case "jump":
      return [{ to: op.to, writes: null }];
    case "branch":
      return [next, { to: op.to, writes: null }];
    case "return":
      return [];
    case "syscall":
      if (op.onError.kind === "never") return [];
      if (op.onError.kind !== "goto") return [next];
      return [
        ...(op.name === "execve" || op.name === "execveat" ? [] : [next]),
        { to: op.onError.label, writes: "errno" },
      ];
    case "sp":
    case "mov":
    case "alu":
    case "load":
    case "store":
    case "label":
    case "call":
    case "comment":
      return [next];
    default:
      return assertNever(op);
  }
}
