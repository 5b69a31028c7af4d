/**
 * Encoder of D-Bus messages, little-endian: the wire format of the D-Bus Specification 0.43, chapters
 * "Type System" and "Message Protocol".
 */

/** A value of a signature: text for `s`, `o` and `g`, arrays for `a` and structs, `Variant` for `v`. */
export type DBusValue = string | number | boolean | readonly DBusValue[] | Variant;

export interface Variant {
  readonly signature: string;
  readonly value: DBusValue;
}

export interface MethodCall {
  /** Not 0; replies name it. */
  readonly serial: number;
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** The signature of the arguments, empty where there are none. */
  readonly signature: string;
  readonly arguments: readonly DBusValue[];
}

/** Header fields, "Header Fields" of the specification. */
const field = { path: 1, interface: 2, member: 3, destination: 6, signature: 8 } as const;

/** Fields are in the order that systemd's own clients have them in. */
export function encodeCall(call: MethodCall): Uint8Array {
  const body: number[] = [];
  const types = completeTypes(call.signature);
  for (const [index, type] of types.entries()) write(body, type, call.arguments[index] ?? "");
  const fields: DBusValue[] = [
    [field.path, { signature: "o", value: call.path }],
    [field.member, { signature: "s", value: call.member }],
    [field.interface, { signature: "s", value: call.interface }],
    [field.destination, { signature: "s", value: call.destination }],
    ...(types.length === 0
      ? []
      : [[field.signature, { signature: "g", value: call.signature }] as const]),
  ];
  const message: number[] = [];
  const [littleEndian, methodCall, noFlags, version] = ["l".charCodeAt(0), 1, 0, 1];
  const start = [littleEndian, methodCall, noFlags, version, body.length, call.serial, fields];
  for (const [index, type] of completeTypes("yyyyuua(yv)").entries()) {
    write(message, type, start[index] ?? 0);
  }
  align(message, 8);
  return Uint8Array.from([...message, ...body]);
}

const fixedSizes: Readonly<Record<string, number>> = { y: 1, b: 4, u: 4 };

/** "Summary of D-Bus marshaling". */
function alignmentOf(type: string): number {
  if (type.startsWith("(")) return 8;
  if (type === "g" || type === "v") return 1;
  return fixedSizes[type] ?? 4;
}

/** Appends one value; `type` is one complete type. */
function write(out: number[], type: string, value: DBusValue): void {
  align(out, alignmentOf(type));
  if (typeof value === "number" || typeof value === "boolean") {
    writeNumber(out, Number(value), fixedSizes[type] ?? 0);
  } else if (typeof value === "string") {
    const text = new TextEncoder().encode(value);
    writeNumber(out, text.length, type === "g" ? 1 : 4);
    out.push(...text, 0);
  } else if ("signature" in value) {
    write(out, "g", value.signature);
    write(out, value.signature, value.value);
  } else if (type.startsWith("(")) {
    const types = completeTypes(type.slice(1, -1));
    for (const [index, each] of types.entries()) write(out, each, value[index] ?? "");
  } else {
    const place = out.length;
    writeNumber(out, 0, 4);
    const item = type.slice(1);
    // The padding before the first item is not counted.
    align(out, alignmentOf(item));
    const start = out.length;
    for (const each of value) write(out, item, each);
    const length: number[] = [];
    writeNumber(length, out.length - start, 4);
    out.splice(place, 4, ...length);
  }
}

function writeNumber(out: number[], value: number, size: number): void {
  if (size === 0 || !Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
    throw new Error(`${value} is no number of ${size} bytes`);
  }
  for (let byte = 0; byte < size; byte += 1) out.push((value >>> (8 * byte)) & 0xff);
}

function align(out: number[], to: number): void {
  while (out.length % to !== 0) out.push(0);
}

/** `sa(sv)u` is `s`, `a(sv)`, `u`. */
function completeTypes(signature: string): string[] {
  const types: string[] = [];
  for (let start = 0; start < signature.length; ) {
    const end = endOfType(signature, start);
    types.push(signature.slice(start, end));
    start = end;
  }
  return types;
}

function endOfType(signature: string, start: number): number {
  if (signature[start] === "a") return endOfType(signature, start + 1);
  if (signature[start] !== "(") return start + 1;
  let end = start + 1;
  while (end < signature.length && signature[end] !== ")") end = endOfType(signature, end);
  return end + 1;
}
