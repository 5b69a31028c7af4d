/** Arithmetic on ranges of user and group ids. */
import type { IdRange } from "../spec/host.js";

/** The highest id there is: 4294967295 means "no id" to the kernel, see chown(2) and setresuid(2). */
export const maxId = 2 ** 32 - 2;

/** A decimal number from 0 to 2^32-2, or null for any other text. */
export function parseId(text: string): number | null {
  if (!/^\d+$/.test(text)) return null;
  const id = Number(text);
  return id <= maxId ? id : null;
}

/** The ids from `start` to `last`, both included; null where there are none. */
export function rangeTo(start: number, last: number): IdRange | null {
  return last < start ? null : { start, size: last - start + 1 };
}

/** The last id of a range. */
export function lastOf(range: IdRange): number {
  return range.start + range.size - 1;
}

/** What is left of `ranges` without the ids of `hole`, in the same order. */
export function subtract(ranges: readonly IdRange[], hole: IdRange): IdRange[] {
  return ranges.flatMap((range) =>
    present([
      rangeTo(range.start, Math.min(lastOf(range), hole.start - 1)),
      rangeTo(Math.max(range.start, lastOf(hole) + 1), lastOf(range)),
    ]),
  );
}

/** What of `ranges` also lies in `within`, in the order of `ranges`. */
export function intersect(ranges: readonly IdRange[], within: readonly IdRange[]): IdRange[] {
  return ranges.flatMap((range) =>
    present(
      within.map((other) =>
        rangeTo(Math.max(range.start, other.start), Math.min(lastOf(range), lastOf(other))),
      ),
    ),
  );
}

/** The same ids with each named once: of an overlap, what an earlier range already has is cut off. */
export function withoutOverlaps(ranges: readonly IdRange[]): IdRange[] {
  const kept: IdRange[] = [];
  for (const range of ranges) kept.push(...kept.reduce(subtract, [range]));
  return kept;
}

/** Whether every id of `wanted` lies in one of `ranges`. */
export function covers(ranges: readonly IdRange[], wanted: IdRange): boolean {
  return ranges.reduce(subtract, [wanted]).length === 0;
}

/** `1000, 100000-165535`, or `none`. */
export function renderRanges(ranges: readonly IdRange[]): string {
  const shown = ranges.slice(0, 6).map(renderRange);
  if (ranges.length > shown.length) shown.push(`${ranges.length - shown.length} more ranges`);
  return shown.length === 0 ? "none" : shown.join(", ");
}

/** `100000-165535`, or the one id alone. */
export function renderRange(range: IdRange): string {
  return range.size === 1 ? `${range.start}` : `${range.start}-${lastOf(range)}`;
}

function present(ranges: readonly (IdRange | null)[]): IdRange[] {
  return ranges.filter((range) => range !== null);
}
