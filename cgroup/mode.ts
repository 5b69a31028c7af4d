/**
 * Which control groups there are, and what of them is the caller's to divide: from the texts of
 * /proc/self/cgroup and /proc/self/mountinfo, see cgroups(7).
 */
import type { CgroupFacts, CgroupMode } from "../spec/host-cgroup.js";

export interface CgroupSetup {
  readonly mode: CgroupMode;
  /** Where version 2 is mounted; null where it is not. */
  readonly mountPoint: string | null;
  /** The caller's own group of version 2, absolute; null where it is not to be seen. */
  readonly directory: string | null;
  /** The controllers that version 1 holds, so that version 2 lacks them. */
  readonly v1Controllers: readonly string[];
  /** The mount option `nsdelegate`. */
  readonly guardsLimits: boolean;
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
export type Controller = (typeof wantedControllers)[number];

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
    guardsLimits: mount?.options.includes("nsdelegate") ?? false,
  };
}

interface CgroupMount {
  /** The group that shows at the mount point. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  /** Of the filesystem. */
  readonly options: readonly string[];
}

/** `35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw`: proc_pid_mountinfo(5). */
function parseMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const [root, mountPoint] = [fields[3], fields[4]];
    const [type, , options = ""] = fields.slice(fields.indexOf("-", 6) + 1);
    if (root === undefined || mountPoint === undefined) return [];
    if (type !== "cgroup" && type !== "cgroup2") return [];
    return [{ root, mountPoint, type, options: options.split(",") }];
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

/**
 * The caller's group and those above it, nearest first, up to the last slice: a slice's controllers
 * are systemd's to turn on and off, which would take limits of groups in it away unnoticed.
 */
export function ownGroups({ mountPoint, directory }: CgroupSetup): string[] {
  if (mountPoint === null || directory === null) return [];
  const names = directory.slice(mountPoint.length).split("/").slice(1);
  const slice = names.findLastIndex((name) => name.endsWith(".slice"));
  const all = names.map((_, i) => [mountPoint, ...names.slice(0, i + 1)].join("/"));
  return (slice === -1 ? [mountPoint, ...all] : all.slice(slice + 1)).reverse();
}

/** The group of the user's systemd, whether or not there is one: user@.service(5). */
export function managerGroup(mountPoint: string, uid: number): string {
  return `${mountPoint}/user.slice/user-${uid}.slice/user@${uid}.service`;
}

/** `--cgroup-parent` as an absolute path, which may also begin below the mount point of version 2. */
export function parentGroup(mountPoint: string, parent: string): string {
  return parent === mountPoint || parent.startsWith(`${mountPoint}/`)
    ? parent
    : `${mountPoint}/${parent.replace(/^\/+/, "")}`;
}

/** The subtree that is delegated: through the user's systemd, else around the caller; null for neither. */
export function findDelegation({ own, manager }: CgroupFacts): Delegation | null {
  if (manager !== null) return { ...manager, through: "manager" };
  const group = own.find((each) => each.writable && each.isVacant) ?? own.find((g) => g.writable);
  return group === undefined ? null : { ...group, through: "own" };
}

/** The controllers that limits need and the subtree lacks. */
export function missingControllers({ controllers }: Pick<Delegation, "controllers">): Controller[] {
  return wantedControllers.filter((name) => !controllers.includes(name));
}

/** What controllers there are, a systemd learns as it starts; one that lingers outlives logins. */
export const managerRestart = "sudo systemctl restart user@$(id -u)";

/** How root delegates all controllers to the systemd of every user: systemd.resource-control(5). */
export const delegationDropIn = `sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=${wantedControllers.join(" ")}\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, then log in anew, or where you linger: ${managerRestart}`;
