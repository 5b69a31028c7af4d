/** `sbx ps`: the sandboxes that run, and those that are kept. */
import { writeSync } from "node:fs";
import { callersPlaces, listViews, type SandboxView } from "../launch/life/sandboxes.js";
import { fail, renderProblem } from "../spec/error.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { wholeNumber } from "./privileges.js";
import { type PsFields, psFieldNames, psFields } from "./ps-fields.js";
import { screenOf } from "./screen.js";
import { type Column, cut, table } from "./table.js";
import { type Fields, readTemplate, renderTemplate } from "./template.js";
import { asksForStopped, readFilters } from "./view-filters.js";

/** `argv` is what follows `ps`. */
export async function ps(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.ps.options);
  if (words.length > 0) fail(`ps ${words.join(" ")}`, "takes no names", "Give --filter name=NAME");
  const template =
    flags.format === undefined || flags.format === "json"
      ? null
      : readTemplate(flags.format, `--format ${flags.format}`, psFieldNames);
  const { views, damaged } = await listViews(callersPlaces(process.env));
  for (const { problem } of damaged) writeSync(2, `${renderProblem(problem)}\n`);
  const filters = flags.filter ?? [];
  const last = flags.latest === true ? 1 : readLast(flags.last);
  const isShown = readFilters(filters, views);
  const all = flags.all === true || last !== null || asksForStopped(filters);
  const shown = views
    .filter((view) => isShown(view) && (all || !["created", "exited"].includes(view.status)))
    .reverse()
    .slice(0, last ?? views.length);
  const nowMs = Date.now();
  const rows = shown.map((view) => psFields(view, nowMs));
  const { isTTY, columns: width } = process.stdout;
  if (flags.quiet === true) print(rows.map(({ ID }) => `${ID}\n`).join(""));
  else if (flags.json === true || flags.format === "json") {
    print(`${JSON.stringify(rows, null, 2)}\n`);
  } else if (template !== null) {
    print(renderTemplate(template, rows as unknown as Fields[], isTTY ? width : null));
  } else {
    const text = table(
      columns,
      rows.map((row) => cells(row, flags["no-trunc"] === true)),
      isTTY ? width : null,
    );
    print(screenOf(process.env, isTTY).colour ? coloured(text, shown) : text);
  }
  return 0;
}

function readLast(text: string | undefined): number | null {
  if (text === undefined) return null;
  return wholeNumber(text, 1, 2 ** 31) ?? fail(`--last ${text}`, "must be a number above zero");
}

const columns: readonly Column[] = [
  { title: "SANDBOX ID", worth: 5 },
  { title: "ROOTFS", worth: 3 },
  { title: "COMMAND", worth: 4 },
  { title: "CREATED", worth: 2 },
  { title: "STATUS", worth: null },
  { title: "PORTS", worth: 1 },
  { title: "NAMES", worth: null },
];

function cells(row: PsFields, isWhole: boolean): string[] {
  const { ID, Rootfs, Command, RunningFor, Status, Ports, Names } = row;
  const command = isWhole ? Command : cut(Command, 20);
  return [ID, Rootfs, `"${command}"`, RunningFor, Status, Ports, Names];
}

/** Select Graphic Rendition: yellow for what waits, red for what has failed, and what has ended is faint. */
function coloured(text: string, views: readonly SandboxView[]): string {
  const [title = "", ...lines] = text.trimEnd().split("\n");
  const rows = lines.map((line, index) => {
    const { status, exitCode } = views[index] ?? {};
    const isFailure = status === "exited" && exitCode !== 0;
    const isOver = status === "exited" || status === "created";
    const colour = status === "running" ? null : isFailure ? 31 : isOver ? 2 : 33;
    return colour === null ? line : `\x1b[${colour}m${line}\x1b[0m`;
  });
  return `${[title, ...rows].join("\n")}\n`;
}
