/** Which ids the caller has to make maps from. */
import type { Host, IdRange } from "../spec/host.js";
import type { IdKind, Lack } from "./mend.js";
import { intersect, subtract } from "./ranges.js";

/** One kind of id, and what the caller has of it. */
export interface Side {
  readonly kind: IdKind;
  /** The caller's own id. */
  readonly own: number;
  /** What may be mapped besides it, in the order in which it is used up. */
  readonly pool: readonly IdRange[];
  /** The pool is all the ids of the host, not such as are set aside for the caller. */
  readonly isHostIds: boolean;
  /** What an explicit map may name besides the own id. */
  readonly ranges: readonly IdRange[];
  /** Why nothing can be mapped besides the own id; null where something can. */
  readonly lack: Lack | null;
  /** No line has to be left as it is for newuidmap(1) to recognise. */
  readonly mapsAnyId: boolean;
  /** The ids that the caller's namespace has, a range for each line of its map. */
  readonly existing: readonly IdRange[];
}

export function sideOf(kind: IdKind, host: Host): Side {
  const own = host.user[kind];
  const subids = kind === "uid" ? host.subuids : host.subgids;
  const existing = kind === "uid" ? host.namespaceIds.uids : host.namespaceIds.gids;
  // A range may hold the caller's own id, which must not be mapped twice; and inside a container
  // /etc/subuid may name ids that the container does not have.
  const self = { start: own, size: 1 };
  const subordinate = subtract(intersect(subids, existing), self);
  // Real root without subordinate ids keeps the numbers that files on disk have.
  const isHostIds = host.mapsAnyId && subids.length === 0;
  return {
    kind,
    own,
    pool: isHostIds ? orderedFrom(subtract(existing, self)) : subordinate,
    isHostIds,
    ranges: host.mapsAnyId ? existing : subordinate,
    lack: lackOf(subids, subordinate, host),
    mapsAnyId: host.mapsAnyId,
    existing,
  };
}

function orderedFrom(ranges: readonly IdRange[]): IdRange[] {
  return [...ranges].sort((a, b) => a.start - b.start);
}

function lackOf(subids: readonly IdRange[], usable: readonly IdRange[], host: Host): Lack | null {
  if (subids.length === 0) return host.mapsAnyId ? null : "subids";
  if (usable.length === 0) return "namespace";
  const hasHelpers = host.newuidmap !== null && host.newgidmap !== null;
  if (host.mapsAnyId) return null;
  if (!hasHelpers) return "helpers";
  return host.noNewPrivileges ? "privileges" : null;
}
