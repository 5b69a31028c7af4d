/** Queries in bytes, and what an answerer should make of them, written without regard to how it does it. */
import { isIPv6 } from "node:net";
import { bytes6 } from "../../netns/dns.js";
import type { LabPort } from "./lab.js";

export const type = { A: 1, PTR: 12, MX: 15, AAAA: 28, AXFR: 252 } as const;

/** A query for one name, given as its labels. */
export function query(labels: readonly (string | Uint8Array)[], kind: number, id = 0x1234): Buffer {
  const name = labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([
    Buffer.of(id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    ...name,
    Buffer.of(0, kind >> 8, kind & 255, 0, 1),
  ]);
}

export const queryOf = (name: string, kind: number, id?: number): Buffer =>
  query(name.split("."), kind, id);

/** The name under which an address is looked up. */
export function reverse(ip: string): string {
  if (!isIPv6(ip)) return `${ip.split(".").reverse().join(".")}.in-addr.arpa`;
  const nibbles = bytes6(ip).flatMap((byte) => [byte >> 4, byte & 15]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join(".")}.ip6.arpa`;
}

export interface Asked {
  readonly ports: readonly LabPort[];
  /** The bridge by which the query came, and whom it says it is from. */
  readonly bridge: string;
  readonly client: string;
  /** Bytes that the answer may have. */
  readonly room: number;
}

/** The answer, `drop` for none, or `forward`. */
export function expectedAnswer(message: Buffer, asked: Asked): Buffer | "drop" | "forward" {
  if (message.length < 12 || (message[2] as number) >= 0x80) return "drop";
  const error = (rcode: number, end = 12): Buffer => reply(message, end, { rcode, own: false }, []);
  if (((message[2] as number) & 0x78) !== 0) return error(4);
  if (message.length > 512 || message.readUInt16BE(4) !== 1) return error(1);
  const question = readQuestion(message);
  if (question === null) return error(1);
  const { labels, kind, kindClass, end } = question;
  if (kindClass !== 1 || kind === 251 || kind === 252) return error(5, end);

  let name = labels.join(".").toLowerCase();
  const isOwn = name === "sbx.internal" || name.endsWith(".sbx.internal");
  if (isOwn) name = name.slice(0, -".sbx.internal".length);
  const { ports, bridge, client } = asked;
  const asking = ports.find(
    (port) => port.bridge === bridge && (port.ip4 === client || port.ip6 === client),
  );
  const visible = ports.filter(
    (port) =>
      port.bridge === bridge ||
      ports.some(
        (other) =>
          other.bridge === port.bridge && asking !== undefined && other.sandbox === asking.sandbox,
      ),
  );
  const found = visible.filter((port) => {
    if (port.names.some((word) => word.toLowerCase() === name && name !== "")) return true;
    if (kind !== type.PTR || isOwn) return false;
    return [port.ip4, port.ip6].some((ip) => ip !== null && reverse(ip) === name);
  });
  if (found.length === 0) {
    if (isOwn || bridge.startsWith("sbxi")) return reply(message, end, { rcode: 3, own: true }, []);
    return "forward";
  }
  const isAddress = visible.some((port) =>
    [port.ip4, port.ip6].some((ip) => ip !== null && reverse(ip) === name),
  );
  const data = found.flatMap(({ ip4, ip6, names }) => {
    if (kind === type.A && ip4 !== null) return [Buffer.from(ip4.split(".").map(Number))];
    if (kind === type.AAAA && ip6 !== null) return [Buffer.from(bytes6(ip6))];
    if (kind !== type.PTR || !isAddress) return [];
    const parts = (names[0] ?? "").split(".");
    return [
      Buffer.concat([
        ...parts.map((part) => Buffer.from(`${String.fromCharCode(part.length)}${part}`)),
        Buffer.of(0),
      ]),
    ];
  });
  return reply(message, end, { rcode: 0, own: true }, data, asked.room);
}

function readQuestion(message: Buffer) {
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return null;
    at += 1;
    if (length === 0) break;
    if (at + length >= message.length) return null;
    labels.push(message.toString("latin1", at, at + length));
    at += length;
    // With the label at the end a name has 255 bytes at most.
    if (at - 12 >= 255) return null;
  }
  if (at + 4 > message.length) return null;
  return {
    labels,
    kind: message.readUInt16BE(at),
    kindClass: message.readUInt16BE(at + 2),
    end: at + 4,
  };
}

function reply(
  message: Buffer,
  end: number,
  { rcode, own }: { rcode: number; own: boolean },
  data: readonly Buffer[],
  room = 512,
): Buffer {
  const head = Buffer.from(message.subarray(0, end));
  const records: Buffer[] = [];
  let size = end;
  let truncated = 0;
  for (const bytes of data) {
    const kind = message.subarray(end - 4, end - 2);
    const record = Buffer.concat([
      Buffer.of(0xc0, 12, ...kind, 0, 1, 0, 0, 0, 0, 0, bytes.length),
      bytes,
    ]);
    if (size + record.length > room) truncated = 2;
    else {
      records.push(record);
      size += record.length;
    }
  }
  head[2] = 0x80 | ((message[2] as number) & 0x79) | (own ? 4 : 0) | truncated;
  head[3] = 0x80 | rcode;
  head.writeUInt16BE(end > 12 ? 1 : 0, 4);
  head.writeUInt16BE(records.length, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat([head, ...records]);
}
