/** A terminal's screen as a picture: text with SGR escapes, as `tmux capture-pane -e` gives it, to SVG. */

/** How a run of characters looks. */
interface Style {
  readonly bold: boolean;
  /** Index into `colours`; null is the default colour. */
  readonly foreground: number | null;
  readonly background: number | null;
}

interface Run {
  readonly text: string;
  /** Column of the first character, from 0. */
  readonly column: number;
  readonly style: Style;
}

const plain: Style = { bold: false, foreground: null, background: null };

/** The sixteen colours of ECMA-48 terminals, in the order of their numbers. */
const colours = [
  ...["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"],
  ...["#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff"],
];
const paper = "#0d1117";
const ink = "#e6edf3";

/** Pixels. */
const cell = { width: 8, height: 19 };
const margin = 16;
const fontSize = 13;

/**
 * The screen as an SVG document that needs no font or file from outside. Every run of characters is
 * stretched to its cells, so that columns line up in whatever monospace font there is. Throws on
 * escapes other than bold and the sixteen colours.
 */
export function svg(screen: string, columns: number, title: string): string {
  const lines = screen.replace(/\n+$/, "").split("\n");
  const width = 2 * margin + columns * cell.width;
  const height = 2 * margin + lines.length * cell.height;
  let style = plain;
  const body = lines.flatMap((line, row) => {
    const { runs, last } = readLine(line, style);
    style = last;
    return runs.flatMap((run) => draw(run, row));
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${paper}"/>`,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${fontSize}" fill="${ink}" xml:space="preserve" style="white-space: pre">`,
    ...body,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/** A line's runs, and the style that the next line begins with. */
function readLine(line: string, first: Style): { runs: Run[]; last: Style } {
  const runs: Run[] = [];
  let style = first;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith("\x1b")) {
      for (const code of part.slice(2, -1).split(";")) style = restyle(style, Number(code));
    } else if (part !== "") {
      runs.push({ text: part, column, style });
      column += [...part].length;
    }
  }
  return { runs, last: style };
}

/** Select Graphic Rendition: ECMA-48, 8.3.117. */
function restyle(style: Style, code: number): Style {
  if (code === 0) return plain;
  if (code === 1) return { ...style, bold: true };
  if (code === 22) return { ...style, bold: false };
  if (code === 39) return { ...style, foreground: null };
  if (code === 49) return { ...style, background: null };
  const [base, digit] = [Math.floor(code / 10), code % 10];
  if (digit <= 7 && (base === 3 || base === 9)) {
    return { ...style, foreground: digit + (base === 9 ? 8 : 0) };
  }
  if (digit <= 7 && (base === 4 || base === 10)) {
    return { ...style, background: digit + (base === 10 ? 8 : 0) };
  }
  throw new Error(`no picture for the terminal attribute ${code}`);
}

function draw({ text, column, style }: Run, row: number): string[] {
  const x = margin + column * cell.width;
  const y = margin + row * cell.height;
  const width = [...text].length * cell.width;
  const ground =
    style.background === null
      ? []
      : [
          `<rect x="${x}" y="${y}" width="${width}" height="${cell.height}" fill="${colours[style.background]}"/>`,
        ];
  if (text.trim() === "") return ground;
  const fill = style.foreground === null ? "" : ` fill="${colours[style.foreground]}"`;
  const weight = style.bold ? ' font-weight="bold"' : "";
  return [
    ...ground,
    `<text x="${x}" y="${y + 14}" textLength="${width}" lengthAdjust="spacingAndGlyphs"${fill}${weight}>${escapeXml(text)}</text>`,
  ];
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
