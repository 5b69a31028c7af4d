/**
 * Which control groups there are, and what of them is the caller's to divide: from the texts of
 * /proc/self/cgroup, /proc/self/mountinfo and cgroup.controllers, see cgroups(7).
 */

/** `hybrid`: version 1 with the controllers, and version 2 beside it without them. */
export type CgroupMode = "v2" | "hybrid" | "v1" | "none";

export interface CgroupSetup {
  readonly mode: CgroupMode;
  /** Where version 2 is mounted; null where it is not. */
  readonly mountPoint: string | null;
  /** The caller's own group of version 2, absolute; null where it is not to be seen. */
  readonly directory: string | null;
  /** The controllers that version 1 holds, so that version 2 lacks them. */
  readonly v1Controllers: readonly string[];
}

/** What was read of one group of version 2. */
export interface CgroupDirectory {
  readonly path: string;
  /** The caller may write to it, to its cgroup.procs and to its cgroup.subtree_control. */
  readonly writable: boolean;
  /** The text of its cgroup.controllers; null where there is none. */
  readonly controllers: string | null;
}

/** A subtree that the caller may divide. */
export interface Delegation {
  readonly path: string;
  readonly controllers: readonly string[];
  /** `own`: the caller is in it. `manager`: it belongs to the user's systemd, which has to be asked. */
  readonly through: "own" | "manager";
}

/** What limits need, as `Delegate=` of systemd.resource-control(5) names it. */
export const wantedControllers = ["cpu", "cpuset", "io", "memory", "pids"] as const;

export function parseCgroups(cgroup: string, mountinfo: string): CgroupSetup {
  const mounts = parseMounts(mountinfo);
  const second = mounts.filter(({ type }) => type === "cgroup2");
  const hasFirst = mounts.some(({ type }) => type === "cgroup");
  const own = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  const seen = second.find(({ root }) => own !== undefined && relativeTo(root, own) !== null);
  const mount = seen ?? second[0];
  return {
    mode: mount === undefined ? (hasFirst ? "v1" : "none") : hasFirst ? "hybrid" : "v2",
    mountPoint: mount?.mountPoint ?? null,
    directory:
      seen === undefined || own === undefined
        ? null
        : join(seen.mountPoint, relativeTo(seen.root, own) ?? ""),
    v1Controllers: parseV1Controllers(cgroup),
  };
}

interface CgroupMount {
  /** The group that shows at the mount point. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
}

/** `35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw`: proc_pid_mountinfo(5). */
function parseMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const [root, mountPoint] = [fields[3], fields[4]];
    const type = fields[fields.indexOf("-", 6) + 1];
    if (root === undefined || mountPoint === undefined) return [];
    return type === "cgroup" || type === "cgroup2" ? [{ root, mountPoint, type }] : [];
  });
}

/** What of `path` lies below `root`, with a leading slash or empty; null where it does not. */
function relativeTo(root: string, path: string): string | null {
  // Outside of the caller's cgroup namespace, cgroup_namespaces(7).
  if (path.split("/").includes("..")) return null;
  if (root === "/" || path === root) return path === root ? "" : path;
  return path.startsWith(`${root}/`) ? path.slice(root.length) : null;
}

const join = (top: string, below: string): string => (below === "/" ? top : top + below);

/** Lines of version 1 are `4:memory:/path` and `1:name=systemd:/`. */
function parseV1Controllers(cgroup: string): string[] {
  return cgroup.split("\n").flatMap((line) => {
    const names = /^[1-9]\d*:([^:]*):/.exec(line)?.[1]?.split(",") ?? [];
    return names.filter((name) => name !== "" && !name.startsWith("name="));
  });
}

export interface DelegationCandidates {
  /** The caller's group and those above it, from the top. */
  readonly own: readonly string[];
  /** The group of the user's systemd, whether or not there is one. */
  readonly manager: string;
}

/** The groups that are worth reading; null where version 2 cannot be used at all. */
export function delegationCandidates(
  { mountPoint, directory }: CgroupSetup,
  uid: number,
): DelegationCandidates | null {
  if (mountPoint === null) return null;
  const names = directory?.slice(mountPoint.length).split("/").slice(1) ?? [];
  const own = [
    mountPoint,
    ...names.map((_, i) => [mountPoint, ...names.slice(0, i + 1)].join("/")),
  ];
  return {
    own: directory === null ? [] : own,
    // systemd's user@.service(5).
    manager: `${mountPoint}/user.slice/user-${uid}.slice/user@${uid}.service`,
  };
}

/**
 * The subtree that is delegated: the topmost group around the caller that is the caller's to write,
 * else that of the user's systemd. Null where there is neither.
 */
export function findDelegation(
  own: readonly CgroupDirectory[],
  manager: CgroupDirectory,
): Delegation | null {
  const top = own.find(({ writable }) => writable) ?? (manager.writable ? manager : null);
  if (top === null) return null;
  const controllers = (top.controllers ?? "").split(/\s+/).filter((name) => name !== "");
  return { path: top.path, controllers, through: own.includes(top) ? "own" : "manager" };
}

/** The controllers that limits need and the subtree lacks. */
export function missingControllers({ controllers }: Pick<Delegation, "controllers">): string[] {
  return wantedControllers.filter((name) => !controllers.includes(name));
}
