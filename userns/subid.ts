/** Subordinate ids: who may map which ids of the host, as subuid(5) and subgid(5) say. */
import type { IdRange } from "../spec/host.js";
import { maxId, parseId, withoutOverlaps } from "./ranges.js";

/** Whose subordinate ids are looked for. */
export interface SubidOwner {
  /** Login name; null where the uid has no entry in the user database. */
  readonly name: string | null;
  readonly uid: number;
}

/**
 * The ranges that /etc/subuid or /etc/subgid gives to a user, in file order and without overlaps.
 *
 * A line is `OWNER:FIRST:COUNT`, the owner being a login name or a uid, in subgid(5) as well. Lines
 * that are anything else are passed over, as newuidmap(1) does, and so are empty ranges. A range
 * that runs past the highest id ends there.
 */
export function parseSubids(text: string, owner: SubidOwner): IdRange[] {
  const ranges = text.split("\n").flatMap((line) => {
    const fields = line.trim().split(":");
    const [who, start, size] = fields;
    if (fields.length !== 3 || who === undefined || !isOwner(who, owner)) return [];
    return parseRange(start, size);
  });
  return withoutOverlaps(ranges);
}

/** useradd(8) begins here as well: SUB_UID_MIN of login.defs(5). */
const firstSubid = 100_000;

/** The first id from 100000 on above all ranges that the file gives to anyone; see `Host.freeSubids`. */
export function firstFreeSubid(text: string): number {
  const ends = text.split("\n").flatMap((line) => {
    const [, start, size] = line.trim().split(":");
    return parseRange(start, size).map((range) => range.start + range.size);
  });
  return ends.reduce((free, end) => Math.max(free, end), firstSubid);
}

/**
 * What `parseSubids` gives, from what getsubids(1) of shadow 4.11 and later prints, which also asks the sources of
 * the `subid` line in nsswitch.conf(5): `INDEX: OWNER FIRST COUNT`, one range a line.
 */
export function parseGetsubids(text: string): IdRange[] {
  const ranges = text.split("\n").flatMap((line) => {
    const match = /^\d+: .+ (\d+) (\d+)$/.exec(line.trim());
    return match === null ? [] : parseRange(match[1], match[2]);
  });
  return withoutOverlaps(ranges);
}

function isOwner(who: string, owner: SubidOwner): boolean {
  return who === owner.name || parseId(who) === owner.uid;
}

function parseRange(start = "", size = ""): IdRange[] {
  const first = parseId(start);
  if (first === null || !/^\d+$/.test(size)) return [];
  const count = Math.min(Number(size), maxId - first + 1);
  return count === 0 ? [] : [{ start: first, size: count }];
}
