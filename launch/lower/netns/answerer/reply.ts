/** The answer that is put together in `m.reply`: the question as it came, spelling and all, and records. */
import {
  flags,
  headerSize,
  maxLabel,
  recursionAvailable,
  ttlSeconds,
  types,
} from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import { type Answerer, d, link, load16, store16 } from "./memory.js";

const from = slot("replyFrom");
const to = slot("replyTo");
const byte = slot("replyByte");
const end = slot("replyEnd");
const name = slot("replyName");
const start = slot("replyLabel");
const data = slot("replyData");

/** The link whose name or address is added. */
export const answering = slot("answeringLink");
/** A name that is where the first question's is: RFC 1035 section 4.1.4. */
const namePointer = [0xc0, headerSize];
/** All of a record but its name and data. */
const recordHead = 10;

const code = (letter: string): number => letter.charCodeAt(0);

/**
 * `reply.begin`: header and question, with `d.rcode`, and nothing else; `reply.add`: one more record
 * of the type that was asked for. Both keep `d.replySize`.
 */
export function replySubroutines({ b, m }: Answerer): void {
  const header = at(m.reply, 2);
  b.label("reply.begin");
  b.set(from, d.query);
  b.set(to, header);
  b.label("reply.begin.copy");
  b.load(1, byte, from);
  b.store(1, to, 0, byte);
  b.alu("add", from, from, 1);
  b.alu("add", to, to, 1);
  b.branch(from, "lt", d.questionEnd, "reply.begin.copy");
  b.alu("sub", d.replySize, d.questionEnd, d.query);
  // Opcode and RD are the client's.
  b.load(1, byte, header, 2);
  b.alu("and", byte, byte, flags.opcode | 1);
  b.alu("or", byte, byte, flags.response);
  b.store(1, header, 2, byte);
  b.alu("or", byte, d.rcode, recursionAvailable);
  b.store(1, header, 3, byte);
  b.set(byte, 0);
  b.branch(d.replySize, "eq", headerSize, "reply.begin.counts");
  b.set(byte, 1);
  b.label("reply.begin.counts");
  store16(b, header, 4, byte);
  b.store(4, header, 6, 0);
  b.store(1, header, 10, 0);
  b.store(1, header, 11, 0);
  b.return();

  b.label("reply.add");
  b.alu("add", to, d.replySize, header);
  b.alu("add", end, d.room, header);
  b.branch(d.type, "eq", types.PTR, "reply.name");
  b.alu("add", from, answering, link.ip6);
  b.set(data, 16);
  b.branch(d.type, "eq", types.AAAA, "reply.address");
  b.alu("add", from, answering, link.ip4 + 12);
  b.set(data, 4);
  b.label("reply.address");
  b.alu("add", byte, to, data);
  b.alu("add", byte, byte, namePointer.length + recordHead);
  b.branch(byte, "gt", end, "reply.truncated");
  b.alu("add", start, to, namePointer.length + recordHead);
  b.alu("add", data, data, start);
  b.label("reply.address.byte");
  b.load(1, byte, from);
  b.store(1, start, 0, byte);
  b.alu("add", from, from, 1);
  b.alu("add", start, start, 1);
  b.branch(start, "lt", data, "reply.address.byte");
  b.jump("reply.head");

  b.comment("the first of its names, label by label");
  b.label("reply.name");
  b.load(8, name, answering, link.names);
  b.alu("add", data, to, namePointer.length + recordHead);
  b.label("reply.label");
  b.set(start, data);
  b.label("reply.letter");
  b.alu("add", data, data, 1);
  // With room for the label at the end.
  b.branch(data, "ge", end, "reply.truncated");
  b.load(1, byte, name);
  b.alu("add", name, name, 1);
  b.branch(byte, "le", code(" "), "reply.labels.end");
  b.branch(byte, "eq", code("."), "reply.label.end");
  b.store(1, data, 0, byte);
  b.jump("reply.letter");
  b.label("reply.label.end");
  closeLabel();
  b.jump("reply.label");
  b.label("reply.labels.end");
  closeLabel();
  b.store(1, data, 0, 0);
  b.alu("add", data, data, 1);

  b.comment("in front of the data, which ends at replyData");
  b.label("reply.head");
  for (const [offset, value] of namePointer.entries()) b.store(1, to, offset, value);
  b.set(byte, d.type);
  store16(b, to, 2, byte);
  b.store(1, to, 4, 0);
  b.store(1, to, 5, 1);
  b.store(4, to, 6, ttlSeconds);
  b.alu("sub", byte, data, to);
  b.alu("sub", byte, byte, namePointer.length + recordHead);
  store16(b, to, 10, byte);
  b.alu("sub", d.replySize, data, header);
  load16(b, byte, header, 6);
  b.alu("add", byte, byte, 1);
  store16(b, header, 6, byte);
  b.return();

  b.label("reply.truncated");
  b.load(1, byte, header, 2);
  b.alu("or", byte, byte, flags.truncated);
  b.store(1, header, 2, byte);
  b.label("reply.none");
  b.return();

  function closeLabel() {
    b.alu("sub", byte, data, start);
    b.alu("sub", byte, byte, 1);
    // A name of 64 letters has no place in DNS.
    b.branch(byte, "gt", maxLabel, "reply.none");
    b.store(1, start, 0, byte);
  }
}
