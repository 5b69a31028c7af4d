/** `sbx check`: what this host offers, what it lacks, and the line that mends it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isatty } from "node:tty";
import { readFacts } from "../launch/trial/facts.js";
import type { Finding } from "../launch/trial/finding.js";
import { findings, type Verdict, verdict } from "../launch/trial/findings.js";
import { SbxError } from "../spec/error.js";
import { print } from "./print.js";
import { type Screen, screenOf } from "./screen.js";

/** What is printed, as data. */
export interface Report extends Verdict {
  readonly items: readonly Finding[];
}

/** Prints the report on standard output. Gives 0 where `sbx run` works, even in part, and else 1. */
export async function check({ json }: { readonly json: boolean }): Promise<number> {
  const report = await examine(process.env);
  const text = json
    ? `${renderJson(report, ownVersion())}\n`
    : renderText(report, screenOf(process.env, isatty(1)));
  print(text);
  return report.works ? 0 : 1;
}

async function examine(environment: NodeJS.ProcessEnv): Promise<Report> {
  try {
    const facts = await readFacts(environment);
    const items = findings(facts);
    return { items, ...verdict(items, facts) };
  } catch (error) {
    // A host that cannot even be probed is what this command is there to tell about.
    if (!(error instanceof SbxError)) throw error;
    const items = error.problems.map(
      ({ what, why, hint }): Finding => ({
        id: "host",
        state: "missing",
        found: `${what}: ${why}`,
        ...(hint === undefined ? {} : { mend: hint }),
        consequence: { kind: "fatal" },
      }),
    );
    return { items, ...verdict(items, null) };
  }
}

/** The version in package.json, which lies above the sources and above the bundle. */
function ownVersion(): string {
  const text = readFileSync(join(import.meta.dirname, "../package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** An object in a line of its own; keys are only ever added to it. */
export function renderJson(report: Report, version: string): string {
  const items = report.items.map(({ id, state, found, mend }) => ({ id, state, found, mend }));
  const { works, flags, summary } = report;
  return JSON.stringify({ version, works, flags, summary, items }, null, 2);
}

const marks = { ok: "✓", limited: "!", missing: "✗" } as const;
/** Select Graphic Rendition: green, yellow, red. */
const colours = { ok: "32", limited: "33", missing: "31" } as const;

export function renderText({ items, summary, works }: Report, screen: Screen): string {
  const arrow = screen.utf8 ? "→" : "->";
  const words = screen.utf8 && screen.terminal ? marks : null;
  const wordWidth = words === null ? "limited".length : 1;
  const idWidth = Math.max(...items.map(({ id }) => id.length));
  const coloured = (state: Finding["state"], text: string) =>
    screen.colour ? `\x1b[${colours[state]}m${text}\x1b[0m` : text;
  const lines = items.flatMap(({ id, state, found, mend }) => {
    const mark = coloured(state, (words?.[state] ?? state).padEnd(wordWidth));
    return [
      `${mark} ${id.padEnd(idWidth)}  ${oneLine(found)}`,
      ...(mend === undefined
        ? []
        : [`${" ".repeat(wordWidth + idWidth + 3)}${arrow} ${oneLine(mend)}`]),
    ];
  });
  return `${lines.join("\n")}\n\n${coloured(works ? "ok" : "missing", oneLine(summary))}\n`;
}

/** Paths and other programs' words may have control characters, which must not reach a terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
