/** Whether the user whom a payload is to run as exists under the id maps of its sandbox. */
import { fail } from "../spec/error.js";
import type { Mapping } from "../spec/spec.js";
import { insideOf } from "./explicit.js";
import { hostIdOf, type IdMaps } from "./idmap.js";
import type { ResolvedUser } from "./passwd.js";
import { renderRanges } from "./ranges.js";

/**
 * The user as it can be under `maps`: the same, or without supplementary groups where setgroups(2)
 * is denied, which a note says. Gives up where an id is not mapped: setresuid(2), setresgid(2) and
 * setgroups(2) would fail with EINVAL.
 */
export function requireMapped(
  user: ResolvedUser,
  maps: Pick<IdMaps, "uidMappings" | "gidMappings" | "denySetgroups">,
): { readonly user: ResolvedUser; readonly notes: readonly string[] } {
  const more = "Have subordinate ids added (usermod --add-subuids, --add-subgids), map it";
  requireId("uid", user.uid, maps.uidMappings, `${more} with --uidmap, or choose another --user.`);
  requireId("gid", user.gid, maps.gidMappings, `${more} with --gidmap, or choose another --user.`);
  if (user.additionalGids.length === 0) return { user, notes: [] };
  if (maps.denySetgroups) {
    const note = `supplementary groups are left out (${user.additionalGids.join(", ")}): with a single gid mapped the kernel denies setgroups`;
    return { user: { ...user, additionalGids: [] }, notes: [note] };
  }
  for (const gid of user.additionalGids)
    requireId(
      "supplementary gid",
      gid,
      maps.gidMappings,
      `${more} with --gidmap, or name the group (--user ${user.uid}:${user.gid}), which leaves out supplementary ones.`,
    );
  return { user, notes: [] };
}

function requireId(kind: string, id: number, mappings: readonly Mapping[], hint: string): void {
  if (hostIdOf(mappings, id) !== null) return;
  const mapped = renderRanges(mappings.map(insideOf));
  fail(`run as ${kind} ${id}`, `it is not mapped into the sandbox, only ${mapped}`, hint);
}
