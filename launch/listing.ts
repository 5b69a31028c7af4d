/**
 * Programs as text, like an annotated strace: what `explain --stage=program` prints and golden
 * tests hold. It shows ops, not machine code, so that it is the same for every architecture.
 */
import { assertNever } from "../spec/assert-never.js";
import type { AluOperator, Condition, Data, Op, Program, Value, Width } from "./machine/ir.js";

const operators = {
  add: "+",
  sub: "-",
  and: "&",
  or: "|",
  shl: "<<",
  shr: ">>>",
  div: "/",
  rem: "%",
} as const satisfies Record<AluOperator, string>;

const comparisons = {
  eq: "==",
  ne: "!=",
  lt: "<",
  ge: ">=",
  le: "<=",
  gt: ">",
} as const satisfies Record<Condition, string>;

const memories = { 1: "byte", 4: "int32", 8: "int64" } as const satisfies Record<Width, string>;

/** How much of a string is shown, in characters. */
const shownCharacters = 60;

/** Data items by name, as `describeOp` wants them. */
export type DataByName = ReadonlyMap<string, Data>;

/** The items of a program by name. */
function dataByName({ data }: Pick<Program, "data">): DataByName {
  return new Map(data.map((item) => [item.name, item]));
}

/** The program, one op a line, labels outdented; ends with a newline. */
export function listing(program: Program): string {
  const data = dataByName(program);
  return program.ops
    .map((op) => `${op.kind === "label" ? "" : "  "}${describeOp(op, data)}\n`)
    .join("");
}

/** One op in one line, without indentation. */
export function describeOp(op: Op, data: DataByName): string {
  const show = (value: Value): string => describeValue(value, data);
  switch (op.kind) {
    case "sp":
      return `${op.to.name} = initial stack pointer`;
    case "mov":
      return `${op.to.name} = ${show(op.from)}`;
    case "alu":
      return `${op.to.name} = ${show(op.a)} ${operators[op.operator]} ${show(op.b)}`;
    case "load":
      return `${op.to.name} = ${place(op, data)}`;
    case "store":
      return `${place(op, data)} = ${show(op.from)}`;
    case "label":
      return `${op.name}:`;
    case "jump":
      return `goto ${op.to}`;
    case "branch":
      return `if ${show(op.a)} ${comparisons[op.condition]} ${show(op.b)} goto ${op.to}`;
    case "call":
      return `call ${op.to}`;
    case "return":
      return "return";
    case "syscall": {
      const result = op.result === null ? "" : `${op.result.name} = `;
      return `${result}${op.name}(${op.arguments.map(show).join(", ")})${describeError(op)}`;
    }
    case "comment":
      return `# ${op.text.replaceAll("\n", "\n  # ")}`;
    default:
      return assertNever(op);
  }
}

function describeError({ onError }: Extract<Op, { kind: "syscall" }>): string {
  switch (onError.kind) {
    case "goto":
      return `   → ${onError.label}`;
    case "result":
      return "   → result";
    case "ignore":
      return `   ! ignored: ${onError.because}`;
    case "never":
      return "";
    default:
      return assertNever(onError);
  }
}

/** The memory of a load or store: `int32[&request + 4]`. */
function place(op: Extract<Op, { kind: "load" | "store" }>, data: DataByName): string {
  const { base, offset, width } = op;
  return `${memories[width]}[${describeValue(base, data)}${signed(offset)}]`;
}

const signed = (offset: number): string =>
  offset === 0 ? "" : offset < 0 ? ` - ${-offset}` : ` + ${offset}`;

function describeValue(value: Value, data: DataByName): string {
  if (typeof value === "number") return String(value);
  switch (value.kind) {
    case "constant":
      return value.text;
    case "slot":
      return value.name;
    case "address": {
      const item = value.offset === 0 ? data.get(value.of) : undefined;
      const text = item?.kind === "bytes" ? stringOf(item.bytes) : null;
      return text ?? `&${value.of}${signed(value.offset)}`;
    }
    default:
      return assertNever(value);
  }
}

/** The bytes as a quoted string where they are text with one NUL, at the end. */
function stringOf(bytes: Uint8Array): string | null {
  if (bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1) return null;
  const text = Buffer.from(bytes.subarray(0, -1)).toString("latin1");
  // As strace does it, so that the line stays one line and any bytes can be told apart.
  const escaped = Array.from(text.slice(0, shownCharacters), (character) => {
    const known = escapes[character];
    if (known !== undefined) return known;
    const printable = character >= " " && character <= "~";
    return printable ? character : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${escaped.join("")}"${text.length > shownCharacters ? "…" : ""}`;
}

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
