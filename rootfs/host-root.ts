/**
 * A copy of the host's own `/`. An overlay of `/` itself is refused inside a user namespace, since
 * the mounts below it are locked to it: so each directory that has no mounts below it gets an overlay
 * of its own, and those that have are made anew and filled entry by entry.
 */
import type { Upper } from "../spec/actions/layers.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { DirectoryEntry } from "../spec/host-rootfs.js";
import type { Step } from "../spec/step.js";
import { overlayStep } from "./layers.js";
import { bind, init } from "./pieces.js";

/** Directories of the host that a copy of its root does not show: a sandbox gets its own. */
const ownFilesystems = new Set(["/proc", "/sys", "/dev"]);
/** What lives here are sockets and other people's files: the copy has empty ones. */
const ephemeral: Readonly<Record<string, number>> = { "/tmp": 0o1777, "/run": 0o755 };

/** Where throw-away writes go. */
export interface Uppers {
  /** The directory to make upper and work directories in. */
  readonly uppers: string;
  readonly volatile: boolean;
}

/** Below `newRoot`; without `uppers` all is bound read-only. `hostRootMapped`: the owner of the host's files has an id inside. */
export function copyOfHostRoot(
  host: Host,
  newRoot: string,
  uppers: Uppers | null,
  hostRootMapped: boolean,
): { steps: Step[]; notes: string[] } {
  const steps: Step[] = [];
  const hidden: string[] = [];
  const fixed: string[] = [];

  const place = (path: string, entry: DirectoryEntry) => {
    const target = newRoot + path;
    if (entry.type === "symlink") {
      steps.push(init({ kind: "symlink", target: entry.target ?? "", path: target }));
    } else if (path in ephemeral || ownFilesystems.has(path)) {
      steps.push(init({ kind: "mkdir", path: target, mode: ephemeral[path] ?? 0o755 }));
    } else if (!entry.readable) {
      hidden.push(path);
      if (entry.type === "directory")
        steps.push(init({ kind: "mkdir", path: target, mode: 0o755 }));
    } else if (entry.type === "file") {
      fixed.push(path);
      steps.push(
        init({ kind: "touch", path: target, mode: 0o644 }),
        ...bind(host, path, target, true),
      );
    } else if (entry.type === "directory") {
      const entries = host.rootfs.directories[path];
      if (entries !== undefined) {
        steps.push(init({ kind: "mkdir", path: target, mode: entry.mode }));
        fill(path, entries);
      } else if (uppers !== null) {
        steps.push(
          overlayStep([`.${path}`], target, upperIn(uppers, `${steps.length}`, entry.mode)),
        );
      } else {
        steps.push(
          init({ kind: "mkdir", path: target, mode: entry.mode }),
          ...bind(host, path, target, true),
        );
      }
    }
  };
  const fill = (directory: string, entries: readonly DirectoryEntry[]) => {
    for (const entry of entries)
      place(`${directory === "/" ? "" : directory}/${entry.name}`, entry);
  };

  const top = host.rootfs.directories["/"];
  if (top === undefined) {
    fail("copy the host's root", "its top-level directories could not be read");
  }
  fill("/", top);
  // Their owner, the host's root, has no id inside: nothing could be made in them.
  const scratch = uppers === null ? [] : host.rootfs.scratch;
  for (const [number, path] of scratch.entries()) {
    const source = `${uppers?.uppers}/scratch-${number}`;
    steps.push(
      init({ kind: "mkdir", path: source, mode: 0o1777 }),
      init({
        kind: "mount",
        source,
        target: newRoot + path,
        type: null,
        flags: ["MS_BIND"],
        data: "",
      }),
    );
  }

  const empty = [...Object.keys(ephemeral), ...scratch].join(", ");
  const notes = [`empty: ${empty}, since the host's hold sockets and files of others`];
  if (uppers !== null && !hostRootMapped) {
    notes.push(
      "files that the host's root owns show as nobody: they can be read, and replaced directly below a top-level directory, but not be changed in place, since their owner has no id in the sandbox",
    );
  }
  if (uppers !== null && fixed.length > 0) notes.push(`read-only: ${fixed.join(" ")}`);
  if (hidden.length > 0)
    notes.push(`empty or absent, since you may not read them: ${hidden.join(" ")}`);
  return { steps, notes };
}

/** An upper and its work directory, new ones of that name. */
export function upperIn({ uppers, volatile }: Uppers, name: string, mode: number): Upper {
  return { path: `${uppers}/upper-${name}`, work: `${uppers}/work-${name}`, mode, volatile };
}
