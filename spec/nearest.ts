/** "Did you mean": the candidate that a mistyped word most likely stands for. */

/**
 * The number of insertions, deletions, substitutions and swaps of neighbours that turn one word
 * into the other (optimal string alignment distance).
 */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= a.length; row++) {
    const current: number[] = [row];
    rows.push(current);
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
        swapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return at(a.length, b.length);
}

/**
 * The candidate nearest to the word, case aside, or null where none is near: at most a third of
 * the word may differ, or the word is the beginning of a candidate. Of equals the first wins.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const sought = word.toLowerCase();
  const allowed = Math.max(1, Math.floor(sought.length / 3));
  let best: { candidate: string; distance: number } | null = null;
  for (const candidate of candidates) {
    const known = candidate.toLowerCase();
    const distance =
      sought.length >= 3 && known.startsWith(sought) ? 0.5 : editDistance(sought, known);
    // A word of one or two letters is within one edit of every other such word.
    if (distance > allowed || distance >= Math.max(sought.length, known.length) / 1.5) continue;
    if (best === null || distance < best.distance) best = { candidate, distance };
  }
  return best?.candidate ?? null;
}

/** `Did you mean X?`, or undefined where nothing is near. Fits the hint of a `Problem`. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const found = nearest(word, candidates);
  return found === null ? undefined : `Did you mean ${found}?`;
}
