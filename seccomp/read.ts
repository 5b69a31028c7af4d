/** Reads a profile's JSON so that errors name line and column, and that integers keep their value. */
import type { Node, ParseError } from "jsonc-parser";
import { fail, type Problem, SbxError } from "../spec/error.js";
import { type Profile, profileOf } from "./profile.js";

type Json = typeof import("jsonc-parser");

/**
 * The profile in `text`, `source` being its name in errors. Fails with an `SbxError` of one problem for
 * each thing that is wrong, as `profile.json:12:5: syscalls[3].action: must be one of …`; where the
 * text is no JSON, with the first thing only.
 */
export async function readProfile(text: string, source: string): Promise<Profile> {
  return (await readChecked(text, source)).profile;
}

/** The same, as what it was in JSON, with bigints for the integers that are no safe numbers. */
export async function readProfileJson(
  text: string,
  source: string,
): Promise<Record<string, unknown>> {
  return (await readChecked(text, source)).value as Record<string, unknown>;
}

async function readChecked(
  text: string,
  source: string,
): Promise<{ readonly value: unknown; readonly profile: Profile }> {
  // A run with the default profile reads no text, and does not pay for this.
  const json = await import("jsonc-parser");
  const at = placesIn(text, source);
  const { value, offsets, repeated } = nested(at, () => read(text, at, json));
  const place = (path: string) => {
    // What is missing has no place but its owner's.
    const offset = offsets.get(path) ?? offsets.get(path.replace(/\.?[^.]*$/, "")) ?? 0;
    return path === "" ? at(offset) : `${at(offset)}: ${path}`;
  };
  try {
    const profile = nested(at, () => profileOf(value, place));
    if (repeated.length === 0) return { value, profile };
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    repeated.push(...error.problems);
  }
  throw new SbxError(repeated);
}

/** What `act` gives, which calls itself for each level of a text. */
function nested<T>(at: (offset: number) => string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail(at(0), "is nested too deeply to be read");
  }
}

/** `profile.json:12:5`: line and column, both from 1. */
function placesIn(text: string, source: string): (offset: number) => string {
  const lines = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset) => {
    // The last line that does not begin behind it: the line of every rule of a profile is asked for.
    let [line, behind] = [0, lines.length];
    while (behind - line > 1) {
      const middle = (line + behind) >> 1;
      if ((lines[middle] ?? 0) <= offset) line = middle;
      else behind = middle;
    }
    return `${source}:${line + 1}:${offset - (lines[line] ?? 0) + 1}`;
  };
}

interface Read {
  readonly value: unknown;
  /** Where the value, or the key of an object, at each path begins. */
  readonly offsets: ReadonlyMap<string, number>;
  readonly repeated: Problem[];
}

function read(text: string, at: (offset: number) => string, json: Json): Read {
  const offsets = new Map<string, number>();
  const repeated: Problem[] = [];
  const root = parse(text, at, json);

  function decoded(node: Node, path: string): unknown {
    const { type, offset, length, children = [] } = node;
    if (!offsets.has(path)) offsets.set(path, offset);
    switch (type) {
      case "object":
        return Object.fromEntries(children.flatMap((each) => decodedEntry(each, path)));
      case "array":
        return children.map((each, index) => decoded(each, `${path}[${index}]`));
      case "number": {
        const digits = text.slice(offset, offset + length);
        return Number.isSafeInteger(node.value) || !/^\d+$/.test(digits)
          ? node.value
          : BigInt(digits);
      }
      default:
        return node.value;
    }
  }

  function decodedEntry({ offset, children = [] }: Node, owner: string): [string, unknown][] {
    const [key, value] = children;
    const path = owner === "" ? key?.value : `${owner}.${key?.value}`;
    if (offsets.has(path)) {
      repeated.push({ what: `${at(offset)}: ${path}`, why: "is given twice", hint: "Keep one" });
    }
    offsets.set(path, offset);
    return value === undefined ? [] : [[key?.value, decoded(value, path)]];
  }

  return { value: decoded(root, ""), offsets, repeated };
}

/** The syntax tree; fails with the first thing that is no JSON. */
function parse(text: string, at: (offset: number) => string, json: Json): Node {
  const errors: ParseError[] = [];
  const root = json.parseTree(text, errors, { disallowComments: true });
  const [first] = errors;
  if (root !== undefined && first === undefined) return root;
  const name = first === undefined ? "ValueExpected" : json.printParseErrorCode(first.error);
  const words = name.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const why = `is no JSON here: ${words.toLowerCase()}`;
  throw new SbxError([{ what: at(first?.offset ?? 0), why }]);
}
