/** The id maps that a user writes out: what is wrong with them, said before the kernel says EINVAL. */
import { type Problem, SbxError } from "../spec/error.js";
import type { IdRange } from "../spec/host.js";
import type { Mapping } from "../spec/spec.js";
import { covers, lastOf, maxId, renderRange, renderRanges } from "./ranges.js";

/** What one may map of a kind of id. */
export interface Allowance {
  readonly kind: "uid" | "gid";
  /** The caller's own id, which may always be mapped, on a line of its own. */
  readonly own: number;
  /** What may be mapped besides. */
  readonly ranges: readonly IdRange[];
  /** How many more ids can be had. */
  readonly hint: string;
}

/** `C:H:SIZE`, as `--uidmap` takes it. */
export function renderMapping(line: Mapping): string {
  return `${line.containerID}:${line.hostID}:${line.size}`;
}

/** The ids of a line inside and outside. */
export function insideOf(line: Mapping): IdRange {
  return { start: line.containerID, size: line.size };
}
function outsideOf(line: Mapping): IdRange {
  return { start: line.hostID, size: line.size };
}

/**
 * Checks a map against the rules of user_namespaces(7), "Defining user and group ID mappings", and
 * against what the user may map. Gives up with all problems at once.
 */
export function checkExplicit(lines: readonly Mapping[], allowance: Allowance): void {
  const ill = lines.flatMap((line) => {
    const why = illFormed(line) ?? forbidden(line, allowance);
    return why === null ? [] : [{ ...nameOf(line, allowance), ...why }];
  });
  const clashes = [
    ...overlaps(lines, insideOf).map(([a, b]) => clash(a, b, "inside", allowance)),
    ...overlaps(lines, outsideOf).map(([a, b]) => clash(a, b, "on the host", allowance)),
  ];
  // Overlaps among lines that are no ranges at all would only repeat the complaint.
  const problems = ill.length > 0 ? ill : clashes;
  if (problems.length > 0) throw new SbxError(problems);
}

function nameOf(line: Mapping, { kind }: Allowance): { what: string } {
  return { what: `${kind} map ${renderMapping(line)}` };
}

function illFormed(line: Mapping): Omit<Problem, "what"> | null {
  if (![line.containerID, line.hostID, line.size].every((n) => Number.isSafeInteger(n) && n >= 0))
    return { why: "its three numbers must be whole and not negative" };
  if (line.size < 1)
    return { why: "a size of 0 maps nothing", hint: "The size must be 1 or more." };
  if (lastOf(insideOf(line)) > maxId || lastOf(outsideOf(line)) > maxId)
    return { why: `it runs past ${maxId}, the highest id there is`, hint: "Give a smaller size." };
  return null;
}

function forbidden(line: Mapping, { kind, own, ranges, hint }: Allowance) {
  const wanted = outsideOf(line);
  if (covers(ranges, wanted) || (line.hostID === own && line.size === 1)) return null;
  return {
    why: `you may not map the host's ${kind}s ${renderRange(wanted)}`,
    hint: `You may map ${own} on a line of its own, and of other ${kind}s: ${renderRanges(ranges)}. ${hint}`,
  };
}

/** Pairs of lines with an id in common, each with the one that begins before it. */
function overlaps(
  lines: readonly Mapping[],
  side: (line: Mapping) => IdRange,
): [Mapping, Mapping][] {
  const sorted = [...lines].sort((a, b) => side(a).start - side(b).start);
  return sorted.slice(1).flatMap((line, i): [Mapping, Mapping][] => {
    const before = sorted[i];
    return before !== undefined && lastOf(side(before)) >= side(line).start ? [[before, line]] : [];
  });
}

function clash(a: Mapping, b: Mapping, where: string, allowance: Allowance): Problem {
  const side = where === "inside" ? insideOf : outsideOf;
  return {
    ...nameOf(b, allowance),
    why: `it overlaps ${renderMapping(a)} ${where}: ${renderRange(side(a))} and ${renderRange(side(b))}`,
    hint: `Each ${allowance.kind} can be mapped once.`,
  };
}
