/**
 * Decisions that depend on arguments → nodes. A filter sees words of 32 bits, so that a condition is
 * a few tests of one half or the other; what the tests before have told is not tested again.
 */
import { ask, type Knowledge, type Question } from "./conditions.js";
import type { Case, Decision } from "./decisions.js";
import { fullMask, learn, nothing } from "./facts.js";
import { type Graph, inOrder, type Node } from "./graph.js";
import { offsets } from "./instruction.js";
import type { Verdict } from "./rules.js";

/** Above this many nodes for one call, what the tests have told is given up for a plain sequence. */
const mostNodes = 1000;

/** All high words are 0. */
const narrow: Knowledge = new Map(
  [0, 1, 2, 3, 4, 5].map((index) => [offsets.high(index), { ...nothing, most: 0 }]),
);

/** Among more cases than these no flags are looked for. */
const mostFlags = 64;

/** The node that a decision begins with; no word is loaded there but the number. */
export function decisionNode(graph: Graph, { cases, otherwise, isNarrow }: Decision): Node {
  const start: Knowledge = isNarrow ? narrow : new Map();
  const plain = sequence(graph, start, cases, otherwise);
  // Each case takes a node at least.
  if (cases.length < 2 || cases.length > mostNodes) return plain;
  const clever = combine(graph, start, cases, otherwise);
  return clever !== null && inOrder(clever).length <= inOrder(plain).length ? clever : plain;
}

/** One case after the other, each from its beginning. */
function sequence(
  graph: Graph,
  start: Knowledge,
  cases: readonly Case[],
  otherwise: Verdict,
): Node {
  return cases.reduceRight(
    (rest: Node, one) => oneCase(graph, start, one, rest),
    graph.give(otherwise),
  );
}

function oneCase(graph: Graph, start: Knowledge, { conditions, verdict }: Case, rest: Node): Node {
  const build = (knowledge: Knowledge, loaded: number | null): Node => {
    const answers = conditions.map((condition) => ask(condition, knowledge));
    if (answers.includes(false)) return rest;
    const questions = answers.filter((answer) => typeof answer === "object");
    const question = questions.find(({ offset }) => offset === loaded) ?? questions[0];
    if (question === undefined) return graph.give(verdict);
    return put(graph, question, knowledge, loaded, build);
  };
  return build(start, null);
}

/** All cases at once; null where that takes too many nodes. */
function combine(
  graph: Graph,
  start: Knowledge,
  cases: readonly Case[],
  otherwise: Verdict,
): Node | null {
  const built = new Map<string, Node>();
  const identify = numbering();
  let left = mostNodes;
  const build = (before: Undecided, knowledge: Knowledge, loaded: number | null): Node => {
    const undecided = simplify(before, knowledge);
    const { open, final } = undecided;
    const questions = (open[0]?.conditions ?? []).map(
      (condition) => ask(condition, knowledge) as Question,
    );
    const question = questions.find(({ offset }) => offset === loaded) ?? questions[0];
    if (question === undefined) return graph.give(final);
    const words = wordsOf(open).map((offset) => knowledge.get(offset) ?? nothing);
    const key = [loaded, final, ...[...words, ...open].map(identify)].join();
    const same = built.get(key);
    if (same !== undefined) return same;
    left -= 1;
    if (left < 0) return graph.give(final);
    const flags = flagsOf(open, question, knowledge);
    const node =
      flags === null
        ? put(graph, question, knowledge, loaded, (facts, word) => build(undecided, facts, word))
        : put(
            graph,
            { ...question, mask: ~flags >>> 0, value: 0 },
            knowledge,
            loaded,
            (facts, word, holds) =>
              holds ? graph.give(open[0]?.verdict as Verdict) : build(undecided, facts, word),
          );
    built.set(key, node);
    return node;
  };
  const node = build({ open: cases, final: otherwise }, start, null);
  return left < 0 ? null : node;
}

/** What knowledge leaves of a decision. */
interface Undecided {
  /** The cases that may still hold, with those of their conditions that are not known to. */
  readonly open: readonly Case[];
  readonly final: Verdict;
}

function simplify(before: Undecided, knowledge: Knowledge): Undecided {
  const open: Case[] = [];
  let { final } = before;
  for (const one of before.open) {
    const { conditions, verdict } = one;
    const answers = conditions.map((condition) => ask(condition, knowledge));
    if (answers.includes(false)) continue;
    const unknown = conditions.filter((_, index) => answers[index] !== true);
    if (unknown.length === 0) {
      final = verdict;
      break;
    }
    // The same object where nothing was learnt of it.
    open.push(unknown.length === conditions.length ? one : { conditions: unknown, verdict });
  }
  while (open.at(-1)?.verdict === final) open.pop();
  return { open, final };
}

/** The offsets of the words that the cases ask about. */
function wordsOf(cases: readonly Case[]): number[] {
  const indexes = new Set(cases.flatMap(({ conditions }) => conditions.map(({ index }) => index)));
  return [...indexes].flatMap((index) => [offsets.high(index), offsets.low(index)]);
}

/** Gives each object a number, always the same. */
function numbering(): (object: object) => number {
  const numbers = new Map<object, number>();
  return (object) => {
    const number = numbers.get(object) ?? numbers.size;
    numbers.set(object, number);
    return number;
  };
}

/**
 * The first cases often name flags that may be set, in all their combinations: `fullMask` of those
 * that have nothing but this question left.
 */
function flagsOf(
  open: readonly Case[],
  { offset, mask, atLeast }: Question,
  knowledge: Knowledge,
): number | null {
  if (atLeast || mask !== 0xffffffff || open.length > mostFlags) return null;
  const values = new Set<number>();
  for (const { conditions, verdict } of open) {
    const [condition, second] = conditions;
    const isLast = condition?.op === "EQ" && offset === offsets.low(condition.index);
    const question = condition === undefined ? true : ask(condition, knowledge);
    if (second !== undefined || !isLast || verdict !== open[0]?.verdict) break;
    if (typeof question === "object" && question.offset === offset) values.add(question.value);
  }
  return fullMask(values);
}

/** The node that puts a question, and `next` for what follows each answer. */
function put(
  graph: Graph,
  { offset, mask, value, atLeast }: Question,
  knowledge: Knowledge,
  loaded: number | null,
  next: (knowledge: Knowledge, loaded: number | null, holds: boolean) => Node,
): Node {
  const facts = knowledge.get(offset) ?? nothing;
  const test = { mask, value, atLeast };
  const after = (holds: boolean) => new Map(knowledge).set(offset, learn(facts, test, holds));
  const isPartial = mask !== 0xffffffff;
  const isBit = isPartial && (value === 0 || (value === mask && (mask & (mask - 1)) === 0));
  // The mask leaves less than the word.
  const word = isPartial && !isBit ? null : offset;
  const [yes, no] = [next(after(true), word, true), next(after(false), word, false)];
  const node = atLeast
    ? graph.test("greaterEqual", value, yes, no)
    : isBit
      ? graph.test("anyBit", mask, value === 0 ? no : yes, value === 0 ? yes : no)
      : graph.test("equal", value, yes, no);
  if (yes === no) {
    // Whatever the answer: but what follows may test the word that was loaded to ask.
    const takesWord = yes.kind === "test" || yes.kind === "calculate";
    return takesWord && loaded !== offset ? graph.load(offset, yes) : yes;
  }
  const masked = word === null ? graph.calculate("and", mask, node) : node;
  return loaded === offset ? masked : graph.load(offset, masked);
}
