/** What limits depend on, read only where there are some. */
import type { CgroupFacts, LimitFacts } from "../../spec/host-cgroup.js";
import type { Resources } from "../../spec/resources.js";
import { wholeDisk } from "./disks.js";
import { readOptional } from "./identity.js";
import { readdirSync } from "./readings.js";
import { unlessRefused } from "./system-error.js";

export function readLimitFacts(
  { blockIO = {}, unified }: Resources,
  cgroup: CgroupFacts,
): LimitFacts {
  const { weight: _, ...lists } = blockIO;
  const devices = Object.values(lists)
    .flat()
    .map(({ major, minor }) => `${major}:${minor}`);
  const online = (what: string) => readOptional(`/sys/devices/system/${what}/online`)?.trim();
  return {
    hasSwap: (readOptional("/proc/swaps") ?? "").trim().split("\n").length > 1,
    cpus: online("cpu") ?? "0",
    // A kernel without NUMA has one node, and no such file.
    mems: online("node") ?? "0",
    disks: Object.fromEntries(devices.map((number) => [number, wholeDisk(number)])),
    files: unified === undefined ? {} : readGroupFiles(cgroup),
  };
}

/** The files of each controller, of the caller's groups that have it. */
function readGroupFiles({ own, parent, manager }: CgroupFacts): LimitFacts["files"] {
  const found: Record<string, string[]> = {};
  for (const group of [...own, parent, manager]) {
    const names = group === null ? [] : namesIn(group.path);
    // The root group has few of a controller's files, and none of this name.
    if (!names.includes("cgroup.events")) continue;
    for (const controller of group?.controllers ?? []) {
      found[controller] = names.filter((name) => name.startsWith(`${controller}.`));
    }
  }
  return found;
}

function namesIn(directory: string): string[] {
  return unlessRefused(() => readdirSync(directory)) ?? [];
}
