/**
 * The OCI `mounts` of a spec as steps: destinations are paths inside the new root, which is the
 * process's root by then, so that no link of a hostile rootfs leads out of it; sources of binds are
 * relative to the old root, which is the working directory.
 */
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Mount, Spec } from "../spec/spec.js";
import type { Action, MountFlag, RestrictingFlag, Step } from "../spec/step.js";
import { restrictMount } from "./restrict.js";

/** Mount options that are flags, after mount(8) and the runtime-spec's config.md. */
const optionFlags: Readonly<Record<string, readonly MountFlag[]>> = {
  ro: ["MS_RDONLY"],
  rw: [],
  nosuid: ["MS_NOSUID"],
  suid: [],
  nodev: ["MS_NODEV"],
  dev: [],
  noexec: ["MS_NOEXEC"],
  exec: [],
  noatime: ["MS_NOATIME"],
  nodiratime: ["MS_NODIRATIME"],
  relatime: ["MS_RELATIME"],
  strictatime: ["MS_STRICTATIME"],
  bind: ["MS_BIND"],
  rbind: ["MS_BIND", "MS_REC"],
};

const restricting: readonly RestrictingFlag[] = ["MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];

const restrict = restrictMount("filesystems");

export interface MountPlan {
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
}

/** `gidMapped` tells whether a gid of the sandbox has one of the host's behind it. */
export function planMounts(spec: Spec, host: Host, gidMapped: (gid: number) => boolean): MountPlan {
  const notes: string[] = [];
  const steps = spec.mounts.flatMap((mount) => {
    if (!isMissing(mount, host)) return mountSteps(mount, host, gidMapped);
    notes.push(`no ${mount.destination}: the host has nothing mounted there to share`);
    return [];
  });
  return { steps, notes };
}

/** A filesystem of a shared namespace that the host, whose it is, has not mounted itself. */
function isMissing({ source, destination, options }: Mount, host: Host): boolean {
  if (source !== destination || options?.includes("rbind") !== true) return false;
  return !host.mounts.some(({ mountPoint }) => mountPoint === source);
}

function mountSteps(mount: Mount, host: Host, gidMapped: (gid: number) => boolean): Step[] {
  const { destination: target, type = null, source } = mount;
  const { flags, data } = parseOptions(mount, gidMapped);
  const mountPoint: Step = {
    ...step({ kind: "mkdir", path: target, mode: 0o755 }),
    hints: {
      EROFS: `A sandbox mounts there: make the directory ${target} in the rootfs, or leave --read-only out`,
      EACCES: `A sandbox mounts there, and you may not make it: make the directory ${target} in the rootfs, or leave --in-place out`,
    },
  };
  if (!flags.includes("MS_BIND")) {
    const made = step({
      kind: "mount",
      source: source ?? type ?? "none",
      target,
      type,
      flags,
      data,
    });
    const hints = coveredHints[type ?? ""];
    return [mountPoint, hints === undefined ? made : { ...made, hints }];
  }
  if (source === undefined) fail(`mount ${target}`, "a bind mount needs a source");
  const bindFlags = flags.filter((flag) => flag === "MS_BIND" || flag === "MS_REC");
  const added = restricting.filter((flag) => flags.includes(flag));
  return [
    mountPoint,
    step({ kind: "mount", source: `.${source}`, target, type: null, flags: bindFlags, data: "" }),
    ...(added.length === 0
      ? []
      : restrict(host, target, added, flags.includes("MS_REC") ? source : null)),
  ];
}

/** Of these the kernel makes no fresh one where parts of the only one there is are covered. */
const coveredHints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  proc: {
    EPERM:
      "The /proc out here is partly covered, as in a container, so the kernel refuses a fresh one (mount too revealing): start the outer container with its /proc unmasked (podman: --security-opt unmask=ALL), or use --pid=host",
  },
  sysfs: {
    EPERM:
      "The /sys out here is partly covered, as in a container, so the kernel refuses a fresh one (mount too revealing): start the outer container with its /sys unmasked (podman: --security-opt unmask=ALL), or use --network=host",
  },
};

function parseOptions(
  mount: Mount,
  gidMapped: (gid: number) => boolean,
): { flags: MountFlag[]; data: string } {
  const flags = new Set<MountFlag>();
  const data: string[] = [];
  for (const option of mount.options ?? []) {
    const known = optionFlags[option];
    if (known !== undefined) for (const flag of known) flags.add(flag);
    else if (!isUnmappedGid(option, gidMapped)) data.push(option);
  }
  return { flags: [...flags], data: data.join(",") };
}

/** devpts's gid=5 is the group tty; where it has no id the terminals keep the user's own group. */
function isUnmappedGid(option: string, gidMapped: (gid: number) => boolean): boolean {
  const gid = /^gid=(\d+)$/.exec(option)?.[1];
  return gid !== undefined && !gidMapped(Number(gid));
}

function step(action: Action): Step {
  return { role: "init", phase: "filesystems", action };
}
