/** What a plan has to know of the layers of a rootfs, lower and upper. */
import { closeSync, constants } from "node:fs";
import { basename, dirname, join } from "node:path";
import { contains } from "../../rootfs/paths.js";
import { fail } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import { type EtcFileName, etcFileNames } from "../../spec/host-rootfs.js";
import { workOf } from "../store/kept-upper.js";
import { placeInRoot, readInRoot } from "./in-root.js";
import {
  absolutePath,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  statSync,
} from "./readings.js";
import { readRootfs, requireDirectory } from "./rootfs-facts.js";
import { unlessRefused } from "./system-error.js";

/** As the user names them, relative to the working directory. */
export interface LayerPaths {
  /** Topmost first. */
  readonly lowers?: readonly string[] | undefined;
  readonly upper?: string | undefined;
}

/** The users are those that the layers show together, topmost first. */
export function readLayers(
  rootfs: string,
  layers: LayerPaths,
  host: Pick<Host, "mounts">,
): Pick<Host, "rootfs" | "lowers" | "upper"> {
  const facts = readRootfs(rootfs, host);
  const lowers = (layers.lowers ?? []).map((path) => {
    const real = requireDirectory(path, "layer");
    return { path: real, mode: statSync(real).mode & 0o7777 };
  });
  const upper = layers.upper === undefined ? null : upperPath(layers.upper);
  const above = [...(upper === null ? [] : [upper]), ...lowers.map(({ path }) => path)];
  const text = (name: "passwd" | "group") => {
    for (const layer of above) {
      const found = readInRoot(layer, `etc/${name}`);
      if (found !== null) return found;
    }
    return facts[name];
  };
  const place = (name: EtcFileName) => {
    const places = above.map((layer) => placeInRoot(layer, `etc/${name}`));
    return places.find((each) => each !== null && each.type !== "absent") ?? facts.etc[name];
  };
  const etc = Object.fromEntries(
    etcFileNames.map((name) => [name, place(name)]),
  ) as typeof facts.etc;
  const [passwd, group] = [text("passwd"), text("group")];
  return { rootfs: { ...facts, passwd, group, etc }, lowers, upper };
}

/**
 * It need not be there yet, the directory above it must. One that has files is taken only with its work
 * directory: `sbx rm` removes all that is in an upper, and so nothing else shall become one.
 */
function upperPath(path: string): string {
  const absolute = absolutePath(path);
  const isThere = lstatSync(absolute, { throwIfNoEntry: false }) !== undefined;
  const real = isThere
    ? requireDirectory(absolute, "upper directory")
    : join(requireDirectory(dirname(absolute), "directory of the upper"), basename(absolute));
  if (real === "/")
    fail("open the upper directory /", "there is no place beside it for its work directory");
  if (isThere && !existsSync(workOf(real)) && readdirSync(real).length > 0) {
    fail(
      `open the upper directory ${path}`,
      `it has files, and there is no ${workOf(real)}`,
      "Name a new or an empty directory, or lay this one below with --lower. For an upper from elsewhere, make that directory",
    );
  }
  return real;
}

export function mountInLayer({
  rootfs,
  lowers,
  mounts,
}: Pick<Host, "rootfs" | "lowers" | "mounts">): Host["mountInLayer"] {
  for (const { path: layer } of [rootfs, ...lowers]) {
    const inside = mounts.find(({ mountPoint }) => contains(layer, mountPoint));
    if (inside !== undefined) return { mountPoint: inside.mountPoint, layer };
  }
  return null;
}

/** Whether the caller can open a device. access(2) would not tell of a mount that is nodev, or of a rule of a cgroup. */
export function canOpen(path: string): boolean {
  return unlessRefused(() => closeSync(openSync(path, constants.O_RDWR))) !== null;
}
