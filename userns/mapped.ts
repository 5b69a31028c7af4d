/** Whether the user whom a payload is to run as exists under the id maps of its sandbox. */
import { fail } from "../spec/error.js";
import type { Mapping } from "../spec/spec.js";
import { insideOf } from "./explicit.js";
import { hostIdOf, type IdMaps, type Shortage } from "./idmap.js";
import type { ResolvedUser } from "./passwd.js";
import { renderRanges } from "./ranges.js";

/**
 * The user as it can be under `maps`: the same, or without supplementary groups where setgroups(2)
 * is denied, which a note says. Gives up where an id is not mapped: setresuid(2), setresgid(2) and
 * setgroups(2) would fail with EINVAL.
 */
export function requireMapped<User extends Pick<ResolvedUser, "uid" | "gid" | "additionalGids">>(
  user: User,
  maps: Pick<IdMaps, "uidMappings" | "gidMappings" | "denySetgroups" | "shortages">,
): { readonly user: User; readonly notes: readonly string[] } {
  const { uid, gid } = maps.shortages;
  const another = "Choose another --user, or:";
  requireId("uid", user.uid, maps.uidMappings, uid, another);
  requireId("gid", user.gid, maps.gidMappings, gid, another);
  if (user.additionalGids.length === 0) return { user, notes: [] };
  if (maps.denySetgroups) {
    const note = `supplementary groups are left out (${user.additionalGids.join(", ")}): with a single gid mapped the kernel denies setgroups`;
    return { user: { ...user, additionalGids: [] }, notes: [note] };
  }
  const named = `Name the group (--user ${user.uid}:${user.gid}), which leaves out supplementary ones, or:`;
  for (const each of user.additionalGids)
    requireId("supplementary gid", each, maps.gidMappings, gid, named);
  return { user, notes: [] };
}

function requireId(
  kind: string,
  id: number,
  mappings: readonly Mapping[],
  { why, hint }: Shortage,
  otherwise: string,
): void {
  if (hostIdOf(mappings, id) !== null) return;
  const mapped = renderRanges(mappings.map(insideOf));
  const because = why === null ? "" : ` (${why})`;
  fail(
    `run as ${kind} ${id}`,
    `it is not mapped into the sandbox, only ${mapped}${because}`,
    `${otherwise} ${hint}`,
  );
}
