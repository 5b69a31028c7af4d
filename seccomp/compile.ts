/** Rule set → filter. */
import { auditArch, type SeccompArchitecture, x32Bit } from "./architecture.js";
import { decisionNode } from "./arguments.js";
import { type Decision, type DecisionTable, decisionOf, decisionTable } from "./decisions.js";
import { createGraph, type Graph, type Node } from "./graph.js";
import { type Instruction, offsets } from "./instruction.js";
import { layOut } from "./layout.js";
import { type NumberTree, numberTree } from "./numbers.js";
import type { RuleSet } from "./rules.js";
import { killProcess } from "./verdict.js";

/** The number that a tracer sets to skip a call: no call of x32, for all its bits. */
const minusOne = 0xffffffff;

/**
 * The filter that decides as the rule set does. Gives up where it would be longer than the kernel
 * admits.
 */
export function compileFilter(ruleSet: RuleSet): Instruction[] {
  const graph = createGraph();
  const nodes = new Map<string, Node>();
  const nodeOf = (decision: Decision): Node => {
    const node = nodes.get(decision.key) ?? decisionNode(graph, decision);
    nodes.set(decision.key, node);
    return node;
  };
  const { architectures } = ruleSet;
  let reference: NumberTree | null = null;
  const treeOf = ({ runs, named }: DecisionTable, upperIsLonger = false): NumberTree => {
    const tree = numberTree(graph, nodeOf, { runs, named, reference, upperIsLonger });
    // Where others decide as the first one does, they end in its tree.
    reference ??= tree;
    return tree;
  };
  const entryOf = (architecture: SeccompArchitecture): Node =>
    auditArch[architecture] === auditArch.x32
      ? splitX32(graph, nodeOf, ruleSet, treeOf)
      : treeOf(decisionTable(ruleSet, architecture)).root;

  const families = architectures.filter(
    (one, index) =>
      architectures.findIndex((other) => auditArch[other] === auditArch[one]) === index,
  );
  const entries = families.map((architecture) => ({
    arch: auditArch[architecture],
    entry: graph.load(offsets.number, entryOf(architecture)),
  }));
  const start = entries.reduceRight(
    (rest, { arch, entry }) => graph.test("equal", arch, entry, rest),
    graph.give(killProcess),
  );
  return layOut(graph.load(offsets.arch, start));
}

/** The calls of x86-64 and of x32, which have one arch: x32's numbers have its bit, but for -1. */
function splitX32(
  graph: Graph,
  nodeOf: (decision: Decision) => Node,
  ruleSet: RuleSet,
  treeOf: (table: DecisionTable, upperIsLonger?: boolean) => NumberTree,
): Node {
  const unlisted = { runs: [{ start: 0, decision: decisionOf(killProcess) }], named: 0 };
  const tableOf = (architecture: SeccompArchitecture) =>
    ruleSet.architectures.includes(architecture) ? decisionTable(ruleSet, architecture) : unlisted;
  const { runs, root } = treeOf(tableOf("x86_64"), true);
  const skipped = runs.at(-1)?.decision as Decision;
  const x32 = tableOf("x32");
  const entry =
    x32 === unlisted
      ? graph.test("equal", minusOne, nodeOf(skipped), graph.give(killProcess))
      : graph.calculate(
          "subtract",
          x32Bit,
          treeOf({
            runs: [...x32.runs, { start: minusOne - x32Bit, decision: skipped }],
            named: x32.named,
          }).root,
        );
  // Only above the first cut, so that what is below does not pay for it.
  return root.kind === "test" && root.relation === "greaterEqual"
    ? graph.test(
        "greaterEqual",
        root.k,
        graph.test("greaterEqual", x32Bit, entry, root.yes),
        root.no,
      )
    : graph.test("greaterEqual", x32Bit, entry, root);
}
