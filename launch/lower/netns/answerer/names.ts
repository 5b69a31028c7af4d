/**
 * What becomes of a query: an answer about sandboxes, which only those get who share a network with
 * them, or a way to the upstreams, which only networks have that are not internal (CVE-2024-29018).
 */
import { flags, ownDomain, rcodes, types } from "../../../../netns/dns.js";
import { at, slot } from "../../../machine/builder.js";
import { isReverse, requireSameAddress } from "./address.js";
import { type Answerer, d, kinds, link, verdicts } from "./memory.js";
import { requireSuffix } from "./question.js";
import { answering } from "./reply.js";

const record = slot("linkRecord");
const value = slot("linkValue");
const bridgeKind = slot("bridgeKind");
const isOwn = slot("isOwnDomain");
const exists = slot("nameExists");
/** The record of the sandbox that asks on this bridge, or 0. */
const asking = slot("askingLink");
const matches = slot("nameMatches");
const letter = slot("nameLetter");
const other = slot("nameOther");
const place = slot("namePlace");
const names = slot("linkNames");
const isVisible = slot("linkVisible");

const blank = " ".charCodeAt(0);

/** `names.answer`: gives `d.verdict` for the query, whose answer has `d.room` bytes. */
export function nameSubroutines(a: Answerer): void {
  const { b, m } = a;
  const nextRecord = () => {
    b.load(8, value, record, link.size);
    b.alu("add", record, record, value);
  };

  b.label("names.answer");
  b.set(d.questionEnd, d.query);
  b.call("rate.check");
  b.branch(d.verdict, "eq", verdicts.drop, "names.end");
  b.call("question.read");
  b.branch(d.verdict, "eq", verdicts.drop, "names.end");
  b.branch(d.verdict, "eq", verdicts.answer, "names.error");
  b.call("links.refresh");

  b.comment("the network that it comes from, and who there asks");
  b.set(bridgeKind, 0);
  b.set(asking, 0);
  b.set(record, m.links);
  b.label("names.from");
  b.branch(record, "ge", d.linksEnd, "names.from.end");
  b.load(8, value, record, link.index);
  b.branch(value, "ne", d.bridge, "names.from.port");
  b.load(8, bridgeKind, record, link.kind);
  b.label("names.from.port");
  b.load(8, value, record, link.master);
  b.branch(value, "ne", d.bridge, "names.from.next");
  for (const offset of [link.ip4, link.ip6]) {
    const not = b.fresh("names.from");
    requireSameAddress(a, record, offset, m.client, not);
    b.set(asking, record);
    b.label(not);
  }
  b.label("names.from.next");
  nextRecord();
  b.jump("names.from");
  b.label("names.from.end");
  b.set(d.verdict, verdicts.drop);
  b.branch(bridgeKind, "eq", 0, "names.end");

  b.set(isOwn, 0);
  const start = requireSuffix(a, ownDomain, "names.plain");
  b.set(isOwn, 1);
  b.set(d.nameEnd, start);
  b.label("names.plain");
  b.set(isReverse, 0);
  b.branch(d.type, "ne", types.PTR, "names.search");
  b.branch(isOwn, "ne", 0, "names.search");
  b.call("address.reverse");
  b.label("names.search");
  b.set(d.rcode, rcodes.noError);
  b.call("reply.begin");
  b.set(exists, 0);
  b.set(record, m.links);
  b.label("names.record");
  b.branch(record, "ge", d.linksEnd, "names.record.end");
  b.load(8, names, record, link.names);
  b.load(8, value, record, link.master);
  b.branch(value, "eq", 0, "names.record.next");
  b.call("names.match");
  b.branch(matches, "eq", 0, "names.record.next");
  b.call("names.visible");
  b.branch(isVisible, "eq", 0, "names.record.next");
  b.set(exists, 1);
  b.set(answering, record);
  b.branch(d.type, "eq", types.A, "names.record.ip4");
  b.branch(d.type, "eq", types.AAAA, "names.record.ip6");
  b.branch(isReverse, "eq", 0, "names.record.next");
  b.jump("names.record.add");
  b.label("names.record.ip4");
  b.load(8, value, record, link.ip4 + 8);
  b.branch(value, "eq", 0, "names.record.next");
  b.jump("names.record.add");
  b.label("names.record.ip6");
  b.load(8, value, record, link.ip6);
  b.branch(value, "ne", 0, "names.record.add");
  b.load(8, value, record, link.ip6 + 8);
  b.branch(value, "eq", 0, "names.record.next");
  b.label("names.record.add");
  b.call("reply.add");
  b.label("names.record.next");
  nextRecord();
  b.jump("names.record");

  b.label("names.record.end");
  b.set(d.verdict, verdicts.answer);
  b.branch(exists, "ne", 0, "names.found");
  b.branch(d.complete, "eq", 0, "names.failed");
  b.branch(isOwn, "ne", 0, "names.absent");
  b.branch(bridgeKind, "eq", kinds.internal, "names.absent");
  b.set(d.verdict, verdicts.forward);
  b.return();

  b.comment(
    "nobody of that name: no is a better answer than none, which stops a search of domains",
  );
  b.label("names.absent");
  b.set(d.rcode, rcodes.nameError);
  b.call("reply.begin");
  b.label("names.found");
  b.load(1, value, at(m.reply, 2), 2);
  b.alu("or", value, value, flags.authoritative);
  b.store(1, at(m.reply, 2), 2, value);
  b.return();
  b.label("names.failed");
  b.set(d.verdict, verdicts.answer);
  b.set(d.rcode, rcodes.serverFailure);
  b.label("names.error");
  b.call("reply.begin");
  b.label("names.end");
  b.return();

  b.comment("whether the record is of the address, or has the name, that is asked for");
  b.label("names.match");
  b.set(matches, 0);
  b.branch(isReverse, "eq", 0, "names.match.word");
  for (const offset of [link.ip4, link.ip6]) {
    const not = b.fresh("names.match");
    requireSameAddress(a, record, offset, m.wanted, not);
    b.set(matches, 1);
    b.label(not);
  }
  b.return();
  b.label("names.match.word");
  b.set(place, at(m.name, 1));
  b.label("names.match.letter");
  b.load(1, letter, names);
  b.branch(letter, "le", blank, "names.match.end");
  b.branch(letter, "lt", "A".charCodeAt(0), "names.match.small");
  b.branch(letter, "gt", "Z".charCodeAt(0), "names.match.small");
  b.alu("add", letter, letter, 32);
  b.label("names.match.small");
  b.branch(place, "ge", d.nameEnd, "names.match.skip");
  b.load(1, other, place);
  b.branch(letter, "ne", other, "names.match.skip");
  b.alu("add", place, place, 1);
  b.alu("add", names, names, 1);
  b.jump("names.match.letter");
  b.label("names.match.skip");
  b.alu("add", names, names, 1);
  b.load(1, letter, names);
  b.branch(letter, "gt", blank, "names.match.skip");
  // So that it is not where the name ends.
  b.set(place, 0);
  b.label("names.match.end");
  b.branch(place, "eq", d.nameEnd, "names.match.found");
  b.branch(letter, "eq", 0, "names.match.not");
  b.alu("add", names, names, 1);
  b.jump("names.match.word");
  b.label("names.match.found");
  b.set(matches, 1);
  b.label("names.match.not");
  b.return();

  visibleSubroutine(a);
}

