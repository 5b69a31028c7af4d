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
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at] ?? ""))));
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
        const fitted = cut(cell, room);
        const blanks = " ".repeat(room - widthOf(fitted));
        return columns[at]?.right ? `${blanks}${fitted}` : `${fitted}${blanks}`;
      });
      return `${cells.join(gap).trimEnd()}\n`;
    })
    .join("");
}

const gap = "  ";

/** Of East Asia and of pictures, which take two columns (UAX #11); what is put on another character takes none. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const combined = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** In columns of a terminal. */
function widthOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  return [...text].reduce((sum, c) => sum + (combined.test(c) ? 0 : wide.test(c) ? 2 : 1), 0);
}

/** A text in so many columns, with its end left out where it has more. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let room = width - 1;
  for (const letter of text) {
    room -= widthOf(letter);
    if (room < 0) break;
    kept += letter;
  }
  return `${kept}…`;
}

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
