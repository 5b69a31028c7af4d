/**
 * Runs of numbers → regions, as few and as large as can be. Between two regions there is one test;
 * a single number that is taken out of a region is one test too, where cutting it out takes two.
 */
import type { Decision, Run } from "./decisions.js";

/** What a number leads to; the same key for the same. */
export interface Goal {
  readonly key: string;
  /** Null: what the reference decides. */
  readonly decision: Decision | null;
}

/** Numbers from `start` to before `end` that lead to `goal`, but for the single ones. */
export interface Region {
  readonly start: number;
  readonly end: number;
  readonly goal: Goal;
  readonly singles: readonly { readonly number: number; readonly goal: Goal }[];
}

/** Numbers that are alike. Any of `goals` is right for them, the first being their own. */
interface Segment {
  readonly start: number;
  readonly end: number;
  readonly goals: readonly [Goal, ...Goal[]];
}

const numbersEnd = 2 ** 32;
const asReference: Goal = { key: "reference", decision: null };

/** `reference`: runs of another tree, to which numbers that it decides alike may be left. */
export function regionsOf(runs: readonly Run[], reference: readonly Run[] = []): Region[] {
  return cheapest(segmentsOf(runs, reference)).reduce((regions: Region[], { goal, ...step }) => {
    const { start, end } = step.segment;
    const singles = step.single === null ? [] : [{ number: start, goal: step.single }];
    const last = regions.at(-1);
    if (last?.goal.key !== goal.key) regions.push({ start, end, goal, singles });
    else regions.splice(-1, 1, { ...last, end, singles: last.singles.concat(singles) });
    return regions;
  }, []);
}

/** Cuts the runs at each other's starts. */
function segmentsOf(runs: readonly Run[], reference: readonly Run[]): Segment[] {
  const all = [...runs, ...reference].map(({ start }) => start);
  const starts = [...new Set(all)].sort((a, b) => a - b);
  const decisionAt = (list: readonly Run[], number: number) =>
    list.findLast(({ start }) => start <= number)?.decision;
  return starts.map((start, index) => {
    const decision = decisionAt(runs, start) as Decision;
    const own: Goal = { key: decision.key, decision };
    const isSame = decisionAt(reference, start)?.key === decision.key;
    const end = starts[index + 1] ?? numbersEnd;
    return { start, end, goals: isSame ? [own, asReference] : [own] };
  });
}

/** How a segment is dealt with, at the end of the cheapest way there. */
interface Step {
  /** Tests up to here. */
  readonly cost: number;
  readonly previous: Step | null;
  readonly segment: Segment;
  /** That of the region which the segment belongs to. */
  readonly goal: Goal;
  /** Its own, where it is a single number taken out of the region. */
  readonly single: Goal | null;
}

/**
 * The way through the segments that takes the fewest tests. For each goal that a region can have at
 * a segment, the cheapest way to get there is kept: the region goes on, or a new one begins, or it
 * goes on around a single number.
 */
function cheapest(segments: readonly Segment[]): Step[] {
  let steps: (Step | null)[] = [null];
  for (const segment of segments) {
    const { start, end, goals } = segment;
    const next = new Map<string, Step>();
    const offer = (step: Step) => {
      const known = next.get(step.goal.key);
      if (known === undefined || step.cost < known.cost) next.set(step.goal.key, step);
    };
    for (const previous of steps) {
      const { cost, goal: before } = previous ?? { cost: -1, goal: null };
      for (const goal of goals) {
        const isNew = goal.key !== before?.key;
        offer({ cost: cost + (isNew ? 1 : 0), previous, segment, goal, single: null });
      }
      if (before !== null && end === start + 1) {
        offer({ cost: cost + 1, previous, segment, goal: before, single: goals[0] });
      }
    }
    steps = [...next.values()];
  }
  const way: Step[] = [];
  let step = steps.reduce((a, b) => (a !== null && b !== null && b.cost < a.cost ? b : a)) ?? null;
  for (; step !== null; step = step.previous) way.push(step);
  return way.reverse();
}
