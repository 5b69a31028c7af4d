/** Where values and control go in a program: what the verifier and the linker ask of single ops. */
import { assertNever } from "../../spec/assert-never.js";
import type { Op, Slot, Value } from "./ir.js";

/** The slot that every program has: the errno of the last error that went to a label. */
export const errno: Slot = { kind: "slot", name: "errno" };

/** Whether the operand is a slot. */
export const isSlot = (value: Value): value is Slot =>
  typeof value === "object" && value.kind === "slot";

const none: readonly Value[] = [];

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
      return none;
    default:
      return assertNever(op);
  }
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

/** The label that an op may go to: of a jump, a branch, a call or an error. */
export function targetOf(op: Op): string | null {
  switch (op.kind) {
    case "jump":
    case "branch":
    case "call":
      return op.to;
    case "syscall":
      return op.onError.kind === "goto" ? op.onError.label : null;
    case "sp":
    case "mov":
    case "alu":
    case "load":
    case "store":
    case "label":
    case "return":
    case "comment":
      return null;
    default:
      return assertNever(op);
  }
}

/**
 * Whether control may go on to the op that follows; a call comes back to it. Only execve among the
 * calls whose errors go elsewhere does not come back when it goes well.
 */
export function goesOn(op: Op): boolean {
  switch (op.kind) {
    case "jump":
    case "return":
      return false;
    case "syscall":
      if (op.onError.kind === "never") return false;
      return op.onError.kind !== "goto" || (op.name !== "execve" && op.name !== "execveat");
    case "sp":
    case "mov":
    case "alu":
    case "load":
    case "store":
    case "label":
    case "branch":
    case "call":
    case "comment":
      return true;
    default:
      return assertNever(op);
  }
}
