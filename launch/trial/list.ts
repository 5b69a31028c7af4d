/** What is tried of a host, as the ops that a child process runs. */
import type { Host } from "../../spec/host.js";
import type { NamespaceType } from "../../spec/spec.js";
import type { IdMaps } from "../../userns/idmap.js";
import { constant, slot } from "../machine/builder.js";
import { type ConstantName, k } from "../machine/constants.js";
import type { Trial, TrialPen } from "./program.js";
import { askLandlock, filterCalls, readCapabilities } from "./questions.js";

/**
 * - A namespace type: that namespace, with a user namespace that owns it.
 * - `mounts`: private propagation and a tmpfs, in a user namespace with the caller's own id.
 * - `overlay`, `xattrs`: an overlay whose upper is on tmpfs; user xattrs there.
 * - `diskOverlay`, `diskXattrs`: the same in the working directory.
 * - `proc`, `sysfs`: fresh ones.
 * - `idMap`: the maps of a default run.
 * - `newuidmapCapabilities` and its like: the value holds the lower 32 permitted file capabilities.
 * - `seccomp`: a filter that takes effect. `landlock`: the value is the ABI's version.
 */
export type TrialName =
  | NamespaceType
  | "mounts"
  | "overlay"
  | "xattrs"
  | "diskOverlay"
  | "diskXattrs"
  | "proc"
  | "sysfs"
  | "idMap"
  | "newuidmapCapabilities"
  | "newgidmapCapabilities"
  | "seccomp"
  | "landlock";

/** The trials for a host; those on disk only where `disk` is true. */
export function hostTrials(host: Host, maps: IdMaps, disk: boolean): Trial<TrialName>[] {
  const mapped = (...more: ConstantName[]) => ["CLONE_NEWUSER", "CLONE_NEWNS", ...more] as const;
  const prepared = (inside: (pen: TrialPen) => void) => (pen: TrialPen) => {
    mapOwnIds(pen, host.user);
    makePrivate(pen);
    inside(pen);
  };
  const inTmpfs = (inside: (pen: TrialPen) => void) =>
    prepared((pen) => {
      mountTmpfs(pen);
      inside(pen);
    });
  return [
    ...namespaceTrials(),
    { name: "mounts", namespaces: mapped(), inside: inTmpfs(() => {}) },
    { name: "overlay", namespaces: mapped(), inside: inTmpfs(mountOverlay) },
    { name: "xattrs", namespaces: mapped(), inside: inTmpfs(setUserXattr) },
    ...(disk
      ? ([
          { name: "diskOverlay", namespaces: mapped(), inside: prepared(mountOverlay) },
          { name: "diskXattrs", namespaces: mapped(), inside: prepared(setUserXattr) },
        ] as const)
      : []),
    {
      name: "proc",
      namespaces: mapped("CLONE_NEWPID"),
      inside: prepared((pen) => mountFresh(pen, "proc", "/proc", [])),
    },
    {
      name: "sysfs",
      namespaces: mapped("CLONE_NEWNET"),
      inside: prepared((pen) => mountFresh(pen, "sysfs", "/sys", ["MS_RDONLY"])),
    },
    ...(["newuidmap", "newgidmap"] as const).flatMap((name) => {
      const path = host[name]?.path;
      if (path === undefined) return [];
      const inside = (pen: TrialPen) => readCapabilities(pen, path);
      return [{ name: `${name}Capabilities`, namespaces: [], inside } as const];
    }),
    { name: "seccomp", namespaces: [], inside: (pen) => filterCalls(pen, host.architecture) },
    { name: "landlock", namespaces: [], inside: askLandlock },
    // Last, as it waits for programs that may have to ask a directory service.
    {
      name: "idMap",
      namespaces: ["CLONE_NEWUSER"],
      maps: mapAction(maps),
      inside: (pen) => become(pen, maps),
    },
  ];
}

function mapAction({ uidMappings, gidMappings, helpers, denySetgroups }: IdMaps) {
  return { kind: "mapIds", uidMappings, gidMappings, helpers, denySetgroups } as const;
}

