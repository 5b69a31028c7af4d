/**
 * Id maps of a user namespace that is made inside another one of the caller's, and not in the caller's
 * own: user_namespaces(7) wants them in the ids of the one above, and has none that this one lacks.
 */
import { fail } from "../spec/error.js";
import type { ParentIds } from "../spec/host.js";
import type { Mapping } from "../spec/spec.js";
import type { IdMaps } from "./idmap.js";
import { nestMappings } from "./nested.js";
import { intersect } from "./ranges.js";

/** What a namespace above is called in messages, and whose maps nobody can know: then the caller's ids. */
export interface Parent {
  readonly what: string;
  /** Null where only the caller's own ids are known to be there, but not as which. */
  readonly ids: ParentIds | null;
  readonly caller: { readonly uid: number; readonly gid: number };
}

/**
 * `maps` inside of `parent`, without the ids that it lacks; `isExplicit` says that somebody has asked for
 * these maps, and does not want others. Gives up where nothing is left of them.
 */
export function mapsWithin(maps: IdMaps, parent: Parent, isExplicit: boolean): IdMaps {
  const { what, ids, caller } = parent;
  const has = {
    uid: ids?.uidMappings ?? [{ containerID: 0, hostID: caller.uid, size: 1 }],
    gid: ids?.gidMappings ?? [{ containerID: 0, hostID: caller.gid, size: 1 }],
  };
  const uidMappings = common(maps.uidMappings, has.uid);
  const gidMappings = common(maps.gidMappings, has.gid);
  const lost = (["uid", "gid"] as const).filter(
    (kind) => count(kind === "uid" ? uidMappings : gidMappings) !== count(maps[`${kind}Mappings`]),
  );
  const why =
    ids === null
      ? `only your own ids are known to exist in the user namespace of ${what}`
      : `the user namespace of ${what} has fewer ids`;
  const hint = ids === null ? "Leave the maps out" : "Give both the same map, or this one less";
  if (isExplicit && lost.length > 0) fail(`map these ${lost.join("s and ")}s`, why, hint);
  if (uidMappings.length === 0 || gidMappings.length === 0) fail("map ids", why, hint);
  const denySetgroups = ids === null || ids.denySetgroups || maps.denySetgroups;
  const shortage = { why, hint: ids === null ? "" : `Give ${what} more ids` };
  return {
    ...maps,
    uidMappings,
    gidMappings,
    // One that is the caller's own needs none.
    helpers: ids === null ? null : maps.helpers,
    denySetgroups,
    rootMapped: [uidMappings, gidMappings].every((lines) =>
      lines.some(({ containerID }) => containerID === 0),
    ),
    shortages: {
      uid: lost.includes("uid") ? shortage : maps.shortages.uid,
      gid: lost.includes("gid") ? shortage : maps.shortages.gid,
    },
    notes: [
      ...maps.notes,
      ...(lost.length === 0 ? [] : [`not all ids that it could have: ${why}`]),
    ],
    nested: {
      uids: ids === null ? null : nestMappings(uidMappings, has.uid, "uid"),
      gids: ids === null ? null : nestMappings(gidMappings, has.gid, "gid"),
    },
  };
}

/** The lines as far as `parent` has their hostIDs. */
function common(lines: readonly Mapping[], parent: readonly Mapping[]): Mapping[] {
  const existing = parent.map(({ hostID: start, size }) => ({ start, size }));
  return lines.flatMap(({ containerID, hostID, size }) =>
    intersect([{ start: hostID, size }], existing).map((range) => ({
      containerID: containerID + range.start - hostID,
      hostID: range.start,
      size: range.size,
    })),
  );
}

const count = (lines: readonly Mapping[]) => lines.reduce((sum, { size }) => sum + size, 0);
