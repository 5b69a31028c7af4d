/** What the probe reads of control groups. */
import { constants } from "node:fs";
import { isAbsolute, join } from "node:path";
import {
  type CgroupSetup,
  managerGroup,
  ownGroups,
  parentGroup,
  parseCgroups,
} from "../../cgroup/mode.js";
import type { CgroupDirectory, CgroupFacts, ManagerSocket } from "../../spec/host-cgroup.js";
import { readOptional, readUser } from "./identity.js";
import { accessSync, statSync } from "./readings.js";
import { unlessRefused } from "./system-error.js";

/** For a sandbox that is to have none. */
export const noCgroups: CgroupFacts = {
  mode: "none",
  mountPoint: null,
  v1Controllers: [],
  guardsLimits: false,
  own: [],
  parent: null,
  manager: null,
};

/** `parent` is that of `--cgroup-parent`; XDG_RUNTIME_DIR of the environment counts. */
export function readCgroups(
  proc: string,
  mountinfo: string,
  uid: number,
  environment: NodeJS.ProcessEnv,
  parent?: string,
): CgroupFacts {
  const setup = parseCgroups(readOptional(join(proc, "self/cgroup")) ?? "", mountinfo);
  const { mode, mountPoint, v1Controllers, guardsLimits } = setup;
  const facts = { mode, mountPoint, v1Controllers, guardsLimits };
  if (mountPoint === null) return { ...facts, own: [], parent: null, manager: null };
  return {
    ...facts,
    own: ownGroups(setup).map(readGroup),
    parent: parent?.includes("/") === true ? readParent(parentGroup(mountPoint, parent)) : null,
    manager: readManager(setup, mountPoint, uid, environment),
  };
}

/** The same for a command that needs nothing else of the machine. */
export function callersCgroups(environment: NodeJS.ProcessEnv): CgroupFacts {
  const mountinfo = readOptional("/proc/self/mountinfo") ?? "";
  return readCgroups("/proc", mountinfo, readUser(environment).uid, environment);
}

function readParent(path: string): CgroupDirectory | null {
  return readOptional(join(path, "cgroup.procs")) === null ? null : readGroup(path);
}

/** What delegation gives to write: cgroups(7), "Delegating a hierarchy to a less privileged user". */
function readGroup(path: string): CgroupDirectory {
  const files = ["", "cgroup.procs", "cgroup.subtree_control"].map((name) => join(path, name));
  const writable = files.every((file) => mayWrite(file));
  return { path, writable, controllers: readControllers(path), isVacant: isVacant(path) };
}

const readControllers = (path: string) =>
  (readOptional(join(path, "cgroup.controllers")) ?? "").split(/\s+/).filter((name) => name !== "");

/** The root of all groups, which has no cgroup.type, may give controllers on whoever is in it. */
function isVacant(path: string): boolean {
  if (readOptional(join(path, "cgroup.type")) === null) return true;
  // This process, and the launcher that the sandbox's monitor will be.
  const own = [process.pid, process.ppid].map(String);
  const all = readOptional(join(path, "cgroup.procs"))?.match(/\d+/g) ?? [];
  return all.every((pid) => own.includes(pid));
}

/** A user's systemd is there for sbx where it can be spoken to, and its groups are to be seen. */
function readManager(
  { mode }: CgroupSetup,
  mountPoint: string,
  uid: number,
  { XDG_RUNTIME_DIR }: NodeJS.ProcessEnv,
): CgroupFacts["manager"] {
  const path = managerGroup(mountPoint, uid);
  if (mode !== "v2" || !mayWrite(path)) return null;
  const runtime = [XDG_RUNTIME_DIR, `/run/user/${uid}`].filter((each) => each && isAbsolute(each));
  const sockets = runtime.flatMap((directory): ManagerSocket[] => [
    { kind: "bus", path: `${directory}/bus` },
    { kind: "private", path: `${directory}/systemd/private` },
  ]);
  const socket = sockets.find(({ path }) => mayWrite(path) && statSync(path).isSocket());
  return socket === undefined ? null : { socket, path, controllers: readControllers(path) };
}

function mayWrite(path: string): boolean {
  return unlessRefused(() => accessSync(path, constants.W_OK)) !== null;
}
