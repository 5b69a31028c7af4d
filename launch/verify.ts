/**
 * What a program must be before it is compiled. Code generation checks nothing, and the kernel says
 * nothing about a wrong system call whose error is ignored: this is where such faults are found.
 */
import { syscallNumbers } from "../spec/linux.js";
import { verifyFlow } from "./dataflow.js";
import { addressesOf, edgesOf, operandsOf } from "./flow.js";
import type { Address, Data, Op, Program, Value } from "./ir.js";
import { type DataByName, dataByName, describeOp } from "./listing.js";

/** All that is wrong with the program, each with the op's index and text; empty where it is sound. */
export function verify(program: Program): string[] {
  const data = dataByName(program);
  const labels = new Map<string, number>();
  for (const { kind, name } of program.ops.filter((op) => op.kind === "label")) {
    if (kind === "label") labels.set(name, (labels.get(name) ?? 0) + 1);
  }
  const name = (index: number): string => {
    const op = program.ops[index];
    return `op ${index}${op === undefined ? "" : ` "${describeOp(op, data)}"`}`;
  };
  const check = (rule: (op: Op) => string[]): string[] =>
    program.ops.flatMap((op, index) => rule(op).map((text) => `${name(index)}: ${text}`));
  const mislabelled = check((op) => verifyLabels(op, labels));
  const violations = [
    ...verifyData(program, data),
    ...mislabelled,
    ...check((op) => verifyOp(op, data)),
  ];
  // The ways through a program can be followed only where every label leads somewhere.
  if (mislabelled.length > 0) return violations;
  const flow = verifyFlow(program.ops).map(({ index, text }) => `${name(index)}: ${text}`);
  return [...violations, ...flow];
}

function verifyLabels(op: Op, labels: ReadonlyMap<string, number>): string[] {
  if (op.kind === "label") {
    return labels.get(op.name) === 1 ? [] : [`the label ${op.name} is defined more than once`];
  }
  const targets = edgesOf(op).flatMap(({ to }) => (to === null ? [] : [to]));
  if (op.kind === "call") targets.push(op.to);
  return targets
    .filter((target) => !labels.has(target))
    .map((target) => `the label ${target} is not defined`);
}

function verifyData({ data }: Program, byName: DataByName): string[] {
  const seen = new Set<string>();
  return data.flatMap((item) => {
    const problems: string[] = [];
    if (seen.has(item.name)) problems.push("the name is taken");
    seen.add(item.name);
    if (item.kind === "buffer" && !(Number.isSafeInteger(item.size) && item.size > 0)) {
      problems.push(`${item.size} is not a size in bytes`);
    }
    if (item.kind === "words") {
      for (const word of item.items) {
        problems.push(
          ...(typeof word === "number" ? verifyNumber(word) : verifyAddress(word, byName)),
        );
      }
    }
    return problems.map((text) => `data ${item.name}: ${text}`);
  });
}

function verifyOp(op: Op, data: DataByName): string[] {
  const problems = [
    ...operandsOf(op).flatMap(verifyValue),
    ...addressesOf(op).flatMap((address) => verifyAddress(address, data)),
  ];
  if (op.kind === "alu") problems.push(...verifyAlu(op));
  if (op.kind === "load" || op.kind === "store") problems.push(...verifyAccess(op, data));
  if (op.kind === "syscall") problems.push(...verifySyscall(op));
  return problems;
}

function verifyNumber(value: number): string[] {
  return Number.isSafeInteger(value) ? [] : [`${value} is not a safe integer`];
}

function verifyValue(value: Value): string[] {
  if (typeof value === "number") return verifyNumber(value);
  if (value.kind !== "constant") return [];
  const fits = value.value >= -(1n << 63n) && value.value < 1n << 64n;
  return fits ? [] : [`${value.text} does not fit 64 bits`];
}

/** The address right behind an item is one too: loops compare against it. */
function verifyAddress({ of, offset }: Address, data: DataByName): string[] {
  const item = data.get(of);
  if (item === undefined) return [`no data item is named ${of}`];
  const inside = Number.isSafeInteger(offset) && offset >= 0 && offset <= sizeOf(item);
  return inside ? [] : [`${of} has ${sizeOf(item)} bytes, and ${offset} is outside of them`];
}

function sizeOf(item: Data): number {
  if (item.kind === "bytes") return item.bytes.length;
  return item.kind === "words" ? 8 * item.items.length : item.size;
}

const isWritable = (item: Data): boolean =>
  item.kind === "buffer" || (item.kind === "words" && item.writable);

function verifyAlu({ operator, b }: Extract<Op, { kind: "alu" }>): string[] {
  const known = typeof b === "number" ? b : b.kind === "constant" ? b.value : null;
  if (known === null) return [];
  if (operator === "shl" || operator === "shr") {
    return known >= 0 && known <= 63 ? [] : [`a shift by ${known} is not one by 0 to 63`];
  }
  if (operator === "div" || operator === "rem") return Number(known) === 0 ? ["division by 0"] : [];
  return [];
}

function verifyAccess(op: Extract<Op, { kind: "load" | "store" }>, data: DataByName): string[] {
  const { base, offset, width } = op;
  const problems: string[] = [];
  if (!Number.isSafeInteger(offset) || offset < -(2 ** 31) || offset >= 2 ** 31) {
    problems.push(`the offset ${offset} does not fit 32 bits`);
  }
  if (typeof base === "number" || base.kind !== "address") return problems;
  const item = data.get(base.of);
  if (item === undefined) return problems;
  const start = base.offset + offset;
  if (start < 0 || start + width > sizeOf(item)) {
    problems.push(`bytes ${start} to ${start + width - 1} are not all in ${base.of}`);
  }
  if (op.kind === "store" && !isWritable(item)) problems.push(`${base.of} is read-only`);
  return problems;
}

function verifySyscall(op: Extract<Op, { kind: "syscall" }>): string[] {
  const { name, onError, result } = op;
  const problems = Object.entries(syscallNumbers)
    .filter(([, numbers]) => !Object.hasOwn(numbers, name))
    .map(([architecture]) => `${architecture} has no system call of that name`);
  if (op.arguments.length > 6) problems.push("a system call has six arguments at most");
  if (onError.kind === "ignore" && onError.because.trim() === "") {
    problems.push("an error is ignored without a reason");
  }
  if (onError.kind === "result" && result === null) {
    problems.push("errors go to the result, and there is none");
  }
  if ((onError.kind === "never") !== (name === "exit_group")) {
    problems.push("exit_group, and no other call, never returns");
  }
  if (onError.kind === "never" && result !== null) {
    problems.push("a call that never returns has no result");
  }
  return problems;
}
