/** Id maps: which user and group ids of the host stand for which inside the sandbox. */
import type { NestedMaps } from "../spec/actions/namespaces.js";
import { assertNever } from "../spec/assert-never.js";
import { fail } from "../spec/error.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Mapping, Spec, UsernsMode } from "../spec/spec.js";
import { checkExplicit } from "./explicit.js";
import { fill, fits, mergeLines, shorten } from "./lines.js";
import { addSubids, describeLack, type IdKind, type Lack, lacks } from "./mend.js";
import { type Side, sideOf } from "./pool.js";
import { maxId, rangeTo } from "./ranges.js";

/** What to say where an id is missing inside; `why` where there is more to say than that. */
export interface Shortage {
  readonly why: string | null;
  readonly hint: string;
}

/** The maps of a sandbox, and how they come to be written. */
export interface IdMaps {
  /** In the order of the ids inside. */
  readonly uidMappings: readonly Mapping[];
  readonly gidMappings: readonly Mapping[];
  /** Absolute paths of newuidmap(1) and newgidmap(1); null where the map files are written directly. */
  readonly helpers: { readonly newuidmap: string; readonly newgidmap: string } | null;
  /** `deny` goes to /proc/PID/setgroups before the gid map, so setgroups(2) fails inside for good. */
  readonly denySetgroups: boolean;
  /** Uid 0 and gid 0 exist inside. */
  readonly rootMapped: boolean;
  /** Why there are not more ids inside, and how to get them. */
  readonly shortages: Readonly<Record<IdKind, Shortage>>;
  /** By the ids of another user namespace, where they are made in there: userns/within.ts. */
  readonly nested?: NestedMaps;
  /** What the user ought to know: rungs taken, and how to get a better one. */
  readonly notes: readonly string[];
}

/**
 * The maps for `spec` on `host`: the modes of podman-run(1) `--userns`, under the rules of
 * user_namespaces(7). Explicit maps win over the mode; where only one of the two is given, the other
 * is made as in `auto`. Gives up on an explicit map that the user may not have, on `nomap` without
 * subordinate ids, and where a map needs newuidmap or newgidmap and it is not installed.
 */
export function planIdMaps(spec: Spec, host: Host): IdMaps {
  const { uidMappings = [], gidMappings = [] } = spec.linux;
  const isExplicit = uidMappings.length > 0 || gidMappings.length > 0;
  const mode: UsernsMode = isExplicit ? { mode: "auto" } : spec.sbx.userns;
  if (mode.mode === "single") return ownIdsAlone(host);
  const sides = [sideOf("uid", host), sideOf("gid", host)] as const;
  const uids = mapSide(uidMappings, sides[0], mode, host);
  const gids = mapSide(gidMappings, sides[1], mode, host);
  const isGidDirect = isOwnAlone(gids, sides[1]);
  const isDirect = isOwnAlone(uids, sides[0]) && isGidDirect;
  const implied = [
    ...(uidMappings.length === 0 ? [{ side: sides[0], lines: uids }] : []),
    ...(gidMappings.length === 0 ? [{ side: sides[1], lines: gids }] : []),
  ];
  return {
    uidMappings: uids,
    gidMappings: gids,
    helpers: host.mapsAnyId || isDirect ? null : requireHelpers(host),
    denySetgroups: deniesSetgroups(isGidDirect, host),
    rootMapped: hostIdOf(uids, 0) !== null && hostIdOf(gids, 0) !== null,
    shortages: {
      uid: shortageOf(sides[0], uidMappings.length > 0, host),
      gid: shortageOf(sides[1], gidMappings.length > 0, host),
    },
    notes: notesOn(implied, mode, host),
  };
}

/** Root is the caller, and nobody else exists: nothing else of the machine counts. */
function ownIdsAlone(host: Host): IdMaps {
  const own = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  const shortage = { why: null, hint: "Leave out --userns=single." };
  return {
    uidMappings: own(host.user.uid),
    gidMappings: own(host.user.gid),
    helpers: null,
    denySetgroups: deniesSetgroups(true, host),
    rootMapped: true,
    shortages: { uid: shortage, gid: shortage },
    notes: [],
  };
}

/**
 * Without CAP_SETGID the kernel takes a gid map only after this (CVE-2014-8989), and newgidmap writes it too where
 * no subordinate gid is in the map (CVE-2018-7169).
 */
function deniesSetgroups(isGidDirect: boolean, host: Host): boolean {
  return (isGidDirect && !host.mapsAnyId) || host.setgroupsDenied;
}

/** Where more may be mapped than the caller's own id. */
type WideMode = Exclude<UsernsMode, { mode: "single" }>;

