/** Findings on the ids that a sandbox can have. */
import { capabilityMask } from "../../spec/capabilities.js";
import type { Host } from "../../spec/host.js";
import type { Mapping } from "../../spec/spec.js";
import { addSubids, describeLack, type Lack } from "../../userns/mend.js";
import { covers, intersect, renderRanges } from "../../userns/ranges.js";
import type { Facts } from "./facts.js";
import {
  describeFailure,
  type Failure,
  type Finding,
  fatal,
  judgeTrial,
  withFlag,
} from "./finding.js";
import { groupsStep } from "./list.js";
import { install } from "./mend.js";

export function idFindings(facts: Facts): Finding[] {
  return [
    subids(facts, "uid"),
    subids(facts, "gid"),
    helper(facts, "newuidmap"),
    helper(facts, "newgidmap"),
    idMap(facts),
  ];
}

const sum = (lines: readonly { readonly size: number }[]): number =>
  lines.reduce((total, { size }) => total + size, 0);

function subids({ host, subidSources }: Facts, kind: "uid" | "gid"): Finding {
  const id = `sub${kind}s`;
  const ranges = host[`sub${kind}s`];
  if (ranges.length === 0) {
    if (host.mapsAnyId) return { id, state: "ok", found: "not needed: root may map all ids" };
    const { why, hint } = describeLack("subids", [kind], host);
    return { id, state: "missing", found: why, mend: hint };
  }
  if (intersect(ranges, host.namespaceIds[`${kind}s`]).length === 0) {
    const { why, hint } = describeLack("namespace", [kind], host);
    return { id, state: "missing", found: why, mend: hint };
  }
  const found = `${sum(ranges)} ids (${renderRanges(ranges)}), from ${subidSources[`${kind}s`]}`;
  // Distributions and their daemons use ids up to 65534.
  return sum(ranges) >= 65534
    ? { id, state: "ok", found }
    : { id, state: "limited", found, mend: addSubids([kind], host) };
}

const helperCapabilities = {
  newuidmap: Number(capabilityMask(["CAP_SETUID"])),
  newgidmap: Number(capabilityMask(["CAP_SETGID"])),
} as const;

function helper(facts: Facts, id: keyof typeof helperCapabilities): Finding {
  const { host, outcomes } = facts;
  if (host.mapsAnyId) return { id, state: "ok", found: "not needed: root writes the maps" };
  const helper = host[id];
  if (helper === null) {
    // One package has both.
    const mend = install("newuidmap", facts.osRelease);
    return { id, state: "missing", found: "not in PATH or /usr/bin", mend };
  }
  if (helper.setuidRoot) return { id, state: "ok", found: `${helper.path}, set-user-ID root` };
  const outcome = outcomes?.[`${id}Capabilities`];
  if (outcome?.failure === null && (outcome.value & helperCapabilities[id]) !== 0) {
    return { id, state: "ok", found: `${helper.path}, with file capabilities` };
  }
  if (!covers(host.namespaceIds.uids, { start: 0, size: 1 })) {
    return {
      id,
      state: "missing",
      found: `${helper.path} has no rights here, where root has no id`,
      mend: largerMap,
    };
  }
  return {
    id,
    state: "missing",
    found: `${helper.path} has neither the set-user-ID bit nor file capabilities`,
    mend: `sudo chmod u+s ${helper.path}`,
  };
}

const largerMap = "Give the container that sbx runs in a larger id map";

function idMap(facts: Facts): Finding {
  const { maps, host } = facts;
  const id = "id-map";
  return judgeTrial(facts, id, "idMap", {
    good: () => {
      const uids = sum(maps.uidMappings);
      if (uids > 1) {
        return { id, state: "ok", found: `${describeIds(facts)}, written by ${writer(facts)}` };
      }
      const lack = lackOf(host);
      return {
        id,
        state: "limited",
        found: "only your own id exists in a sandbox",
        mend:
          lack === "helpers"
            ? install("newuidmap", facts.osRelease)
            : describeLack(lack, ["uid", "gid"], host).hint,
      };
    },
    bad: (failure) => ({ found: explain(facts, failure), mend: mendMap(facts, failure) }),
    consequence: singleHelps(facts) ? withFlag("--userns=single") : fatal,
  });
}

/** A map of the caller's own id alone needs no helper, and other trials have one. */
function singleHelps({ maps, host, outcomes }: Facts): boolean {
  if (maps.helpers !== null) return true;
  return host.mapsAnyId && outcomes?.idMap?.failure?.step !== groupsStep;
}

function lackOf({
  mapsAnyId,
  subuids,
  subgids,
  newuidmap,
  newgidmap,
  noNewPrivileges,
}: Host): Lack {
  if (mapsAnyId) return "namespace";
  if (subuids.length === 0 || subgids.length === 0) return "subids";
  if (newuidmap === null || newgidmap === null) return "helpers";
  return noNewPrivileges ? "privileges" : "namespace";
}

const writer = ({ maps }: Facts): string =>
  maps.helpers === null ? "sbx itself" : "newuidmap and newgidmap";

/** `65537 uids and 65537 gids`, or `only your own id`. */
export function describeIds({ maps }: Pick<Facts, "maps">): string {
  const [uids, gids] = [maps.uidMappings, maps.gidMappings].map((lines: readonly Mapping[]) =>
    sum(lines),
  );
  return uids === 1 && gids === 1 ? "only your own id" : `${uids} uids and ${gids} gids`;
}

function explain({ complaints }: Facts, failure: Failure): string {
  return complaints.length === 0 ? describeFailure(failure) : complaints.join("; ");
}

function mendMap(facts: Facts, { step, errno }: Failure): string {
  const { host, noNewPrivileges, isContainer, maps } = facts;
  const single = "or use --userns=single";
  if (step === groupsStep) {
    const own = "Start sbx in a user namespace whose /proc/self/setgroups is not `deny`";
    return singleHelps(facts) ? `${own}; ${single}` : own;
  }
  if (maps.helpers === null) return `The kernel refuses the map (errno ${errno}): ${single}`;
  if (noNewPrivileges) {
    return `Start sbx where no_new_privs is not set, as it takes newuidmap's rights away; ${single}`;
  }
  const { newuidmap, newgidmap } = maps.helpers;
  const nosuid = host.mounts.some(
    ({ mountPoint, options }) =>
      options.includes("nosuid") && newuidmap.startsWith(`${mountPoint.replace(/\/$/, "")}/`),
  );
  if (nosuid && host.newuidmap?.setuidRoot === true) {
    return `Mount the file system of ${newuidmap} without nosuid; ${single}`;
  }
  const bare = [helper(facts, "newuidmap"), helper(facts, "newgidmap")].some(
    ({ state }) => state === "missing",
  );
  if (bare) return `sudo chmod u+s ${newuidmap} ${newgidmap}; ${single}`;
  if (isContainer) return `${largerMap}; ${single}`;
  return `The ranges must be in /etc/subuid and /etc/subgid for ${host.user.name ?? host.user.uid}, and exist; ${single}`;
}
