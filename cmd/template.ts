/**
 * Templates of `--format`, a small part of those of Go's text/template that docker and podman take:
 * `{{.Field}}`, `{{.A.B}}`, `{{json .}}`, `{{index .Labels "key"}}`, `\t` and `\n`, and before all of it
 * `table` for columns under titles.
 */
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { table } from "./table.js";

/** What a template shows: of every field that it names there is a value, null where there is none of it. */
export type Fields = Readonly<Record<string, unknown>>;

type Value =
  | { readonly kind: "path"; readonly keys: readonly string[] }
  | { readonly kind: "index"; readonly of: Value; readonly keys: readonly string[] }
  | { readonly kind: "json"; readonly of: Value };

type Piece = string | Value;

export interface Template {
  readonly isTable: boolean;
  readonly pieces: readonly Piece[];
  /** As an error names it. */
  readonly at: string;
}

/** Fails on what no such template has, with what there is; and on fields other than `known` ones. */
export function readTemplate(text: string, at: string, known?: readonly string[]): Template {
  const [, isTable, body = ""] = /^(table\s+)?(.*)$/s.exec(text) ?? [];
  const pieces = body.split(/(\{\{.*?\}\})/s).map((piece): Piece => {
    if (/^\{\{.*\}\}$/s.test(piece)) {
      const value = readAction(piece.slice(2, -2), at);
      const key = firstKey(value);
      if (known !== undefined && key !== undefined) requireKey(known, key, at);
      return value;
    }
    if (piece.includes("{{")) fail(at, "a {{ has no }}");
    return piece.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  });
  return { isTable: isTable !== undefined, pieces, at };
}

function readAction(action: string, at: string): Value {
  const words = action.match(/"[^"]*"|[^\s"]+/g) ?? [];
  const [head = "", ...rest] = words;
  const path = (word = ""): Value => {
    if (!/^\.$|^(\.[A-Za-z_]\w*)+$/.test(word)) {
      fail(at, `{{${action}}} is not understood`, accepted);
    }
    return { kind: "path", keys: word.split(".").filter((key) => key !== "") };
  };
  if (head === "json" && rest.length === 1) return { kind: "json", of: path(rest[0]) };
  if (head === "index" && rest.length > 1) {
    return { kind: "index", of: path(rest[0]), keys: rest.slice(1).map(keyIn) };
  }
  if (rest.length > 0) fail(at, `{{${action}}} is not understood`, accepted);
  return path(head);

  function keyIn(word: string): string {
    if (/^\d+$/.test(word)) return word;
    if (!/^"[^"\\]*"$/.test(word)) {
      fail(at, `${word} is neither a number nor in plain quotes`, accepted);
    }
    return word.slice(1, -1);
  }
}

const firstKey = (value: Value): string | undefined =>
  value.kind === "path" ? value.keys[0] : firstKey(value.of);

function requireKey(keys: readonly string[], key: string, at: string): void {
  if (keys.includes(key)) return;
  fail(at, `no such field: .${key}`, didYouMean(key, keys) ?? `There are ${keys.join(", ")}`);
}

const accepted = 'There are {{.Field}}, {{.A.B}}, {{json .Field}} and {{index .Labels "key"}}';

/** A line for each; a table where the template says so. Fails on a field that there is none of. */
export function renderTemplate(
  template: Template,
  all: readonly Fields[],
  width: number | null,
): string {
  const lines = all.map((fields) => renderOne(template, fields));
  if (!template.isTable) return lines.map((line) => `${line}\n`).join("");
  const title = template.pieces
    .map((piece) => (typeof piece === "string" ? piece : titleOf(piece)))
    .join("");
  const columns = title.split("\t").map((each) => ({ title: each, worth: null }));
  return table(
    columns,
    lines.map((line) => line.split("\t")),
    width,
  );
}

/** docker's titles are the fields' words in capitals: `CREATED AT`. */
function titleOf(value: Value): string {
  if (value.kind !== "path") return titleOf(value.of);
  return (value.keys.at(-1) ?? "").replace(/([a-z])([A-Z])/g, "$1 $2").toUpperCase();
}

function renderOne({ pieces, at }: Template, fields: Fields): string {
  const show = (piece: Piece) =>
    typeof piece === "string" ? piece : textOf(evaluate(piece, fields, at));
  return pieces.map(show).join("");
}

function evaluate(value: Value, fields: Fields, at: string): unknown {
  switch (value.kind) {
    case "path":
      return value.keys.reduce((of: unknown, key) => member(of, key, at), fields);
    case "index":
      // What a map does not have is nothing, as with Go.
      return value.keys.reduce((of: unknown, key) => own(of, key), evaluate(value.of, fields, at));
    case "json":
      return JSON.stringify(evaluate(value.of, fields, at));
  }
}

const own = (of: unknown, key: string): unknown =>
  typeof of === "object" && of !== null && Object.hasOwn(of, key)
    ? (of as Record<string, unknown>)[key]
    : null;

function member(of: unknown, key: string, at: string): unknown {
  if (typeof of !== "object" || of === null)
    return fail(at, `there is nothing in which .${key} is`);
  requireKey(Object.keys(of), key, at);
  return own(of, key);
}

const textOf = (value: unknown): string =>
  value === null || value === undefined
    ? ""
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
