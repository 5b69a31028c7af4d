/** Findings on where programs are kept, and where writes to a sandbox go. */
import { dirname } from "node:path";
import { assertNever } from "../../spec/assert-never.js";
import type { Facts } from "./facts.js";
import {
  describeFailure,
  type Failure,
  type Finding,
  fatal,
  judgeTrial,
  withFlag,
} from "./finding.js";
import { install, loadModule } from "./mend.js";

const otherPlace =
  "set XDG_CACHE_HOME to a directory of yours that others cannot write to, on a file system without noexec";

export function programsFinding({ programs, memfdNoexec }: Facts): Finding {
  const id = "programs";
  switch (programs.kind) {
    case "file":
      return { id, state: "ok", found: `kept, and executed, in ${dirname(programs.path)}` };
    case "memory":
      return {
        id,
        state: "limited",
        found: `executed from memory, at the cost of a start of Node each time: ${programs.refusals.join("; ")}`,
        mend: `To have them kept, ${otherPlace}`,
      };
    case "nowhere":
      return {
        id,
        state: "missing",
        found: `cannot be executed anywhere: ${programs.refusals.join("; ")}`,
        mend:
          memfdNoexec === 2
            ? `Allow programs in memory: sudo sysctl vm.memfd_noexec=1; or ${otherPlace}`
            : `${otherPlace[0]?.toUpperCase()}${otherPlace.slice(1)}`,
        consequence: fatal,
      };
    default:
      return assertNever(programs);
  }
}

export function writeFindings(facts: Facts): Finding[] {
  return [overlay(facts), xattrs(facts), fuse(facts), fuseOverlayfs(facts)];
}

/** Before Linux 6.6 the upper is on disk. */
const isOnDisk = ({ outcomes, storeRefusal }: Facts): boolean =>
  storeRefusal !== null || outcomes?.diskOverlay !== undefined;

function overlay(facts: Facts): Finding {
  const id = "overlay";
  const consequence = withFlag("--read-only");
  const parent = facts.host.upperStore;
  if (facts.storeRefusal !== null) {
    return {
      id,
      state: "missing",
      found: `there is no place on disk for throw-away writes: ${facts.storeRefusal}`,
      mend: "Set XDG_CACHE_HOME to a directory that you can write to, on a local disk",
      consequence,
    };
  }
  return judgeTrial(facts, id, isOnDisk(facts) ? "diskOverlay" : "overlay", {
    good: () => {
      const noXattrs = isOnDisk(facts) && facts.outcomes?.diskXattrs?.failure != null;
      if (!noXattrs) return { id, state: "ok", found: "can be mounted in a user namespace" };
      return {
        id,
        state: "limited",
        found: `can be mounted, but no directory of the lower layer removed: ${parent} takes no user xattrs`,
        mend: "Set XDG_CACHE_HOME to a directory on a local disk (ext4, xfs, btrfs)",
      };
    },
    bad: (failure, errno) => ({
      found: describeFailure(failure),
      mend: `${mendOverlay(facts, errno)}; without it use --overlay=fuse, --read-only or --in-place`,
    }),
    consequence,
  });
}

function mendOverlay(facts: Facts, errno: string): string {
  switch (errno) {
    case "ENODEV":
      return loadModule("overlay");
    case "EPERM":
    case "EACCES":
      return "Use Linux 5.11 or later, which has overlays for user namespaces";
    default:
      return isOnDisk(facts)
        ? "Set XDG_CACHE_HOME to a directory on a local disk (ext4, xfs, btrfs)"
        : "Use Linux 5.11 or later";
  }
}

function xattrs(facts: Facts): Finding {
  const id = "tmpfs-xattrs";
  const good = { id, state: "ok", found: "throw-away writes stay in memory" } as const;
  const finding = judgeTrial(facts, id, "xattrs", {
    good: () => good,
    bad: (failure: Failure) => ({
      found: isOnDisk(facts)
        ? `${describeFailure(failure)}; throw-away writes go to ${facts.host.upperStore}`
        : describeFailure(failure),
      mend: "Use Linux 6.6 or later, with CONFIG_TMPFS_XATTR",
    }),
    consequence: null,
  });
  // A disk stands in for it.
  return finding.state === "missing" && isOnDisk(facts)
    ? { ...finding, state: "limited" }
    : finding;
}

/** What opening a character device failed with, and what mends that. */
export function deviceFinding(
  id: string,
  path: string,
  module: string,
  { errno, isContainer }: { errno: string | null; isContainer: boolean },
): Finding {
  if (errno === null) return { id, state: "ok", found: `${path} can be opened` };
  const mend = isContainer
    ? `Start the container that sbx is in with --device ${path}`
    : errno === "EACCES" || errno === "EPERM"
      ? `sudo chmod 0666 ${path}; to last: echo 'KERNEL=="${module}", MODE="0666"' | sudo tee /etc/udev/rules.d/60-sbx-${module}.rules`
      : loadModule(module);
  return { id, state: "missing", found: `${path} cannot be opened: ${errno}`, mend };
}

function fuse({ devices, isContainer }: Facts): Finding {
  return deviceFinding("fuse", "/dev/fuse", "fuse", { errno: devices.fuse, isContainer });
}

function fuseOverlayfs(facts: Facts): Finding {
  return toolFinding("fuse-overlayfs", facts);
}

/** A program that is there, with its version, or how to install it. */
export function toolFinding(id: keyof Facts["tools"], { tools, osRelease }: Facts): Finding {
  const tool = tools[id];
  return tool === null
    ? { id, state: "missing", found: "not in PATH or /usr/bin", mend: install(id, osRelease) }
    : { id, state: "ok", found: [tool.path, ...(tool.version ? [tool.version] : [])].join(": ") };
}