/**
 * A sandbox is seen by those on the same bridge, and on its other bridges by those who are on them too.
 * A sandbox is known by its network namespace, of which the kernel tells, and not by names, which two may have.
 */
function visibleSubroutine({ b, m }: Answerer): void {
  const third = slot("otherLink");
  const master = slot("otherMaster");
  const sandbox = slot("askingSandbox");
  b.label("names.visible");
  b.set(isVisible, 1);
  b.load(8, master, record, link.master);
  b.branch(master, "eq", d.bridge, "names.visible.end");
  b.set(isVisible, 0);
  b.branch(asking, "eq", 0, "names.visible.end");
  b.load(8, sandbox, asking, link.sandbox);
  b.branch(sandbox, "eq", 0, "names.visible.end");
  b.set(third, m.links);
  b.label("names.visible.next");
  b.branch(third, "ge", d.linksEnd, "names.visible.end");
  b.load(8, value, third, link.master);
  b.branch(value, "ne", master, "names.visible.other");
  b.load(8, value, third, link.sandbox);
  b.branch(value, "ne", sandbox, "names.visible.other");
  b.set(isVisible, 1);
  b.return();
  b.label("names.visible.other");
  b.load(8, value, third, link.size);
  b.alu("add", third, third, value);
  b.jump("names.visible.next");
  b.label("names.visible.end");
  b.return();
}
