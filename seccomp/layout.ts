/**
 * Graph → instructions. It is written from the end to the start: jumps go forward only, so that
 * whatever a node leads to has its place already.
 */
import { fail } from "../spec/error.js";
import { inOrder, type Node } from "./graph.js";
import { type Instruction, maxInstructions, opcodes } from "./instruction.js";

/** What the distance of a conditional jump, a byte, can be. */
const reach = 255;

const relations = {
  equal: opcodes.equal,
  greaterEqual: opcodes.greaterEqual,
  anyBit: opcodes.anyBit,
} as const;

/** Gives up where the filter has more instructions than the kernel takes. */
export function layOut(root: Node): Instruction[] {
  /** The last instruction first. */
  const reversed: Instruction[] = [];
  /** For each node that has a place: how many instructions there are from it to the end. */
  const places = new Map<Node, number>();
  const emit = (code: number, k: number, jt = 0, jf = 0) => reversed.push({ code, jt, jf, k });

  const distance = (node: Node) => reversed.length - (places.get(node) ?? Number.NEGATIVE_INFINITY);
  /** Has the node within `most` instructions: where it is, or by a jump, or by a copy of a return. */
  const bring = (node: Node, most: number) => {
    if (distance(node) <= most) return;
    if (node.kind === "return") emit(opcodes.return, node.verdict);
    else emit(opcodes.jump, distance(node));
    places.set(node, reversed.length);
  };

  for (const node of inOrder(root)) {
    switch (node.kind) {
      case "return":
        // Where it is first needed.
        continue;
      case "load":
      case "calculate":
        bring(node.next, 0);
        if (node.kind === "load") emit(opcodes.load, node.offset);
        else emit(node.op === "and" ? opcodes.and : opcodes.subtract, node.k);
        break;
      case "test":
        // One more may come between, to bring the other.
        bring(node.yes, reach - 1);
        bring(node.no, reach);
        emit(relations[node.relation], node.k, distance(node.yes), distance(node.no));
        break;
    }
    places.set(node, reversed.length);
  }
  bring(root, 0);
  if (reversed.length > maxInstructions) {
    fail(
      "compile the filter",
      `it takes ${reversed.length} instructions, and the kernel admits ${maxInstructions}`,
      "Take rules with conditions out, or let fewer system calls have rules of their own",
    );
  }
  return reversed.reverse();
}