function shortageOf(side: Side, isExplicit: boolean, host: Host): Shortage {
  const map = `Map it with --${side.kind}map`;
  if (isExplicit) return { why: null, hint: `${map}.` };
  if (side.lack !== null) return describeLack(side.lack, [side.kind], host);
  if (side.isHostIds) return { why: null, hint: `${map}.` };
  return { why: null, hint: `${map}, or get more ids. ${addSubids([side.kind], host)}` };
}

/** The id outside that `containerID` stands for; null where it is not mapped. */
export function hostIdOf(mappings: readonly Mapping[], containerID: number): number | null {
  const line = mappings.find(
    (m) => containerID >= m.containerID && containerID < m.containerID + m.size,
  );
  return line === undefined ? null : line.hostID + containerID - line.containerID;
}

function mapSide(explicit: readonly Mapping[], side: Side, mode: WideMode, host: Host) {
  if (explicit.length === 0) return shorten(impliedLines(side, mode, host), lineLimit(host), side);
  checkExplicit(explicit, { ...side, hint: addSubids([side.kind], host) });
  const lines = mergeLines(explicit, side);
  if (!fits(lines, lineLimit(host)))
    fail(
      `${side.kind} map of ${lines.length} lines`,
      `the kernel takes at most ${lineLimit(host)} lines and 4095 bytes of text`,
      "Map larger ranges of consecutive ids.",
    );
  return lines;
}

function impliedLines(side: Side, mode: WideMode, host: Host): Mapping[] {
  const pool = side.lack === null ? side.pool : [];
  const own = (containerID: number) => ({ containerID, hostID: side.own, size: 1 });
  const lines = (): Mapping[] => {
    switch (mode.mode) {
      case "auto":
        return [own(0), ...fill(pool, [rangeTo(1, maxId)])];
      case "keep-id": {
        const id = mode[side.kind] ?? side.own;
        return [own(id), ...fill(pool, [rangeTo(0, id - 1), rangeTo(id + 1, maxId)])];
      }
      case "nomap": {
        const lack = side.lack ?? (side.isHostIds ? "subids" : null);
        if (lack === null) return fill(pool, [rangeTo(0, maxId)]);
        const { why, hint } = describeLack(lack, [side.kind], host);
        return fail(`--userns=nomap: map ${side.kind}s`, why, hint);
      }
      default:
        return assertNever(mode);
    }
  };
  return mergeLines(lines(), side);
}

function notesOn(
  implied: readonly { side: Side; lines: readonly Mapping[] }[],
  mode: WideMode,
  host: Host,
): string[] {
  const kindsWith = (lack: Lack) =>
    implied.filter(({ side }) => side.lack === lack).map(({ side }) => side.kind);
  const lacking = lacks.flatMap((lack) => {
    const kinds = kindsWith(lack);
    if (kinds.length === 0) return [];
    const { why, hint } = describeLack(lack, kinds, host);
    return [`${onlyOwn(kinds)} inside: ${why}. ${hint}`];
  });
  const hostIds = implied.filter(({ side }) => side.isHostIds).map(({ side }) => `${side.kind}s`);
  const cut = implied.flatMap(({ side, lines }) => {
    const wanted = impliedLines(side, mode, host).length;
    return lines.length === wanted
      ? []
      : [`only ${lines.length} of ${wanted} ranges of ${side.kind}s fit into an id map`];
  });
  return [
    ...lacking,
    ...(hostIds.length === 0 ? [] : [`${hostIds.join(" and ")} inside are the host's own numbers`]),
    ...cut,
  ];
}

function onlyOwn(kinds: readonly IdKind[]): string {
  return `only your own ${kinds.join(" and ")} ${kinds.length === 1 ? "exists" : "exist"}`;
}

/** user_namespaces(7): five lines up to Linux 4.14, then 340. */
function lineLimit(host: Host): number {
  return kernelAtLeast(host, 4, 15) ? 340 : 5;
}

function isOwnAlone(lines: readonly Mapping[], { own }: Side): boolean {
  return lines.length === 1 && lines[0]?.hostID === own && lines[0].size === 1;
}

function requireHelpers(host: Host): { newuidmap: string; newgidmap: string } {
  const { newuidmap, newgidmap, noNewPrivileges } = host;
  if (newuidmap !== null && newgidmap !== null && !noNewPrivileges)
    return { newuidmap: newuidmap.path, newgidmap: newgidmap.path };
  const lack = newuidmap === null || newgidmap === null ? "helpers" : "privileges";
  const { why, hint } = describeLack(lack, ["uid", "gid"], host);
  return fail("map subordinate ids", why, hint);
}
