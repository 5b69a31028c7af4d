/** The search for a call's number: regions become the leaves of a tree of tests. */
import type { Decision, Run } from "./decisions.js";
import type { Graph, Node } from "./graph.js";
import { type Goal, type Region, regionsOf } from "./regions.js";
import { allow } from "./verdict.js";

/** A tree, and what it decides. */
export interface NumberTree {
  readonly runs: readonly Run[];
  /** Finds the number loaded. */
  readonly root: Node;
}

export interface TreeOptions {
  readonly runs: readonly Run[];
  /** How many numbers have rules: the tree shall not take more tests than asking for each. */
  readonly named: number;
  /** Where it decides alike, the new tree may lead into this one. */
  readonly reference: NumberTree | null;
  /** The numbers above the first cut have one more test to come before. */
  readonly upperIsLonger: boolean;
}

/** `nodeOf` gives what a decision leads to. */
export function numberTree(
  graph: Graph,
  nodeOf: (decision: Decision) => Node,
  { runs, named, reference, upperIsLonger }: TreeOptions,
): NumberTree {
  const goalNode = ({ decision }: Goal, start: number, end: number): Node =>
    decision === null ? narrow(reference?.root as Node, start, end) : nodeOf(decision);
  const leaf = ({ start, end, goal, singles }: Region): Node =>
    singles.reduceRight(
      (rest, { number, goal: own }) =>
        graph.test("equal", number, goalNode(own, number, number + 1), rest),
      goalNode(goal, start, end),
    );
  // The native architecture, whose tree is the first, has the shorter ways.
  const regions = divideAll(regionsOf(runs, reference?.runs), reference === null ? 3 : 4, named);
  const cutOf = bestCuts(regions.map(weigh), upperIsLonger);
  const tree = (from: number, to: number): Node => {
    const cut = cutOf(from, to);
    const first = regions[cut ?? from] as Region;
    if (cut === null) return leaf(first);
    return graph.test("greaterEqual", first.start, tree(cut, to), tree(from, cut));
  };
  return { runs, root: tree(0, regions.length) };
}

/**
 * Regions with more single numbers than `atMost` are cut between them: that is one test more each,
 * and fewer on the way of every call. Where it comes to more than `testsInAll`, fewer are cut.
 */
function divideAll(regions: readonly Region[], atMost: number, testsInAll: number): Region[] {
  const divide = (region: Region, singlesEach: number): Region[] => {
    const { singles } = region;
    if (singles.length <= singlesEach) return [region];
    const middle = singles[Math.ceil(singles.length / 2)]?.number as number;
    const [lower, upper] = [
      singles.filter(({ number }) => number < middle),
      singles.filter(({ number }) => number >= middle),
    ];
    return [
      ...divide({ ...region, end: middle, singles: lower }, singlesEach),
      ...divide({ ...region, start: middle, singles: upper }, singlesEach),
    ];
  };
  const longest = Math.max(...regions.map(({ singles }) => singles.length));
  for (let singlesEach = atMost; singlesEach < longest; singlesEach *= 2) {
    const divided = regions.flatMap((region) => divide(region, singlesEach));
    const singles = divided.reduce((sum, region) => sum + region.singles.length, 0);
    if (divided.length - 1 + singles <= testsInAll) return divided;
  }
  return [...regions];
}

/** How many times as dear every test makes all that comes after it: high, so that no way is long. */
const dearer = 3;

/** The more calls a region allows the shorter their way; up to eight, or the others' would be long. */
function weigh({ start, end, goal: { decision }, singles }: Region): number {
  const isAllowed = decision?.cases.length === 0 && decision.otherwise === allow;
  return (isAllowed ? 1 + Math.min(end - start, 8) : 0.1) * dearer ** singles.length;
}

/**
 * Where to cut the regions `from` to before `to` so that their weights, each as dear as the tests on
 * the way to it make it, come to the least sum; null for a single one.
 */
function bestCuts(
  weights: readonly number[],
  upperIsLonger: boolean,
): (from: number, to: number) => number | null {
  const count = weights.length;
  const at = (from: number, to: number) => from * (count + 1) + to;
  const costs = new Float64Array((count + 1) ** 2);
  const cuts = new Uint16Array((count + 1) ** 2);
  for (const [from, weight] of weights.entries()) costs[at(from, from + 1)] = weight;
  for (let size = 2; size <= count; size += 1) {
    const upper = size === count && upperIsLonger ? dearer : 1;
    for (let from = 0; from + size <= count; from += 1) {
      const to = from + size;
      let least = Number.POSITIVE_INFINITY;
      for (let cut = from + 1; cut < to; cut += 1) {
        const cost = (costs[at(from, cut)] as number) + upper * (costs[at(cut, to)] as number);
        if (cost >= least) continue;
        least = cost;
        cuts[at(from, to)] = cut;
      }
      costs[at(from, to)] = dearer * least;
    }
  }
  return (from, to) => (to - from < 2 ? null : (cuts[at(from, to)] as number));
}

/** The deepest node of a tree that decides all the numbers from `start` to before `end`. */
function narrow(root: Node, start: number, end: number): Node {
  let node = root;
  while (node.kind === "test") {
    const { relation, k } = node;
    const below = relation === "equal" ? start > k || end <= k : end <= k;
    if (below) node = node.no;
    else if (relation === "greaterEqual" && start >= k) node = node.yes;
    else break;
  }
  return node;
}
