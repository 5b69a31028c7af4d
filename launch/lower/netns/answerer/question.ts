/**
 * The question of a query: every length in it is looked at, and nothing follows a pointer. What lies
 * behind the question is not looked at at all.
 */
import {
  classIn,
  flags,
  headerSize,
  maxLabel,
  maxName,
  rcodes,
  types,
} from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import { type Answerer, d, limits, load16, verdicts } from "./memory.js";

const cursor = slot("questionAt");
const end = slot("queryEnd");
const byte = slot("questionByte");
const nameLimit = slot("nameLimit");
const left = slot("labelLeft");
const lower = "a".charCodeAt(0) - "A".charCodeAt(0);

/**
 * `question.read`: the query's name and type, `d.verdict` being `forward` then. Where it is no question
 * that can be answered that is `drop`, or `answer` with an error in `d.rcode`.
 */
export function questionSubroutine({ b, m }: Answerer): void {
  b.label("question.read");
  b.set(d.verdict, verdicts.drop);
  b.set(d.rcode, rcodes.noError);
  b.set(d.type, 0);
  b.set(d.nameEnd, m.name);
  b.branch(d.querySize, "lt", headerSize, "question.end");
  b.load(1, byte, d.query, 2);
  b.alu("and", cursor, byte, flags.response);
  // Nobody asked for it: two answerers would go on answering each other.
  b.branch(cursor, "ne", 0, "question.end");
  b.set(d.verdict, verdicts.answer);
  b.alu("add", d.questionEnd, d.query, headerSize);
  b.set(d.rcode, rcodes.notImplemented);
  b.alu("and", byte, byte, flags.opcode);
  b.branch(byte, "ne", 0, "question.end");
  b.set(d.rcode, rcodes.formatError);
  b.branch(d.querySize, "gt", limits.query, "question.end");
  load16(b, byte, d.query, 4);
  b.branch(byte, "ne", 1, "question.end");

  b.alu("add", end, d.query, d.querySize);
  b.set(cursor, d.questionEnd);
  b.alu("add", nameLimit, cursor, maxName);
  b.set(d.nameEnd, m.name);
  b.label("question.label");
  b.branch(cursor, "ge", end, "question.end");
  b.load(1, left, cursor);
  b.alu("add", cursor, cursor, 1);
  b.branch(left, "eq", 0, "question.tail");
  b.branch(left, "gt", maxLabel, "question.end");
  b.alu("add", byte, cursor, left);
  b.branch(byte, "ge", end, "question.end");
  b.branch(byte, "ge", nameLimit, "question.end");
  b.store(1, d.nameEnd, 0, ".".charCodeAt(0));
  b.alu("add", d.nameEnd, d.nameEnd, 1);
  b.label("question.letter");
  b.load(1, byte, cursor);
  b.branch(byte, "lt", "A".charCodeAt(0), "question.plain");
  b.branch(byte, "gt", "Z".charCodeAt(0), "question.plain");
  b.alu("add", byte, byte, lower);
  b.label("question.plain");
  b.store(1, d.nameEnd, 0, byte);
  b.alu("add", d.nameEnd, d.nameEnd, 1);
  b.alu("add", cursor, cursor, 1);
  b.alu("sub", left, left, 1);
  b.branch(left, "ne", 0, "question.letter");
  b.jump("question.label");

  b.label("question.tail");
  b.alu("add", byte, cursor, 4);
  b.branch(byte, "gt", end, "question.end");
  b.set(d.questionEnd, byte);
  b.set(d.rcode, rcodes.refused);
  load16(b, d.type, cursor);
  load16(b, byte, cursor, 2);
  b.branch(byte, "ne", classIn, "question.end");
  // A transfer is answered by many messages.
  b.branch(d.type, "eq", types.AXFR, "question.end");
  b.branch(d.type, "eq", types.IXFR, "question.end");
  b.set(d.verdict, verdicts.forward);
  b.label("question.end");
  b.return();

  const suffix = slot("suffix");
  const other = slot("suffixByte");
  b.comment("whether the name ends with the text between suffix and suffixEnd");
  b.label("question.ends");
  b.set(text.same, 0);
  b.alu("sub", suffix, text.suffixEnd, text.suffix);
  b.alu("sub", cursor, d.nameEnd, suffix);
  b.set(text.suffixStart, cursor);
  b.branch(cursor, "lt", at(m.name, 0), "question.ends.not");
  b.set(suffix, text.suffix);
  b.label("question.ends.next");
  b.load(1, byte, cursor);
  b.load(1, other, suffix);
  b.branch(byte, "ne", other, "question.ends.not");
  b.alu("add", cursor, cursor, 1);
  b.alu("add", suffix, suffix, 1);
  b.branch(cursor, "lt", d.nameEnd, "question.ends.next");
  b.set(text.same, 1);
  b.label("question.ends.not");
  b.return();
}

/** What `question.ends` takes and gives. */
const text = {
  suffix: slot("suffixFrom"),
  suffixEnd: slot("suffixEnd"),
  suffixStart: slot("suffixStart"),
  same: slot("suffixSame"),
} as const;

/** Goes to the label where the name does not end so; else gives where the suffix begins in it. */
export function requireSuffix({ b }: Answerer, suffix: string, otherwise: string) {
  const start = b.text(suffix);
  b.set(text.suffix, start);
  b.set(text.suffixEnd, at(start, suffix.length));
  b.call("question.ends");
  b.branch(text.same, "eq", 0, otherwise);
  return text.suffixStart;
}
