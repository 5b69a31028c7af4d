/**
 * What a program must be before it is compiled. Code generation checks nothing, and the kernel says
 * nothing about a wrong system call whose error is ignored: this is where such faults are found.
 */
import { syscallNumbers } from "../../spec/linux.js";
import { type DataByName, describeOp } from "../listing.js";
import { verifyFlow } from "./dataflow.js";
import { operandsOf, targetOf } from "./flow.js";
import { type Address, type Data, landmarks, type Op, type Program, type Value } from "./ir.js";

/** Tells of a fault in what is being looked at. */
type Say = (text: string) => void;

/** All that is wrong with the program, each with the op's index and text; empty where it is sound. */
export function verify({ ops, data: items }: Program): string[] {
  const data: DataByName = new Map(items.map((item) => [item.name, item]));
  const violations: string[] = [];
  const describe = (index: number): string => {
    const op = ops[index];
    return `op ${index}${op === undefined ? "" : ` "${describeOp(op, data)}"`}`;
  };
  let index: number;
  const say: Say = (text) => void violations.push(`${describe(index)}: ${text}`);
  verifyData(items, data, violations);
  const sound = violations.length;
  const labels = countLabels(ops);
  for (index = 0; index < ops.length; index += 1) verifyLabels(ops[index] as Op, labels, say);
  // The ways through a program can be followed only where every label leads somewhere.
  const leads = violations.length === sound;
  for (index = 0; index < ops.length; index += 1) verifyOp(ops[index] as Op, data, say);
  if (!leads) return violations;
  return violations.concat(verifyFlow(ops).map((at) => `${describe(at.index)}: ${at.text}`));
}

function countLabels(ops: readonly Op[]): ReadonlyMap<string, number> {
  const labels = new Map<string, number>();
  for (const op of ops) {
    if (op.kind === "label") labels.set(op.name, (labels.get(op.name) ?? 0) + 1);
  }
  return labels;
}

function verifyLabels(op: Op, labels: ReadonlyMap<string, number>, say: Say): void {
  if (op.kind === "label" && labels.get(op.name) !== 1) {
    say(`the label ${op.name} is defined more than once`);
  }
  const target = targetOf(op);
  if (target !== null && !labels.has(target)) say(`the label ${target} is not defined`);
}

function verifyData(items: readonly Data[], byName: DataByName, violations: string[]): void {
  const seen = new Set<string>();
  for (const item of items) {
    const say: Say = (text) => void violations.push(`data ${item.name}: ${text}`);
    if (seen.has(item.name)) say("the name is taken");
    seen.add(item.name);
    if (item.kind === "buffer" && !(Number.isSafeInteger(item.size) && item.size > 0)) {
      say(`${item.size} is not a size in bytes`);
    }
    if (item.kind === "words") for (const word of item.items) verifyValue(word, byName, say);
  }
}

function verifyOp(op: Op, data: DataByName, say: Say): void {
  const operands = operandsOf(op);
  for (let index = 0; index < operands.length; index += 1) {
    verifyValue(operands[index] as Value, data, say);
  }
  if (op.kind === "alu") verifyAlu(op, say);
  if (op.kind === "load" || op.kind === "store") verifyAccess(op, data, say);
  if (op.kind === "syscall") verifySyscall(op, say);
}

function verifyValue(value: Value, data: DataByName, say: Say): void {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) say(`${value} is not a safe integer`);
  } else if (value.kind === "address") verifyAddress(value, data, say);
  else if (value.kind === "constant" && (value.value < smallest || value.value > greatest)) {
    say(`${value.text} does not fit 64 bits`);
  }
}

const smallest = -(1n << 63n);
const greatest = (1n << 64n) - 1n;

const isLandmark = (name: string): boolean => Object.values<string>(landmarks).includes(name);

/** The address right behind an item is one too: loops compare against it. */
function verifyAddress({ of, offset }: Address, data: DataByName, say: Say): void {
  if (isLandmark(of) && offset === 0) return;
  const item = data.get(of);
  if (item === undefined) {
    say(`no data item is named ${of}`);
    return;
  }
  const size = sizeOf(item);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > size) {
    say(`${of} has ${size} bytes, and ${offset} is outside of them`);
  }
}

function sizeOf(item: Data): number {
  if (item.kind === "bytes") return item.bytes.length;
  return item.kind === "words" ? 8 * item.items.length : item.size;
}

const isWritable = (item: Data): boolean =>
  item.kind === "buffer" || (item.kind === "words" && item.writable);

function verifyAlu({ operator, b }: Extract<Op, { kind: "alu" }>, say: Say): void {
  const known = typeof b === "number" ? b : b.kind === "constant" ? b.value : null;
  if (known === null) return;
  if (operator === "shl" || operator === "shr") {
    if (known < 0 || known > 63) say(`a shift by ${known} is not one by 0 to 63`);
  } else if ((operator === "div" || operator === "rem") && Number(known) === 0) {
    say("division by 0");
  }
}

function verifyAccess(
  op: Extract<Op, { kind: "load" | "store" }>,
  data: DataByName,
  say: Say,
): void {
  const { base, offset, width } = op;
  if (!Number.isSafeInteger(offset) || offset < -(2 ** 31) || offset >= 2 ** 31) {
    say(`the offset ${offset} does not fit 32 bits`);
  }
  if (typeof base === "number" || base.kind !== "address") return;
  const item = data.get(base.of);
  if (item === undefined) return;
  const start = base.offset + offset;
  if (start < 0 || start + width > sizeOf(item)) {
    say(`bytes ${start} to ${start + width - 1} are not all in ${base.of}`);
  }
  if (op.kind === "store" && !isWritable(item)) say(`${base.of} is read-only`);
}

const numbersByArchitecture = Object.entries(syscallNumbers);

function verifySyscall(op: Extract<Op, { kind: "syscall" }>, say: Say): void {
  const { name, onError, result } = op;
  for (const [architecture, numbers] of numbersByArchitecture) {
    if (!Object.hasOwn(numbers, name)) say(`${architecture} has no system call of that name`);
  }
  if (op.arguments.length > 6) say("a system call has six arguments at most");
  if (onError.kind === "ignore" && onError.because.trim() === "") {
    say("an error is ignored without a reason");
  }
  if (onError.kind === "result" && result === null) {
    say("errors go to the result, and there is none");
  }
  if ((onError.kind === "never") !== (name === "exit_group")) {
    say("exit_group, and no other call, never returns");
  }
  if (onError.kind === "never" && result !== null) say("a call that never returns has no result");
}