const flagOf = {
  mount: "CLONE_NEWNS",
  pid: "CLONE_NEWPID",
  network: "CLONE_NEWNET",
  ipc: "CLONE_NEWIPC",
  uts: "CLONE_NEWUTS",
  cgroup: "CLONE_NEWCGROUP",
} as const;

function namespaceTrials(): Trial<NamespaceType>[] {
  return [
    { name: "user", namespaces: ["CLONE_NEWUSER"], inside: () => {} },
    ...Object.entries(flagOf).map(
      ([name, flag]): Trial<NamespaceType> => ({
        name: name as keyof typeof flagOf,
        namespaces: ["CLONE_NEWUSER", flag],
        inside: () => {},
      }),
    ),
    {
      name: "time",
      namespaces: ["CLONE_NEWUSER"],
      // clone(2) has no bit left for it.
      inside: ({ b, step }) => {
        step("unshare");
        b.must("unshare", [k("CLONE_NEWTIME")]);
      },
    },
  ];
}

/** Files can be made only by an id that is mapped. */
function mapOwnIds(pen: TrialPen, { uid, gid }: Host["user"]): void {
  pen.step("map your own ids");
  writeFile(pen, "/proc/self/setgroups", "deny");
  writeFile(pen, "/proc/self/uid_map", `0 ${uid} 1\n`);
  writeFile(pen, "/proc/self/gid_map", `0 ${gid} 1\n`);
}

function writeFile({ b }: TrialPen, path: string, text: string): void {
  const fd = slot("fd");
  b.must("openat", [k("AT_FDCWD"), b.text(path), k("O_WRONLY", "O_CLOEXEC"), 0], fd);
  b.must("write", [fd, b.text(text), text.length]);
  b.must("close", [fd]);
}

function makePrivate({ b, step }: TrialPen): void {
  step("make mounts private");
  b.must("mount", [b.text("none"), b.text("/"), 0, k("MS_REC", "MS_PRIVATE"), 0]);
}

/** At /tmp, as rootfs/root.ts does it. Leaves the process in there. */
function mountTmpfs({ b, step }: TrialPen): void {
  step("mount a tmpfs");
  const tmpfs = b.text("tmpfs");
  b.must("mount", [tmpfs, b.text("/tmp"), tmpfs, k("MS_NOSUID", "MS_NODEV"), 0]);
  b.must("chdir", [b.text("/tmp")]);
}

const mode = constant("0700", 0o700);

/** An overlay of directories in the working directory, and one directory made through it. */
function mountOverlay({ b, step }: TrialPen): void {
  step("make directories");
  for (const name of ["lower", "upper", "work", "merged"]) {
    b.must("mkdirat", [k("AT_FDCWD"), b.text(name), mode]);
  }
  step("mount an overlay");
  const options = "lowerdir=lower,upperdir=upper,workdir=work,userxattr";
  b.must("mount", [b.text("overlay"), b.text("merged"), b.text("overlay"), 0, b.text(options)]);
  step("write to the overlay");
  b.must("mkdirat", [k("AT_FDCWD"), b.text("merged/new"), mode]);
}

function setUserXattr({ b, step }: TrialPen): void {
  step("make directories");
  b.must("mkdirat", [k("AT_FDCWD"), b.text("marked"), mode]);
  step("set a user xattr");
  b.must("setxattr", [b.text("marked"), b.text("user.sbx"), b.text("1"), 1, 0]);
}

function mountFresh(
  { b, step }: TrialPen,
  type: string,
  target: string,
  flags: readonly ConstantName[],
): void {
  step(`mount ${type}`);
  const guarded = k("MS_NOSUID", "MS_NODEV", "MS_NOEXEC", ...flags);
  b.must("mount", [b.text(type), b.text(target), b.text(type), guarded, 0]);
}

/** The step of `idMap` that fails where setgroups(2) is denied in the caller's own user namespace. */
export const groupsStep = "set supplementary groups";

/** Root, as the init becomes it, with the groups of a payload that has none. */
function become({ b, step }: TrialPen, { rootMapped, denySetgroups }: IdMaps): void {
  if (rootMapped) {
    step("become root inside");
    b.must("setresgid", [0, 0, 0]);
    b.must("setresuid", [0, 0, 0]);
  }
  if (denySetgroups) return;
  step(groupsStep);
  b.must("setgroups", [0, 0]);
}
