/** The steps that give a sandbox a control group of its own, with its limits. */
import type { LimitWrite } from "../spec/actions/cgroup.js";
import { fail } from "../spec/error.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Mount, NamespaceType, Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";
import { limitWrites, neededControllers } from "./limits.js";
import type { Controller } from "./mode.js";
import { findPlace, type Place } from "./place.js";
import { placeSteps, stemOf } from "./place-steps.js";
import { refuseLimits } from "./refuse.js";
import { enableHints, limitHints, makeHints, moveHints, step } from "./step.js";

export interface CgroupPlan {
  /** In the monitor, before the clone. */
  readonly make: readonly Step[];
  /** The init is born in the group; else it joins it, by the steps of `join`. */
  readonly isBornIn: boolean;
  readonly join: readonly Step[];
  /** Of the init, before all others. */
  readonly enter: readonly Step[];
  /** Of the init, once it has its ids. */
  readonly delegate: readonly Step[];
  /** Of the init, after all others. */
  readonly limit: readonly Step[];
  readonly mounts: readonly Mount[];
  readonly notes: readonly string[];
}

const nothing: CgroupPlan = {
  make: [],
  isBornIn: false,
  join: [],
  enter: [],
  delegate: [],
  limit: [],
  mounts: [],
  notes: [],
};

/** Whom the group is given to that is writable inside. */
export interface CgroupOwner {
  /** Of the sandbox. */
  readonly ids: { readonly uid: number; readonly gid: number };
  /** That is the caller, who makes the group. */
  readonly isCaller: boolean;
  /** The caller, who makes it, has an id inside, without which it cannot be given away. */
  readonly callerMapped: boolean;
}

/** Fails where what was asked for cannot be had. There is no group where nothing is limited, and nothing else asks for one. */
export function planCgroup(spec: Spec, host: Host, owner: CgroupOwner): CgroupPlan {
  const { manager, parent, writable = false } = spec.sbx.cgroup ?? { manager: "auto" };
  const own = (type: NamespaceType) => spec.linux.namespaces.some((n) => n.type === type);
  const limits = readLimits(spec, host);
  if (manager === "none" || (limits === null && spec.sbx.cgroup === undefined)) return nothing;
  const place = findPlace({ manager, ...(parent && { parent }) }, host, limits?.controllers ?? []);
  if (place.kind === "none") {
    if (limits !== null) fail("limit resources", place.why, place.hint);
    if (writable || parent !== undefined || manager !== "auto") {
      fail("make a control group", place.why, place.hint);
    }
    return { ...nothing, notes: [`no control group: ${place.why}. ${place.hint}`] };
  }
  if (writable) requireDelegable(host, owner, own, limits !== null);
  const writes = limits?.writes ?? [];
  const late = lateControllers(place, limits?.controllers ?? []);
  const isLate = ({ file }: LimitWrite) => late.some((name) => file.startsWith(`${name}.`));
  const isBornIn = kernelAtLeast(host, 5, 7) && !host.seccomp.isFiltered;
  return {
    make: [
      ...placeSteps(place, late, spec.sbx.name, host),
      step({ kind: "makeCgroup", stem: stemOf(spec.sbx.name) }, makeHints),
      ...writes
        .filter((write) => !isLate(write))
        .map((write) => step({ kind: "limitCgroup", ...write }, limitHints)),
    ],
    isBornIn,
    join: isBornIn ? [] : [step({ kind: "joinCgroup" }, moveHints)],
    enter: own("cgroup") ? [step({ kind: "unshareCgroup" })] : [],
    delegate: writable
      ? [step({ kind: "delegateCgroup", owner: owner.isCaller ? null : owner.ids })]
      : [],
    limit:
      late.length === 0
        ? []
        : [
            step(
              { kind: "awaitLimits", controllers: late, writes: writes.filter(isLate) },
              { ...limitHints, ...enableHints },
            ),
          ],
    mounts: own("cgroup") ? shownMounts(spec.mounts, writable) : [],
    notes: [
      describePlace(place),
      ...(limits?.notes ?? []),
      ...(limits === null ? [] : guardNotes(host)),
    ],
  };
}

/** Null where nothing is limited. Fails for limits that this machine cannot have. */
function readLimits({ linux: { resources } }: Spec, { limits: facts }: Host) {
  if (resources === undefined || facts === null) return null;
  const notes = refuseLimits(resources, facts);
  const writes = limitWrites(resources, facts);
  // A limit that is taken off, as by -1, is not there to begin with.
  return writes.every(({ otherwise }) => otherwise === null)
    ? null
    : { writes, notes, controllers: neededControllers(resources, facts) };
}

/**
 * What is enabled once the rest of the set-up is done, where memory is limited: the kernel counts memory
 * where it was first used, so that none of ours is the sandbox's. The controller io would have it
 * counted too, as it depends on the controller memory.
 */
function lateControllers({ controllers }: Place, needed: readonly string[]): Controller[] {
  if (!needed.includes("memory")) return [];
  return controllers.filter((name) => name === "io" || name === "memory");
}

/** /sys/fs/cgroup, where there is a /sys that is not somebody else's idea of it. */
function shownMounts(mounts: readonly Mount[], writable: boolean): Mount[] {
  const destination = "/sys/fs/cgroup";
  const has = (path: string) => mounts.some((mount) => mount.destination === path);
  if (!has("/sys") || has(destination)) return [];
  const options = ["nosuid", "noexec", "nodev", ...(writable ? [] : ["ro"])];
  return [{ destination, type: "cgroup2", source: "cgroup2", options }];
}

function requireDelegable(
  { cgroup }: Host,
  { isCaller, callerMapped }: CgroupOwner,
  own: (type: NamespaceType) => boolean,
  isLimited: boolean,
): void {
  const what = "make the control group writable";
  for (const type of ["cgroup", "pid"] as const) {
    if (own(type)) continue;
    const flag = type === "pid" ? "--pid" : "--cgroupns";
    fail(what, `the ${type} namespace is not the sandbox's own`, `Leave out ${flag}`);
  }
  if (!isCaller && !callerMapped) {
    fail(
      what,
      "it is yours, and you have no id inside from which it could be given to the sandbox's root",
      "Use another --userns, such as keep-id",
    );
  }
  if (isLimited && !cgroup.guardsLimits) {
    fail(
      what,
      `its limits could be raised from inside: ${cgroup.mountPoint} is mounted without nsdelegate`,
      `sudo mount -o remount,nsdelegate ${cgroup.mountPoint}, or limit the group that sbx is in`,
    );
  }
}

function guardNotes({ cgroup }: Host): string[] {
  if (cgroup.guardsLimits) return [];
  return [
    `${cgroup.mountPoint} is mounted without nsdelegate: a command that may mount, as without a filter, can raise its limits`,
  ];
}

function describePlace(place: Place): string {
  const controllers = place.controllers.join(" ") || "no controllers";
  return place.kind === "systemd"
    ? `control group: in a scope of your systemd's below ${place.slice}, with ${controllers}`
    : `control group: in ${place.path}, with ${controllers}`;
}
