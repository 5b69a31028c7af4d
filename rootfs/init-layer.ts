/**
 * The layer below all others that has mount points for whatever the rootfs lacks them, so that they are
 * made neither in a layer that is kept nor in one that is read-only. What a layer above has at such a
 * path hides them.
 */
import type { Host } from "../spec/host.js";
import { placesOf } from "../spec/host-rootfs.js";
import type { Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";
import { contains } from "./paths.js";
import { init } from "./pieces.js";

/** Directories for what is mounted fresh, files for the sandbox's own files of /etc. */
export function initLayer(spec: Spec, host: Host, directory: string): Step[] {
  const fresh = spec.mounts.filter(
    ({ destination, source }) =>
      source?.startsWith("/") !== true &&
      !spec.mounts.some((other) => contains(other.destination, destination)),
  );
  const files = placesOf(host.rootfs).filter(({ type }) => type === "absent");
  const parent = (path: string) => path.slice(0, path.lastIndexOf("/"));
  const directories = [
    "",
    ...fresh.map(({ destination }) => destination),
    ...files.map(({ path }) => parent(path)),
  ];
  return [
    ...[...new Set(directories)].map((path) =>
      init({ kind: "mkdir", path: directory + path, mode: 0o755 }),
    ),
    ...files.map(({ path }) => init({ kind: "touch", path: directory + path, mode: 0o644 })),
  ];
}
