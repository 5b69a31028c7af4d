/**
 * Who is told of a sandbox's addresses. The DNS answerer by the alias of the port, `IPv4 IPv6 NAME NAME…`, `-` in the
 * place of what there is not, IPv6 addresses in full, as eight groups of four digits; other commands by the record.
 */
import { hole, linkAlias } from "../../../netns/netlink.js";
import type { Attachment } from "../../../spec/actions/networks.js";
import { slot } from "../../machine/builder.js";
import type { Context } from "../context.js";
import { sandboxName } from "../record/place.js";
import { append, compose, type JsonPiece, type Piece, type RecordFact } from "../text/text.js";
import { dotted, fourNumbers, madeSix, sixText } from "./link-text.js";
import { addressOf, index, linksOf, native, outside } from "./links.js";
import { tellKernel } from "./netlink.js";

const aliasSize = 255;

/** Tells the answerer who is behind the port. */
export function nameLink(c: Context, link: Attachment): void {
  const { names } = link;
  const alias = linkAlias(hole("index", 4), hole("alias", aliasSize));
  tellKernel(c, outside, alias, {
    index: native(c, index),
    alias: (to) => {
      compose(c, dotted(c, addressOf(link)), to);
      append(c, [c.b.text(" "), ...sixPieces(c, link)]);
      append(c, [c.b.text(" "), { string: sandboxName }]);
      if (names.length > 0) append(c, [c.b.text(["", ...names].join(" "))]);
    },
  });
}

/** Its IPv6 address, or `-`. */
function sixPieces(c: Context, link: Attachment): Piece[] {
  const { six } = link;
  if (six === null) return [c.b.text("-")];
  if (six.ip !== null) return [c.b.text(sixText(six.ip))];
  const [head, rest] = madeSix(c, six, addressOf(link));
  return [c.b.text(head), rest];
}

/** The member of a record, if it has one. */
function toldSix(c: Context, link: Attachment): JsonPiece[] {
  const { six, number } = link;
  if (six === null) return [];
  if (six.ip !== null) return [`,"ip6":"${sixText(six.ip)}"`];
  const [head, rest] = madeSix(c, six, addressOf(link));
  const string = slot(`toldSix.${number}`);
  c.b.set(string, rest);
  return [`,"ip6":"${head}`, { string }, '"'];
}

/** For the record: where the sandbox is. */
export function networksFact(c: Context): RecordFact | null {
  const links = linksOf(c);
  if (links.length === 0) return null;
  const pieces = links.flatMap((link) => {
    const numbers = fourNumbers(c, addressOf(link), `toldByte.${link.number}`);
    const own = numbers.flatMap((number, position) => [position === 0 ? "" : ".", number]);
    const { network, interface: name } = link;
    const text = JSON.stringify({ network, interface: name });
    return [
      `${link.number === 0 ? "[" : ","}${text.slice(0, -1)},"ip":"`,
      ...own,
      '"',
      ...toldSix(c, link),
      "}",
    ];
  });
  return ["networks", ...pieces, "]"];
}
