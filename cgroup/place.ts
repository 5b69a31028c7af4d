/** Where the group of a sandbox is made: by the user's systemd, or in a directory that is delegated. */
import type { Host } from "../spec/host.js";
import type { CgroupDirectory, CgroupFacts, ManagerSocket } from "../spec/host-cgroup.js";
import type { CgroupKeys } from "../spec/resources.js";
import { type Controller, delegationDropIn, wantedControllers } from "./mode.js";

export type Place =
  | {
      readonly kind: "systemd";
      readonly socket: ManagerSocket;
      readonly slice: string;
      readonly controllers: readonly Controller[];
    }
  | {
      readonly kind: "cgroupfs";
      readonly path: string;
      /** The caller is in it, and has to leave it: who divides a group must not be in it. */
      readonly isOwn: boolean;
      readonly controllers: readonly Controller[];
    };

/** Why there is no such place, and how to mend it. */
export interface NoPlace {
  readonly kind: "none";
  readonly why: string;
  readonly hint: string;
}

/** Where the user's systemd has what was started from outside of its own services. */
export const defaultSlice = "user.slice";

type Wishes = Pick<CgroupKeys, "manager" | "parent">;

/** `needed` are the controllers that limits need. */
export function findPlace(wishes: Wishes, host: Host, needed: readonly string[]): Place | NoPlace {
  const { mode, v1Controllers } = host.cgroup;
  const missed = needed.filter((name) => v1Controllers.includes(name === "io" ? "blkio" : name));
  if (mode !== "v2" && (mode !== "hybrid" || missed.length > 0)) {
    return {
      kind: "none",
      why:
        mode === "none"
          ? "no control groups are mounted here"
          : `${missed.length === 0 ? "all controllers are" : `${missed.join(", ")}: the controller is`} version 1's here, which only root may use`,
      hint: bootHint,
    };
  }
  const place = usesSystemd(wishes, host.cgroup)
    ? askSystemd(wishes, host)
    : takeDirectory(wishes, host, needed.length > 0);
  if (place.kind === "none") return place;
  const lacking = needed.filter((name) => !place.controllers.some((each) => each === name));
  if (lacking.length === 0) return place;
  const are = lacking.length === 1 ? "is not" : "are not";
  return {
    kind: "none",
    why: `${lacking.join(", ")} ${are} delegated to ${place.kind === "systemd" ? "your systemd" : place.path}`,
    hint:
      place.kind === "systemd"
        ? delegationDropIn
        : "Have it delegated by who made that group, or leave these limits out",
  };
}

/** A slice can only be meant for systemd, a directory only for who makes one. */
function usesSystemd({ manager, parent }: Wishes, facts: CgroupFacts): boolean {
  if (manager !== "auto") return manager === "systemd";
  return parent === undefined ? facts.manager !== null : isSlice(parent);
}

const isSlice = (parent: string) => parent.endsWith(".slice") && !parent.includes("/");

function askSystemd({ parent = defaultSlice }: Wishes, host: Host): Place | NoPlace {
  const { manager } = host.cgroup;
  if (!isSlice(parent) || !/^[\w:.-]+$/.test(parent)) {
    return {
      kind: "none",
      why: `systemd puts scopes into slices, and ${parent} is no slice's name`,
      hint: "Use --cgroup-parent=NAME.slice, or --cgroup-manager=cgroupfs for a directory",
    };
  }
  if (manager === null)
    return noManager(host, "no systemd of yours is running here that could make one");
  const { socket, controllers } = manager;
  return { kind: "systemd", socket, slice: parent, controllers: known(controllers) };
}

/** Beside version 1, systemd delegates no controllers of version 2, whoever's it is. */
function noManager(host: Host, why: string): NoPlace {
  if (host.cgroup.mode !== "hybrid") return { kind: "none", why, hint: lingerHint(host) };
  return {
    kind: "none",
    why: "your systemd, if there is one, has version 1 to divide here, which only root may use",
    hint: bootHint,
  };
}

const bootHint =
  "Boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line; in a container, boot its host so";

/** The user's systemd runs while its user is logged in at a seat or by ssh, or always with this. */
const lingerHint = ({ user }: Host) =>
  `sudo loginctl enable-linger ${user.name ?? user.uid} starts it for good, and without a login`;

function takeDirectory({ manager, parent }: Wishes, host: Host, divides: boolean): Place | NoPlace {
  const { own, parent: named, mountPoint } = host.cgroup;
  const none = (why: string, hint: string): NoPlace => ({ kind: "none", why, hint });
  if (parent !== undefined) {
    if (parent.split("/").includes("..") || isSlice(parent)) {
      return none(
        `${parent} is no directory of control groups`,
        `Name one below ${mountPoint}, or use --cgroup-manager=systemd for a slice`,
      );
    }
    if (named === null) return none(`there is no group ${parent}`, `ls ${mountPoint} shows some`);
    if (!named.writable) return none(`${named.path} is not delegated to you`, ownHint);
  }
  const around = own.filter(({ writable }) => writable);
  const base = named ?? around.find(({ isVacant }) => isVacant) ?? around[0];
  if (base === undefined) {
    return manager === "cgroupfs"
      ? none("no group around you is delegated to you", ownHint)
      : noManager(
          host,
          "no systemd of yours is running here, and no group around you is delegated to you",
        );
  }
  if (divides && !base.isVacant) {
    return none(
      `${base.path} is delegated to you, but others are in it besides sbx, so that it cannot be divided`,
      `Start sbx in a group of its own: ${ownCommand} sbx run …`,
    );
  }
  return {
    kind: "cgroupfs",
    path: base.path,
    isOwn: base.path === own[0]?.path,
    controllers: base.isVacant ? known(base.controllers) : [],
  };
}

const ownCommand = "systemd-run --user --scope -p Delegate=yes";
const ownHint = `${ownCommand} starts a command in one that is, where your systemd runs; else root has to make one, and give it to you with its cgroup.procs and cgroup.subtree_control`;

const known = (names: CgroupDirectory["controllers"]): Controller[] =>
  wantedControllers.filter((name) => names.includes(name));
