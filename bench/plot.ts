/** Bars as an SVG document that needs no font or file from outside. */

/** One line: both lengths in the unit of the title. */
export interface Bar {
  readonly name: string;
  readonly median: number;
  readonly p10: number;
}

/** Pixels. */
const width = 760;
const left = 250;
const right = 70;
const rowHeight = 26;
const top = 44;

/**
 * A bar for each up to its median, dark up to its 10th percentile. Those far beyond the others are cut
 * off, and say their number.
 */
export function plot(title: string, bars: readonly Bar[]): string {
  const sorted = bars.map(({ median }) => median).sort((a, b) => a - b);
  const scale = (sorted[Math.floor(sorted.length / 2)] ?? 1) * 2.5;
  const length = (value: number) =>
    Math.round((Math.min(value, scale) / scale) * (width - left - right));
  const rows = bars.map(({ name, median, p10 }, index) => {
    const y = top + index * rowHeight;
    return [
      `<text x="${left - 8}" y="${y + 14}" text-anchor="end">${escapeXml(name)}</text>`,
      `<rect x="${left}" y="${y}" width="${length(median)}" height="18" fill="#9ecbff"/>`,
      `<rect x="${left}" y="${y}" width="${length(p10)}" height="18" fill="#1f6feb"/>`,
      `<text x="${left + length(median) + 6}" y="${y + 14}">${p10.toFixed(1)} – ${median.toFixed(1)}</text>`,
    ].join("\n");
  });
  const height = top + bars.length * rowHeight + 12;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<g font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">`,
    `<text x="12" y="24" font-weight="bold">${escapeXml(title)}</text>`,
    ...rows,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

const escapeXml = (text: string): string =>
  text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
