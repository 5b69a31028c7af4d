/** Reading files of a rootfs without being led out of it. */
import { closeSync, constants, fstatSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../../spec/error.js";
import type { Place } from "../../spec/host-rootfs.js";
import { lstatSync, openSync, readlinkSync } from "./readings.js";
import { unlessRefused } from "./system-error.js";

/** As many symbolic links as the kernel follows: MAXSYMLINKS, path_resolution(7). */
const maxLinks = 40;

/** The most that is read of a file: a rootfs could hold a sparse one of any size. */
const maxBytes = 16 * 1024 * 1024;

/**
 * The text of the regular file at `path` inside the directory `root`, symbolic links meaning what
 * they would after pivot_root. Null where there is no such file, or none that can be read and is a
 * regular file: a rootfs is not trusted, and one without user files is a valid one. Gives up on a
 * file larger than 16 MiB, whose users would otherwise be passed over in silence.
 */
export function readInRoot(root: string, path: string): string | null {
  return unlessRefused(() => {
    const resolved = resolveInRoot(root, path);
    return resolved === null ? null : readRegular(resolved, path);
  });
}

/**
 * Where a path inside the directory `root` leads, also where nothing is there. Null in a loop of links, and
 * where the way leads through what is no directory or may not be entered.
 */
export function placeInRoot(root: string, path: string): Place | null {
  return unlessRefused(() => {
    const resolved = resolveInRoot(root, path);
    if (resolved === null) return null;
    const stats = lstatSync(resolved, { throwIfNoEntry: false });
    const inside = root === "/" ? resolved : resolved.slice(root.length);
    return stats === undefined
      ? { path: inside, type: "absent", owner: ownerAbove(resolved) }
      : { path: inside, type: stats.isDirectory() ? "directory" : "file" };
  });
}

/** The owner of the deepest directory above a path. */
function ownerAbove(path: string): number {
  const above = dirname(path);
  return lstatSync(above, { throwIfNoEntry: false })?.uid ?? ownerAbove(above);
}

/** The path on the host, free of links below `root`; null where more than 40 links are on the way. */
function resolveInRoot(root: string, path: string): string | null {
  const pending = path.split("/");
  let walked: string[] = [];
  let links = 0;
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      walked.pop();
      continue;
    }
    const here = join(root, [...walked, name]);
    if (lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink() !== true) {
      walked.push(name);
      continue;
    }
    links += 1;
    if (links > maxLinks) return null;
    const target = readlinkSync(here);
    if (target.startsWith("/")) walked = [];
    pending.unshift(...target.split("/"));
  }
  return join(root, walked);
}

function join(root: string, names: readonly string[]): string {
  return `${root === "/" ? "" : root}/${names.join("/")}`;
}

function readRegular(path: string, shown: string): string | null {
  // Not to be led astray by a link made meanwhile, nor held up by a fifo.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = openSync(path, flags);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return null;
    if (stats.size > maxBytes) {
      fail(
        `read /${shown} of the rootfs`,
        `it has ${stats.size} bytes, and at most ${maxBytes} are read`,
        "Make it smaller: only its lines of users or groups count.",
      );
    }
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
