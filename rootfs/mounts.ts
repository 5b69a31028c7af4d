/**
 * The OCI `mounts` of a spec as steps. Each mount is put together on a stage outside the new root,
 * with its flags, and moved to its destination when all are; so it is never there half protected,
 * and no link of a hostile rootfs leads anywhere. Sources of binds are opened before that, as the
 * caller, and before any mount covers them.
 */
import type { RestrictingFlag } from "../spec/actions/mounts.js";
import { fail } from "../spec/error.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Mount, Spec } from "../spec/spec.js";
import type { Action, Step } from "../spec/step.js";
import { planDevices } from "./devices.js";
import { type MountOptions, parseOptions } from "./options.js";
import { restrictMount } from "./restrict.js";
import { stage, store } from "./root.js";

const restricting: readonly RestrictingFlag[] = ["MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];

const restrict = restrictMount("filesystems");

export interface MountPlan {
  /** With the caller's ids. */
  readonly open: readonly Step[];
  readonly staged: readonly Step[];
  readonly attach: readonly Step[];
  readonly notes: readonly string[];
  /** The place on the stage of what is mounted on exactly this destination, or null. */
  readonly stageOf: (destination: string) => string | null;
}

/** Ids of the sandbox: of its user, to whom `U` gives files, and which of its gids have one outside. */
export interface SandboxIds {
  readonly uid: number;
  readonly gid: number;
  readonly gidMapped: (gid: number) => boolean;
}

export function planMounts({ mounts }: Spec, host: Host, ids: SandboxIds): MountPlan {
  const notes: string[] = [];
  const [open, staged, attach]: [Step[], Step[], Step[]] = [[], [], []];
  const stages = new Map<string, string>();
  for (const [number, mount] of mounts.entries()) {
    const { destination, type, source } = mount;
    const isCopied = source === destination && host.joined?.copies.includes(source) === true;
    if (!isCopied && isMissing(mount, host)) {
      notes.push(`no ${destination}: the host has nothing mounted there to share`);
      continue;
    }
    const target = `${stage}/${number}`;
    const options = parseOptions(mount, ids.gidMapped);
    stages.set(destination, target);
    if (!options.flags.includes("MS_BIND")) {
      staged.push(...freshSteps(mount, target, options));
      if (destination === "/dev" && type === "tmpfs") staged.push(...planDevices(target));
    } else if (isCopied) {
      staged.push(...copySteps(destination, target));
      const flags = options.flags.filter((flag) => flag !== "MS_REC");
      staged.push(...bindFlagSteps(destination, target, { ...options, flags }, host, ids));
    } else {
      if (type === "volume" && source === undefined) {
        staged.push(...anonymousSteps(number, target, destination));
      } else {
        if (source?.startsWith("/") !== true)
          fail(`mount ${destination}`, "a bind needs an absolute path as its source");
        open.push(openStep(number, source));
        staged.push(bindStep(number, source, target, destination, options));
      }
      staged.push(...bindFlagSteps(source ?? "", target, options, host, ids));
      if (isRecursivelyReadOnly(options) && !kernelAtLeast(host, 5, 12)) {
        notes.push(
          `${destination} is read-only with the mounts below it that were there at the start: Linux 5.12 takes all`,
        );
      }
      if (!options.propagation.includes("MS_PRIVATE")) {
        notes.push(
          `what this machine mounts below ${source} later is shown in ${destination} with its own flags: not read-only, nosuid or nodev by what was asked for here`,
        );
      }
    }
    attach.push(attachStep(target, destination, describeMount(mount)));
  }
  return { open, staged, attach, notes, stageOf: (destination) => stages.get(destination) ?? null };
}

/** What a spec by default shares with the host in a shared namespace. */
const shareable = ["/proc", "/sys", "/dev/shm", "/dev/mqueue"];

/** A filesystem of a shared namespace that the host, whose it is, has not mounted itself. */
function isMissing({ source, destination }: Mount, host: Host): boolean {
  if (source !== destination || !shareable.includes(destination)) return false;
  return !host.mounts.some(({ mountPoint }) => mountPoint === source);
}

function freshSteps(mount: Mount, target: string, { flags, data }: MountOptions): Step[] {
  const { destination, type, source = type ?? "none" } = mount;
  if (type === undefined) fail(`mount ${destination}`, "it has no type, and is no bind");
  const made = step({ kind: "mount", source, target, type, flags, data, destination });
  const hints = freshHints[type];
  return [
    step({ kind: "mkdir", path: target, mode: 0o755, isNew: true }),
    hints === undefined ? made : { ...made, hints },
  ];
}

/** What the kernel says where it makes no fresh one, since the only one there is is partly covered. */
const freshHints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  proc: {
    EPERM:
      "The /proc out here is partly covered, as in a container, so the kernel refuses a fresh one (mount too revealing): start the outer container with its /proc unmasked (podman: --security-opt unmask=ALL), or use --pid=host",
  },
  sysfs: {
    EPERM:
      "The /sys out here is partly covered, as in a container, so the kernel refuses a fresh one (mount too revealing): start the outer container with its /sys unmasked (podman: --security-opt unmask=ALL), or use --network=host",
  },
  tmpfs: { EINVAL: "The kernel does not take one of these options: tmpfs(5) has them" },
};

