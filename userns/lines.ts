/** The lines of an id map: making, joining and counting them. */
import type { IdRange } from "../spec/host.js";
import type { Mapping } from "../spec/spec.js";
import { renderMapping } from "./explicit.js";
import { intersect, subtract } from "./ranges.js";

/** Whose map it is: `own` is the caller's id, `mapsAnyId` says that no helper has to allow the lines. */
interface Mapper {
  readonly own: number;
  readonly mapsAnyId: boolean;
  /** The ids of the caller's own namespace, a range for each line of its map. */
  readonly existing: readonly IdRange[];
}

/** Maps the ids of `gaps` inside, in order, to those of `pool`, until one of the two is used up. */
export function fill(pool: readonly IdRange[], gaps: readonly (IdRange | null)[]): Mapping[] {
  const lines: Mapping[] = [];
  let rest = [...pool];
  for (const gap of gaps) {
    let [start, left] = gap === null ? [0, 0] : [gap.start, gap.size];
    while (left > 0 && rest[0] !== undefined) {
      const { start: hostID, size: available } = rest[0];
      const size = Math.min(left, available);
      lines.push({ containerID: start, hostID, size });
      rest = subtract(rest, { start: hostID, size });
      [start, left] = [start + size, left - size];
    }
  }
  return lines;
}

/**
 * Sorts by the id inside, and joins lines that continue each other on both sides. The caller's own
 * line stays alone where newuidmap(1) is to write it: it allows that line by its size of 1 only.
 */
export function mergeLines(
  lines: readonly Mapping[],
  { own, mapsAnyId, existing }: Mapper,
): Mapping[] {
  const isAlone = (line: Mapping) => !mapsAnyId && line.hostID === own;
  const merged: Mapping[] = [];
  for (const line of [...lines].sort((a, b) => a.containerID - b.containerID)) {
    const before = merged.at(-1);
    const continues =
      before !== undefined &&
      before.containerID + before.size === line.containerID &&
      before.hostID + before.size === line.hostID;
    if (!continues || isAlone(before) || isAlone(line)) merged.push(line);
    else merged.splice(-1, 1, { ...before, size: before.size + line.size });
  }
  return merged.flatMap((line) => splitLine(line, existing));
}

/** A line must not reach across two lines of the map of the namespace above: the kernel gives EPERM. */
function splitLine(line: Mapping, existing: readonly IdRange[]): Mapping[] {
  const outside = { start: line.hostID, size: line.size };
  return intersect([outside], existing).map(({ start, size }) => ({
    containerID: line.containerID + start - line.hostID,
    hostID: start,
    size,
  }));
}

/** Whether the kernel takes so many lines in one write of less than a page: user_namespaces(7). */
export function fits(lines: readonly Mapping[], limit: number): boolean {
  const text = lines.map((line) => `${renderMapping(line)}\n`).join("");
  return lines.length <= limit && text.length < 4096;
}

/** Leaves out lines from the end, but for the caller's own, until the rest fits. */
export function shorten(lines: readonly Mapping[], limit: number, { own }: Mapper): Mapping[] {
  const kept = [...lines];
  while (!fits(kept, limit))
    kept.splice(
      kept.findLastIndex((line) => line.hostID !== own),
      1,
    );
  return kept;
}
