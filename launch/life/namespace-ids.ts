/** Which namespaces a running sandbox has. */
import { readlinkSync } from "node:fs";
import { type NamespaceType, namespaceTypes } from "../../spec/spec.js";
import { unlessRefused } from "../facts/system-error.js";
import type { Sandbox } from "./sandbox.js";

/** As /proc/PID/ns has them: namespaces(7). */
const files = {
  user: "user",
  mount: "mnt",
  pid: "pid",
  network: "net",
  ipc: "ipc",
  uts: "uts",
  cgroup: "cgroup",
  time: "time",
} as const satisfies Record<NamespaceType, string>;

/** Of each type the inode, by which lsns(8) knows it: of its own ones by way of its monitor, else the caller's. */
export function namespaceIds({ monitor, namespaces }: Sandbox): Record<string, number | null> {
  return Object.fromEntries(
    namespaceTypes.map((type) => {
      const fd = namespaces[type];
      return [type, inodeOf(fd === undefined ? `self/ns/${files[type]}` : `${monitor}/fd/${fd}`)];
    }),
  );
}

/** Null where it has ended meanwhile, and where the kernel has no such namespaces. */
function inodeOf(path: string): number | null {
  return unlessRefused(
    () => Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${path}`))?.[1] ?? Number.NaN) || null,
  );
}