function openStep(number: number, path: string): Step {
  return {
    ...step({ kind: "openSource", number, path }),
    hints: {
      ENOENT: "There is no such file or directory on this machine: make it, or correct the path",
      EACCES: "You may not go there yourself, so neither may the sandbox",
    },
  };
}

function bindStep(
  number: number,
  path: string,
  target: string,
  destination: string,
  { flags }: MountOptions,
): Step {
  const recursive = flags.includes("MS_REC");
  return {
    ...step({ kind: "bindSource", number, path, target, recursive, destination }),
    hints: {
      EINVAL: "Mounts below it are not to be uncovered: bind it with them, which rbind does",
    },
  };
}

const unlike = "It is no directory any more: start that sandbox anew";

/** Of the sandbox that is joined, without what is mounted below it there. */
function copySteps(path: string, target: string): Step[] {
  return [
    step({ kind: "mkdir", path: target, mode: 0o755, isNew: true }),
    { ...step({ kind: "moveMount", path, target }), hints: { EINVAL: unlike, ENOTDIR: unlike } },
  ];
}

/** A directory of the store that the janitor removes when the sandbox has ended. */
function anonymousSteps(number: number, target: string, destination: string): Step[] {
  const source = `${store}/volume-${number}`;
  return [
    step({ kind: "mkdir", path: source, mode: 0o755, isNew: true }),
    step({ kind: "mkdir", path: target, mode: 0o755, isNew: true }),
    step({ kind: "mount", source, target, type: null, flags: ["MS_BIND"], data: "", destination }),
  ];
}

function bindFlagSteps(
  source: string,
  target: string,
  { flags, propagation, chown }: MountOptions,
  host: Host,
  { uid, gid }: SandboxIds,
): Step[] {
  const added = restricting.filter((flag) => flags.includes(flag));
  const recursive = flags.includes("MS_REC") ? source : null;
  return [
    step({ kind: "mount", source: "none", target, type: null, flags: propagation, data: "" }),
    ...(chown ? [chownStep(source, target, uid, gid)] : []),
    ...(added.length === 0 ? [] : restrict(host, target, added, recursive)),
  ];
}

function chownStep(path: string, target: string, uid: number, gid: number): Step {
  const unmapped =
    "Its owner, or the new one, has no id in the sandbox: give yourself subordinate ids (`sbx check` says how), or leave U out";
  return {
    ...step({ kind: "chownTree", path, target, uid, gid }),
    hints: { EPERM: unmapped, EINVAL: unmapped, EOVERFLOW: unmapped },
  };
}

const isRecursivelyReadOnly = ({ flags }: MountOptions) =>
  flags.includes("MS_RDONLY") && flags.includes("MS_REC");

/** As an error and `explain` call it. */
function describeMount({ type = "bind", source }: Mount): string {
  if (source === undefined) return type === "volume" ? "an anonymous volume" : `a ${type}`;
  return source.startsWith("/") ? source : `a ${type}`;
}

function attachStep(staged: string, path: string, what: string): Step {
  return {
    ...step({ kind: "attach", staged, path, what }),
    hints: {
      EROFS: `It is missing: make ${path} in the rootfs, or leave --read-only out`,
      EACCES: `It is missing, and may not be made: make ${path} in the rootfs, or choose another place`,
      ELOOP: "Links of the rootfs lead in a circle, or to what belongs to a process",
      otherType: "Give a directory for a directory, and a file for a file",
    },
  };
}

function step(action: Action): Step {
  return { role: "init", phase: "filesystems", action };
}
