/**
 * What the codes of classic BPF mean: all that seccomp_check_filter() of kernel/seccomp.c lets pass,
 * which is more than filters here are made of.
 */

/** The accumulator and the index register. */
export type Register = "a" | "x";
export type Operand = "k" | "x";
export type Operator = "+" | "-" | "*" | "/" | "|" | "&" | "<<" | ">>" | "^";
/** `&`: any bit in common. */
export type Relation = "==" | ">" | ">=" | "&";

/** An instruction but for its K and its jumps. */
export type Meaning =
  | { readonly kind: "load"; readonly to: Register; readonly from: Source }
  | { readonly kind: "store"; readonly from: Register }
  | { readonly kind: "copy"; readonly to: Register; readonly from: Register }
  | { readonly kind: "negate" | "jump" }
  | { readonly kind: "calculate"; readonly operator: Operator; readonly operand: Operand }
  | { readonly kind: "branch"; readonly relation: Relation; readonly operand: Operand }
  | { readonly kind: "return"; readonly value: "k" | "a" };

/** `data` is `struct seccomp_data`, `size` the size of it. */
export type Source = "data" | "size" | "memory" | "k";

/** BPF_X, which takes the index register in place of K. */
const fromX = 0x08;

const meanings = new Map<number, Meaning>([
  [0x20, { kind: "load", to: "a", from: "data" }],
  [0x80, { kind: "load", to: "a", from: "size" }],
  [0x81, { kind: "load", to: "x", from: "size" }],
  [0x60, { kind: "load", to: "a", from: "memory" }],
  [0x61, { kind: "load", to: "x", from: "memory" }],
  [0x00, { kind: "load", to: "a", from: "k" }],
  [0x01, { kind: "load", to: "x", from: "k" }],
  [0x02, { kind: "store", from: "a" }],
  [0x03, { kind: "store", from: "x" }],
  [0x07, { kind: "copy", to: "x", from: "a" }],
  [0x87, { kind: "copy", to: "a", from: "x" }],
  [0x84, { kind: "negate" }],
  [0x05, { kind: "jump" }],
  [0x06, { kind: "return", value: "k" }],
  [0x16, { kind: "return", value: "a" }],
  ...calculations(0x04, "+"),
  ...calculations(0x14, "-"),
  ...calculations(0x24, "*"),
  ...calculations(0x34, "/"),
  ...calculations(0x44, "|"),
  ...calculations(0x54, "&"),
  ...calculations(0x64, "<<"),
  ...calculations(0x74, ">>"),
  ...calculations(0xa4, "^"),
  ...branches(0x15, "=="),
  ...branches(0x25, ">"),
  ...branches(0x35, ">="),
  ...branches(0x45, "&"),
]);

function calculations(code: number, operator: Operator): [number, Meaning][] {
  return [
    [code, { kind: "calculate", operator, operand: "k" }],
    [code | fromX, { kind: "calculate", operator, operand: "x" }],
  ];
}

function branches(code: number, relation: Relation): [number, Meaning][] {
  return [
    [code, { kind: "branch", relation, operand: "k" }],
    [code | fromX, { kind: "branch", relation, operand: "x" }],
  ];
}

/** By linux/bpf_common.h; undefined for a code that seccomp does not admit. */
export function meaningOf(code: number): Meaning | undefined {
  return meanings.get(code);
}
