/** What a plan has to know of a rootfs: that it is there, its user files, the layout of the host's root. */
import { constants } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../../spec/error.js";
import type { Host, HostMount } from "../../spec/host.js";
import { type DirectoryEntry, etcFileNames, type RootfsFacts } from "../../spec/host-rootfs.js";
import { placeInRoot, readInRoot } from "./in-root.js";
import {
  accessSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "./readings.js";
import { isSystemError, unlessRefused } from "./system-error.js";

/**
 * Reads the rootfs at `path`, relative to the working directory. The mounts of `host` tell which directories
 * a copy of the host's root has to be put together from. Gives up where the path names no directory
 * that the caller may list and enter.
 */
export function readRootfs(path: string, host: Pick<Host, "mounts">): RootfsFacts {
  const real = requireDirectory(path);
  return {
    path: real,
    mode: statSync(real).mode & 0o7777,
    passwd: readInRoot(real, "etc/passwd"),
    group: readInRoot(real, "etc/group"),
    etc: readPlaces(real),
    directories: real === "/" ? readDirectories(directoriesAbove(host.mounts)) : {},
    scratch: real === "/" ? ["/var/tmp"].filter(isDirectory) : [],
    volatile: ["/run", "/tmp", "/var/tmp"].filter(
      (path) => placeInRoot(real, path)?.type === "directory",
    ),
  };
}

function readPlaces(root: string): RootfsFacts["etc"] {
  const places = etcFileNames.map((name) => [name, placeInRoot(root, `etc/${name}`)]);
  return Object.fromEntries(places) as RootfsFacts["etc"];
}

/** The path of a directory, absolute and without links; `name` says what it is for. */
export function requireDirectory(path: string, name = "rootfs"): string {
  const what = `open the ${name} ${path}`;
  if (path === "")
    fail(
      `open the ${name}`,
      "its path is empty",
      "Give a directory, or / for the host's own root.",
    );
  if (path.includes("\0")) fail(`open the ${name}`, "its path has a NUL character in it");
  try {
    const real = realpathSync(path);
    if (!statSync(real).isDirectory())
      fail(
        what,
        "it is not a directory (ENOTDIR)",
        name === "rootfs" ? "Unpack it, and give the directory." : "Give a directory.",
      );
    accessSync(real, constants.R_OK | constants.X_OK);
    return real;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    switch (error.code) {
      case "ENOENT":
        return fail(
          what,
          "there is no such directory (ENOENT)",
          name === "rootfs" ? hintForAbsent(path) : "Make it, or correct the path.",
        );
      case "ENOTDIR":
        return fail(what, "a part of its path is not a directory (ENOTDIR)");
      case "EACCES":
        return fail(
          what,
          "you may not list and enter it (EACCES)",
          "Its owner can allow it with chmod a+rx on it and on the directories above it.",
        );
      case "ELOOP":
        return fail(what, "its path leads through too many symbolic links (ELOOP)");
      default:
        return fail(what, `${error.syscall} failed (${error.code})`);
    }
  }
}

/** `debian:12` and `docker.io/library/alpine` are what podman and docker take in this place. */
function hintForAbsent(path: string): string {
  const isNameLike = !/^[./]/.test(path);
  return isNameLike
    ? "Images are not supported: give a directory that one is unpacked in, or / for the host's own root."
    : "Give a directory, or / for the host's own root.";
}

/** These have mounts of their own inside a sandbox: what the host has there is not copied. */
const remade = ["/proc", "/sys", "/dev", "/run", "/tmp"];

/** `/`, and every directory with a mount below it. */
function directoriesAbove(mounts: readonly HostMount[]): string[] {
  const found = new Set(["/"]);
  for (const { mountPoint } of mounts) {
    if (remade.some((path) => `${mountPoint}/`.startsWith(`${path}/`))) continue;
    for (let path = dirname(mountPoint); !found.has(path); path = dirname(path)) found.add(path);
  }
  return [...found].sort();
}

/** Of its own: a link would lead to what is shown elsewhere. */
function isDirectory(path: string): boolean {
  return (
    unlessRefused(() => lstatSync(path))?.isDirectory() === true && realpathSync(path) === path
  );
}

function readDirectories(paths: readonly string[]): Record<string, readonly DirectoryEntry[]> {
  return Object.fromEntries(
    paths.flatMap((path) => {
      const names = unlessRefused(() => readdirSync(path));
      if (names === null) return [];
      const entries = names.sort().map((name) => unlessRefused(() => readEntry(path, name)));
      return [[path, entries.filter((entry) => entry !== null)]];
    }),
  );
}

function readEntry(directory: string, name: string): DirectoryEntry {
  const path = `${directory === "/" ? "" : directory}/${name}`;
  const stats = lstatSync(path);
  const mode = stats.mode & 0o7777;
  if (stats.isSymbolicLink())
    return { name, type: "symlink", mode, target: readlinkSync(path), readable: true };
  const type = stats.isDirectory() ? "directory" : stats.isFile() ? "file" : "other";
  const wanted = type === "directory" ? constants.R_OK | constants.X_OK : constants.R_OK;
  const readable = unlessRefused(() => accessSync(path, wanted)) !== null;
  return { name, type, mode, readable };
}
