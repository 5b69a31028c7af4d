/** What the plan on the page of launch/plan.ts is made with, besides the steps of the features. */
import type { OnlyIds } from "../../seccomp/owners.js";
import type { NamespaceFlag } from "../../spec/actions/namespaces.js";
import type { CapabilitySets } from "../../spec/actions/privileges.js";
import { renderProblem } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import { specToJson } from "../../spec/json.js";
import type { NamespaceType, Spec } from "../../spec/spec.js";
import type { IdMaps } from "../../userns/idmap.js";
import { nestMappings } from "../../userns/nested.js";
import type { ResolvedUser } from "../../userns/passwd.js";
import type { JoinedPlan } from "./joined.js";

/** What other commands are told of a sandbox: launch/life/records.ts has the shape. */
export function recordMembers(
  spec: Spec,
  maps: IdMaps,
  { uid, gid, additionalGids, home }: ResolvedUser,
  joined: JoinedPlan | null,
): string {
  const { uidMappings, gidMappings, denySetgroups } = maps;
  const own = { uidMappings, gidMappings, denySetgroups };
  const mode = spec.sbx.network?.from.mode;
  const isOther = joined !== null && (mode === "sandbox" || mode === "path");
  const networkIds = isOther ? joined.parent.ids : own;
  const user = { uid, gid, additionalGids, home };
  const members = { ...own, user, networkIds };
  return `${JSON.stringify(members).slice(1, -1)},"spec":${specToJson(spec)}`;
}

/** The maps by the ids of another namespace with maps of its own. */
export function nested(
  { uidMappings, gidMappings }: IdMaps,
  outer: Pick<IdMaps, "uidMappings" | "gidMappings">,
) {
  return {
    uids: nestMappings(uidMappings, outer.uidMappings, "uid"),
    gids: nestMappings(gidMappings, outer.gidMappings, "gid"),
  };
}

/** What all sandboxes on networks have ids from, whatever this one wants. */
export function allIds({ linux, sbx, ...spec }: Spec): Spec {
  const { uidMappings: _u, gidMappings: _g, ...rest } = linux;
  return { ...spec, linux: rest, sbx: { ...sbx, userns: { mode: "auto" } } };
}

/** By name or number as `--user` has it; who keeps its ids is that user inside, as with podman. */
export function requestedUser({ process, sbx, linux }: Spec, host: Host): string | undefined {
  if (sbx.user !== undefined) return sbx.user;
  if (process.user !== undefined) return `${process.user.uid}:${process.user.gid}`;
  const isExplicit = linux.uidMappings !== undefined || linux.gidMappings !== undefined;
  if (sbx.userns.mode !== "keep-id" || isExplicit) return undefined;
  return `${sbx.userns.uid ?? host.user.uid}:${sbx.userns.gid ?? host.user.gid}`;
}

/** Null where there are more ids inside than one uid and one gid. */
export function onlyIds({
  uidMappings,
  gidMappings,
  shortages,
}: Pick<IdMaps, "uidMappings" | "gidMappings" | "shortages">): OnlyIds | null {
  const [uid, ...otherUids] = uidMappings;
  const [gid, ...otherGids] = gidMappings;
  if (uid?.size !== 1 || gid?.size !== 1 || otherUids.length + otherGids.length > 0) return null;
  const { why, hint } = shortages.uid;
  const message = renderProblem({
    what: "give a file to another user or group",
    why: `only one of each exists inside (EINVAL)${why === null ? "" : `: ${why}`}`,
    hint,
  });
  return { uid: uid.containerID, gid: gid.containerID, message };
}

const flagOf = {
  user: "CLONE_NEWUSER",
  mount: "CLONE_NEWNS",
  pid: "CLONE_NEWPID",
  network: "CLONE_NEWNET",
  ipc: "CLONE_NEWIPC",
  uts: "CLONE_NEWUTS",
  cgroup: "CLONE_NEWCGROUP",
  // Only children of who unshares it get into a time namespace whose offsets can be set.
  time: null,
} as const satisfies Record<NamespaceType, NamespaceFlag | null>;

/** For clone(2), of those that it makes. */
export function namespaceFlags(own: (type: NamespaceType) => boolean): NamespaceFlag[] {
  return Object.entries(flagOf).flatMap(([type, flag]) =>
    flag !== null && own(type as NamespaceType) ? [flag] : [],
  );
}

/** What a shared pid namespace leaves behind. `killsGroup`: the monitor ends a control group as a whole. */
export function sharingNotes(
  own: (type: NamespaceType) => boolean,
  { join }: Spec["sbx"],
  killsGroup: boolean,
): string[] {
  // The monitor kills who is left in the group: cgroup.kill is of Linux 5.14.
  if (own("pid") || killsGroup) return [];
  const whose = join?.namespaces.includes("pid")
    ? `that of the sandbox ${join.sandbox}`
    : "the host's";
  return [`the pid namespace is ${whose}: what the command leaves in the background outlives it`];
}

/** What one capability undoes of the rest. */
export function adminNotes({ bounding }: CapabilitySets): string[] {
  if (!bounding.includes("CAP_SYS_ADMIN")) return [];
  return ["CAP_SYS_ADMIN: the command can remount what is read-only, and uncover what is masked"];
}
