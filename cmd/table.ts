/** Tables for people, fitted to the width of their terminal. */

export interface Column {
  readonly title: string;
  /** Numbers are flush right. */
  readonly right?: true;
  /** The lower, the sooner it is left out where there is no room; null for never. */
  readonly worth: number | null;
}

/**
 * Rows of cells under their titles, a line each. In `width` columns, null for no limit, the columns
 * that are worth least are left out; where it is still too wide, the widest texts are cut at their ends, numbers never.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): string {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  let shown = [...columns.keys()];
  const total = () => shown.reduce((sum, at) => sum + (widths[at] ?? 0) + gap.length, -gap.length);
  while (width !== null && total() > width) {
    const worths = shown.flatMap((at) => columns[at]?.worth ?? []);
    if (worths.length === 0) break;
    const least = Math.min(...worths);
    shown = shown.filter((at) => columns[at]?.worth !== least);
  }
  const texts = shown.filter((at) => !columns[at]?.right);
  while (width !== null && total() > width) {
    const widest = Math.max(...texts.map((at) => widths[at] ?? 0));
    if (widest <= 1) break;
    widths[texts.find((at) => widths[at] === widest) ?? 0] = widest - 1;
  }
  return lines
    .map((line) => {
      const cells = shown.map((at) => {
        const [cell, room] = [line[at] ?? "", widths[at] ?? 0];
        const fitted = cell.length > room ? `${cell.slice(0, room - 1)}…` : cell;
        return columns[at]?.right ? fitted.padStart(room) : fitted.padEnd(room);
      });
      return `${cells.join(gap).trimEnd()}\n`;
    })
    .join("");
}

const gap = "  ";

/** Bytes in a few letters: 512B, 1.5KiB, 20MiB. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let power = 0;
  let value = bytes;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)}${units[power]}`;
}
