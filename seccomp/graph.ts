/**
 * A filter as a graph: what each node does, and which node comes next. Nodes that are alike are one
 * node, so that whatever two architectures or two calls have in common is there once.
 */
import type { Verdict } from "./rules.js";

export type Relation = "equal" | "greaterEqual" | "anyBit";

export type Node =
  | { readonly kind: "return"; readonly verdict: Verdict; readonly id: number }
  /** The word of `seccomp_data` at `offset` is what is tested from there on. */
  | { readonly kind: "load"; readonly offset: number; readonly next: Node; readonly id: number }
  | {
      readonly kind: "calculate";
      readonly op: "and" | "subtract";
      readonly k: number;
      readonly next: Node;
      readonly id: number;
    }
  | {
      readonly kind: "test";
      readonly relation: Relation;
      readonly k: number;
      readonly yes: Node;
      readonly no: Node;
      readonly id: number;
    };

export interface Graph {
  readonly give: (verdict: Verdict) => Node;
  readonly load: (offset: number, next: Node) => Node;
  readonly calculate: (op: "and" | "subtract", k: number, next: Node) => Node;
  /** No test at all where both ways are the same. */
  readonly test: (relation: Relation, k: number, yes: Node, no: Node) => Node;
}

export function createGraph(): Graph {
  const nodes = new Map<string, Node>();
  const once = (key: string, make: (id: number) => Node): Node => {
    const known = nodes.get(key);
    if (known !== undefined) return known;
    const node = make(nodes.size);
    nodes.set(key, node);
    return node;
  };
  return {
    give: (verdict) => once(`return ${verdict}`, (id) => ({ kind: "return", verdict, id })),
    load: (offset, next) =>
      once(`load ${offset} ${next.id}`, (id) => ({ kind: "load", offset, next, id })),
    calculate: (op, k, next) =>
      once(`${op} ${k} ${next.id}`, (id) => ({ kind: "calculate", op, k, next, id })),
    test: (relation, k, yes, no) =>
      yes === no
        ? yes
        : once(`${relation} ${k} ${yes.id} ${no.id}`, (id) => ({
            kind: "test",
            relation,
            k,
            yes,
            no,
            id,
          })),
  };
}

/** What may follow a node. */
function following(node: Node): readonly Node[] {
  if (node.kind === "return") return [];
  return node.kind === "test" ? [node.yes, node.no] : [node.next];
}

/**
 * Every node that can be reached, each after all that it leads to. What a load leads to comes last
 * before it, if nothing brought it earlier.
 */
export function inOrder(root: Node): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  // Not by recursion: a graph may be a chain of thousands.
  const stack = [{ node: root, isLeft: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, isLeft } = top;
    if (isLeft) order.push(node);
    else if (!seen.has(node)) {
      seen.add(node);
      stack.push({ node, isLeft: true });
      for (const next of following(node).toReversed()) stack.push({ node: next, isLeft: false });
    }
  }
  return order;
}
