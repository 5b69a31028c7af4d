/** Questions about the host's paths that need no look at the machine. */
import type { Host } from "../spec/host.js";

/** Whether `path` lies strictly inside `directory`; both absolute and without links. */
export function contains(directory: string, path: string): boolean {
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return path.startsWith(prefix) && path !== prefix;
}

/** The type of the filesystem that a path is on: of the mounts above it the nearest, and of those the last. */
export function filesystemOf({ mounts }: Pick<Host, "mounts">, path: string): string {
  const above = mounts.filter(
    ({ mountPoint }) => mountPoint === path || contains(mountPoint, path),
  );
  const longest = Math.max(...above.map(({ mountPoint }) => mountPoint.length));
  return above.findLast(({ mountPoint }) => mountPoint.length === longest)?.type ?? "unknown";
}
