/**
 * Spec + Host → Plan. The order of set-up is the order on this page; a reviewer reads it first.
 */

import { planCgroup } from "../cgroup/plan.js";
import { planLoopback } from "../netns/loopback.js";
import { planNames } from "../netns/names.js";
import { planNetworks } from "../netns/networks.js";
import { pingGroups, planUplink } from "../netns/uplink.js";
import { planEtc } from "../rootfs/etc.js";
import { planMasks } from "../rootfs/masks.js";
import { planMounts } from "../rootfs/mounts.js";
import { newRoot, planRoot, stage } from "../rootfs/root.js";
import { planFilter } from "../seccomp/filter.js";
import { fail } from "../spec/error.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Plan } from "../spec/plan.js";
import type { NamespaceType, Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";
import { capabilitySets } from "../userns/capabilities.js";
import { hostIdOf, planIdMaps } from "../userns/idmap.js";
import { requireMapped } from "../userns/mapped.js";
import { resolveUser } from "../userns/passwd.js";
import { mapsWithin } from "../userns/within.js";
import { userNamespaceBlocker } from "./plan/blocker.js";
import { earlySteps, splitAtSysfs } from "./plan/early.js";
import { cloneHints, explainBlocked, explainFiltered, mapHints } from "./plan/hints.js";
import { planJoined, withJoinedMounts, withJoinedNames } from "./plan/joined.js";
import {
  adminNotes,
  allIds,
  namespaceFlags,
  nested,
  onlyIds,
  recordMembers,
  requestedUser,
  sharingNotes,
} from "./plan/parts.js";
import { payloadSteps } from "./plan/payload.js";
import {
  kernelFiles,
  keyringStep,
  lifeSteps,
  nameSteps,
  oomSteps,
  pidFileSteps,
  recordSteps,
  sendSteps,
  step,
  sysctlSteps,
  terminalSteps,
  timeSteps,
  umaskSteps,
  volumeSteps,
} from "./plan/steps.js";

/** Throws an `SbxError` for what can be seen to be impossible on this host. */
export function plan(given: Spec, host: Host): Plan {
  const blocker = userNamespaceBlocker(host);
  if (blocker?.certain === true) fail("create a user namespace", blocker.why, blocker.hint);

  const joined = planJoined(given, host);
  const spec = joined === null ? given : withJoinedMounts(given, host);
  const joinsPids = spec.sbx.join?.namespaces.includes("pid") === true;
  const own = (type: NamespaceType) => spec.linux.namespaces.some((n) => n.type === type);
  const { linux } = spec;
  const isOthersNetwork = ["sandbox", "path"].includes(spec.sbx.network?.from.mode ?? "");
  const isMapGiven = linux.uidMappings !== undefined || linux.gidMappings !== undefined;
  const allMaps = planIdMaps(spec, host);
  const maps = joined === null ? allMaps : mapsWithin(allMaps, joined.parent, isMapGiven);
  const resolved = resolveUser(requestedUser(spec, host), host.rootfs.passwd, host.rootfs.group);
  const { user, notes: userNotes } = requireMapped(
    { ...resolved, additionalGids: spec.process.user?.additionalGids ?? resolved.additionalGids },
    maps,
  );
  const sets = {
    ...capabilitySets({ add: spec.sbx.capAdd ?? [], drop: spec.sbx.capDrop ?? [], uid: user.uid }),
    ...spec.process.capabilities,
  };
  const hasId = (id: number) =>
    maps.uidMappings.some(({ hostID, size }) => hostID <= id && id < hostID + size);
  const root = planRoot(spec, host, {
    rootIsCaller: hostIdOf(maps.uidMappings, 0) === host.user.uid,
    callerMapped: hasId(host.user.uid),
    hostRootMapped: hasId(0),
  });
  const rootIds = { uid: maps.rootMapped ? 0 : user.uid, gid: maps.rootMapped ? 0 : user.gid };
  const cgroup = planCgroup(spec, host, {
    ids: rootIds,
    isCaller: hostIdOf(maps.uidMappings, rootIds.uid) === host.user.uid,
    callerMapped: hasId(host.user.uid),
  });
  const withCgroup = { ...spec, mounts: [...spec.mounts, ...cgroup.mounts] };
  const mounts = planMounts(withCgroup, host, {
    uid: user.uid,
    gid: user.gid,
    gidMapped: (gid) => hostIdOf(maps.gidMappings, gid) !== null,
  });
  const uplink = planUplink(spec, host, maps);
  const networks = planNetworks(spec, host, () => planIdMaps(allIds(spec), host));
  const isConnected = uplink.helper !== null || networks !== null;
  const pings = isConnected && { "net.ipv4.ping_group_range": pingGroups(maps.gidMappings) };
  const named = withJoinedNames(spec, host);
  const { helper } = isOthersNetwork ? planUplink(named, host, maps) : uplink;
  const etc = planEtc(named, host, planNames(named, host, helper), hasId);
  const stagedAt = kernelFiles(mounts.stageOf);
  const masks = planMasks(spec, stagedAt);
  const filter = planFilter(spec, host, sets.bounding, onlyIds(maps));
  const enter = joined?.enter ?? networks?.enter ?? [];
  const cloner = enter.length === 0 ? "monitor" : "stepper";
  const { preserveFds: preserved, statusFd = null } = spec.sbx;
  // What is done to the init from outside, before it does anything itself.
  const outside = [
    ...(networks?.join ?? []),
    // While it starts, the init puts the sandbox together.
    ...uplink.start,
    ...root.serve,
    // What tells others of the sandbox comes when nothing outside can fail any more.
    ...pidFileSteps(spec),
  ];
  const isAlone =
    [...enter, ...cgroup.join, ...outside].length === 0 &&
    !root.prepare.some(({ action }) => action.kind === "makeUpperStore");
  const early =
    own("network") &&
    own("pid") &&
    !own("time") &&
    isAlone &&
    !isOthersNetwork &&
    [...cgroup.make, ...oomSteps(spec)].length === 0 &&
    spec.sbx.init &&
    !Object.keys(linux.sysctl ?? {}).some((key) => key.startsWith("net."))
      ? earlySteps(rootIds, filter.refusesKeys, cloneHints(blocker, host))
      : null;
  const recorded = (kind: "askRecord" | "awaitRecord") =>
    host.run.path === null ? [] : [step("init", "record", { kind })];
  // Out of the rootfs's reach as long as they are being put together.
  const staged = [
    ...mounts.staged,
    ...etc.staged,
    // Writes below /proc/sys come before it is made read-only.
    ...sysctlSteps({ ...(stagedAt("/proc/sys") && pings), ...spec.linux.sysctl }, stagedAt),
    ...oomSteps(spec),
    ...masks.staged,
    ...terminalSteps(spec, user, mounts.stageOf),
  ];
  const placed = [...root.inside, ...mounts.attach, ...etc.attach];
  const { soon, late } =
    early === null
      ? { soon: [...staged, ...placed], late: [] }
      : splitAtSysfs(withCgroup, staged, placed);
  const [enterSoon, enterLate] = late.length > 0 ? [early?.enter, []] : [[], early?.enter];
  const mapsItself = maps.helpers === null && !host.mapsAnyId && isAlone;

  const steps: Step[] = [
    // Before anything is opened: what the caller left open must not be inherited by any part of it.
    step(
      "monitor",
      "prepare",
      { kind: "tidyFds", preserved, statusFd },
      {
        EBADF:
          "That file descriptor is not open: open it for sbx (N<file), or correct --preserve-fds or --status-fd",
      },
    ),
    // With nothing open that the caller may wait for the end of.
    ...lifeSteps(spec),
    // While nothing is open or locked that the holder, which outlives us, must not have.
    ...(networks?.open ?? []),
    // Before the clone, so that who holds it is the monitor as well, and in the end nobody.
    ...volumeSteps(spec),
    ...uplink.reserve,
    // The rootfs is found as the caller, with the caller's rights and the caller's view.
    ...root.prepare,

    // Before the clone: limited from its first instruction on, but for memory.
    ...cgroup.make,
    // From within the user namespace that owns what it shares, where there is such.
    ...(joined?.open ?? []),
    ...(enter.length === 0 ? [] : [step("monitor", "clone", { kind: "startStepper" })]),
    ...enter,
    // All at once, so that the user namespace owns the others. The cgroup namespace would have the
    // monitor's group for its root, not that of the init.
    step(
      cloner,
      "clone",
      {
        kind: "clone",
        namespaces: namespaceFlags(
          (type) =>
            own(type) &&
            !(type === "network" && (isOthersNetwork || early !== null)) &&
            !(type === "cgroup" && cgroup.enter.length > 0),
        ),
        intoCgroup: cgroup.isBornIn,
        ...(joinsPids && { joinsPids }),
      },
      cloneHints(blocker, host),
    ),
    ...umaskSteps(spec),
    ...(early?.start ?? []),
    ...cgroup.join,
    // From outside, since only the caller's own id may be mapped from within; there it is the sooner done.
    step(
      mapsItself ? "init" : cloner,
      "idmap",
      {
        kind: "mapIds",
        ...maps,
        ...(networks === null ? {} : { nested: nested(maps, networks.maps) }),
      },
      mapHints(host, maps),
    ),
    ...outside,
    ...recordSteps(spec, host, recordMembers(given, maps, user, joined)),
    // As the caller still, who may go where the sandbox's root may not.
    ...root.open,

    ...cgroup.enter,
    // As the caller still, who may see them, and before mounts cover their paths.
    ...mounts.open,
    // The init's files shall belong to the sandbox's root, or, where that has no id, to the user:
    // nothing can be made by an id without one (EOVERFLOW). Ids first, as changing them takes back
    // the request to die with the monitor.
    step("init", "idmap", { kind: "setIds", ...rootIds }),
    step("init", "idmap", { kind: joinsPids ? "outliveMonitor" : "dieWithMonitor" }),
    ...cgroup.delegate,
    ...timeSteps(spec),
    // By the host's /proc, before it is out of reach.
    ...sendSteps(host, [
      ...(cgroup.enter.length > 0 ? (["cgroup"] as const) : []),
      ...(own("time") ? (["time"] as const) : []),
    ]),

    ...explainBlocked(root.mount, blocker),
    // What the host mounts from now on stays out.
    step("init", "mounts", {
      kind: "mount",
      source: "none",
      target: newRoot,
      type: null,
      flags: ["MS_REC", "MS_PRIVATE"],
      data: "",
    }),
    step("init", "mounts", { kind: "openAnchors", newRoot }),
    step("init", "filesystems", { kind: "mkdir", path: stage, mode: 0o700, isNew: true }),
    ...soon,
    // The monitor writes it while the init waits for the network.
    ...(early === null ? [] : recorded("askRecord")),
    ...(enterSoon ?? []),
    ...late,
    // Over the mounts that they may lie in.
    ...masks.others,
    // Before the uplink, which the monitor waits for only then.
    ...(early === null ? recorded("awaitRecord") : []),
    ...uplink.wait,
    ...etc.named,
    // Last use of the host's mounts: its paths end here.
    step("init", "pivot_root", { kind: "pivotRoot", newRoot }),

    ...nameSteps(spec),
    ...(enterLate ?? []),
    ...(isOthersNetwork || early !== null ? [] : planLoopback(spec)),
    ...(early === null ? [keyringStep("init", filter.refusesKeys)] : recorded("awaitRecord")),
    // After the last write to /proc/self, whose files then belong to nobody inside.
    step("init", "identity", { kind: "nonDumpable" }),
    ...cgroup.limit,

    // The rest is the payload's own: it is no longer the init that does it.
    ...(early?.begin ?? []),
    ...payloadSteps(
      named,
      host,
      {
        user,
        sets,
        denySetgroups: maps.denySetgroups,
        filter,
        diesAlone: !own("pid") || !spec.sbx.init,
      },
      early?.awaited,
    ),
    // By other processes, before all that comes behind `networks.open`.
    ...(networks?.hold ?? []),
  ];

  return {
    steps: explainFiltered(steps, host),
    notes: [
      ...maps.notes,
      ...userNotes,
      ...root.warnings,
      ...uplink.warnings,
      ...(networks?.warnings ?? []),
      ...root.notes,
      ...cgroup.notes,
      ...mounts.notes,
      ...etc.notes,
      ...uplink.notes,
      ...sharingNotes(own, spec.sbx, cgroup.make.length > 0 && kernelAtLeast(host, 5, 14)),
      ...(joined?.notes ?? []),
      ...(host.run.path === null ? [`other commands will not find it: ${host.run.why}`] : []),
      ...adminNotes(sets),
      ...filter.notes,
    ],
    warnings: [...root.warnings, ...uplink.warnings, ...(networks?.warnings ?? [])],
    init: spec.sbx.init,
    statusFd,
  };
}
