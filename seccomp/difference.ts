/**
 * What one rule set lets through that another does not. Conditions are compared as they are
 * written: two that mean the same and look different are a difference. Pure.
 */
import { auditArch, type SeccompArchitecture } from "./architecture.js";
import { decide } from "./decide.js";
import { describeConditions } from "./describe.js";
import type { Rule, RuleSet, Verdict } from "./rules.js";
import { tableOf } from "./syscalls.js";
import { allow, describeVerdict, log } from "./verdict.js";

export interface Side {
  /** What people call the profile. */
  readonly name: string;
  readonly ruleSet: RuleSet;
}

/** The sections of the text, each with its lines; a line with the architectures that it is true for. */
type Sections = Map<string, Map<string, SeccompArchitecture[]>>;

/** Lines, none where there is no difference. Both sides are of one machine. */
export function describeDifference(a: Side, b: Side): string[] {
  const all = [...new Set([...a.ruleSet.architectures, ...b.ruleSet.architectures])];
  const sections: Sections = new Map();
  for (const architecture of all) compare(a, b, architecture, sections);
  const order = [only(a), only(b), otherwise(a, b)].filter((title) => sections.has(title));
  return order.flatMap((title) => [`${title}:`, ...linesOf(sections.get(title) ?? new Map(), all)]);
}

const only = ({ name }: Side) => `allowed only by ${name}`;
const otherwise = (a: Side, b: Side) => `other differences, ${a.name} and ${b.name}`;

function compare(a: Side, b: Side, architecture: SeccompArchitecture, sections: Sections): void {
  const note = (title: string, line: string) => {
    const lines = sections.get(title) ?? new Map<string, SeccompArchitecture[]>();
    lines.set(line, [...(lines.get(line) ?? []), architecture]);
    sections.set(title, lines);
  };
  for (const [name, number] of callsOf(architecture)) {
    const [ours, theirs] = [a, b].map(({ ruleSet }) =>
      answerOf(ruleSet, architecture, name, number),
    );
    if (ours === undefined || theirs === undefined || ours.text === theirs.text) continue;
    const more = lead(ours.ways, theirs.ways);
    const less = lead(theirs.ways, ours.ways);
    for (const way of more) note(only(a), `${name}${way}${aside(theirs)}`);
    for (const way of less) note(only(b), `${name}${way}${aside(ours)}`);
    if (more.length + less.length === 0) {
      note(otherwise(a, b), `${name}: ${ours.text} and ${theirs.text}`);
    }
  }
}

/** All calls by name, and one number each that stands for those without. */
function callsOf(architecture: SeccompArchitecture): [string, number][] {
  const calls = [...tableOf(architecture)];
  const numbers = calls.map(([, number]) => number);
  const gap = numbers.find((number) => !numbers.includes(number + 1)) ?? 0;
  return [
    ...calls,
    ["a number without a call", gap + 1],
    ["a newer call", Math.max(...numbers) + 1],
  ];
}

/** What the other side says, where that is more than no. */
function aside({ ways, text }: Answer): string {
  return ways.length === 0 ? "" : ` (the other: ${text})`;
}

interface Answer {
  /** Under which conditions the call is let through, in words after its name; "" is always. */
  readonly ways: readonly string[];
  /** All that is said about the call; the same text for the same. */
  readonly text: string;
}

function answerOf(
  ruleSet: RuleSet,
  architecture: SeccompArchitecture,
  name: string,
  number: number,
): Answer {
  const rules = ruleSet.architectures.includes(architecture)
    ? ruleSet.rules.filter(({ names }) => names.includes(name))
    : [];
  const isSettled = rules.some(({ conditions }) => conditions.length === 0);
  const cases = isSettled ? [] : ordered(rules);
  const last =
    cases.length > 0
      ? ruleSet.defaultVerdict
      : decide(ruleSet, auditArch[architecture], number, []).verdict;
  const refused: string[] = [];
  const ways: string[] = [];
  for (const { verdict, when } of cases) {
    if (isAllowed(verdict)) ways.push(` if ${when}${unless(refused)}`);
    else refused.push(when);
  }
  if (isAllowed(last)) ways.push(unless(refused));
  return {
    ways: ways.includes("") ? [""] : ways,
    text: [
      ...cases.map(({ verdict, when }) => `${describeVerdict(verdict)} if ${when}`),
      `${cases.length > 0 ? "else " : ""}${describeVerdict(last)}`,
    ].join(", "),
  };
}

/** Where all have one action their order says nothing, nor does saying it twice. */
function ordered(rules: readonly Rule[]): { verdict: Verdict; when: string }[] {
  const cases = rules.map(({ verdict, conditions }) => ({
    verdict,
    when: describeConditions(conditions),
  }));
  const [first] = cases;
  if (first === undefined || cases.some(({ verdict }) => verdict !== first.verdict)) return cases;
  return [...new Set(cases.map(({ when }) => when))]
    .sort()
    .map((when) => ({ verdict: first.verdict, when }));
}

const isAllowed = (verdict: Verdict) => verdict === allow || verdict === log;
const unless = (refused: readonly string[]) =>
  refused.length === 0 ? "" : ` unless ${refused.join(" || ")}`;

/** The ways that the others have not. */
function lead(ways: readonly string[], others: readonly string[]): string[] {
  return others.includes("") ? [] : ways.filter((way) => !others.includes(way));
}

/** Sorted, with the architectures where a line is not true for all of them. */
function linesOf(
  lines: ReadonlyMap<string, readonly SeccompArchitecture[]>,
  all: readonly SeccompArchitecture[],
): string[] {
  return [...lines]
    .map(([line, on]) => `  ${line}${on.length === all.length ? "" : ` on ${on.join(", ")}`}`)
    .sort();
}
