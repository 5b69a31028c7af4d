/**
 * The steps that put a sandbox's root together below `base`, before pivot_root: the rootfs itself
 * (bind or overlay), or, for the host's own `/`, a tree made of its top-level directories.
 *
 * They start with the rootfs as working directory, so that no path of the host is looked up twice.
 */
import { fail } from "../spec/error.js";
import type { DirectoryEntry, Host } from "../spec/host.js";
import { kernelAtLeast } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Action, RestrictingFlag, Step } from "../spec/step.js";
import { restrictMount } from "./restrict.js";

const restrict = restrictMount("mounts");

/** Where the pieces are mounted until the root is pivoted to; only the sandbox's mount namespace sees it. */
export const base = "/tmp";
export const newRoot = `${base}/root`;
/** Where mounts are put together before they are moved to their place in the new root. */
export const stage = `${base}/mounts`;
export const store = `${base}/store`;

/** Directories of the host that a copy of its root does not show: a sandbox gets its own. */
const ownFilesystems = new Set(["/proc", "/sys", "/dev"]);
/** What lives here are sockets and other people's files: the copy has empty ones. */
const ephemeral: Readonly<Record<string, number>> = { "/tmp": 0o1777, "/run": 0o755 };

export interface RootPlan {
  /** For the monitor, before the clone. */
  readonly prepare: readonly Step[];
  /** For the init. */
  readonly mounts: readonly Step[];
  readonly notes: readonly string[];
}

/**
 * `rootIsCaller`: uid 0 inside is the caller, so that a directory of the caller's is root's inside.
 * `hostRootMapped`: uid 0 of the host, who owns the files of its system, has an id inside.
 */
export function planRoot(
  spec: Spec,
  host: Host,
  rootIsCaller = true,
  hostRootMapped = false,
): RootPlan {
  const { path } = host.rootfs;
  const prepare = [monitor({ kind: "chdir", path })];
  const mounts = [
    init({
      kind: "mount",
      source: "none",
      target: "/",
      type: null,
      // A mount namespace of another user namespace is born so: what a bind shall follow of the
      // host's mounts reaches it, nothing goes out.
      flags: ["MS_REC", "MS_SLAVE"],
      data: "",
    }),
  ];
  const notes: string[] = [];
  const throwAway = spec.root.readonly !== true && spec.sbx.writes === "throw-away";
  const onDisk = throwAway && !tmpfsHasUserXattrs(host);
  const anonymous = spec.mounts.some(
    ({ type, source }) => type === "volume" && source === undefined,
  );

  mounts.push(tmpfs(base));
  if (onDisk || anonymous) {
    prepare.push(monitor({ kind: "mkdir", path: host.upperStore, mode: 0o700 }));
    prepare.push(
      monitor({
        kind: "makeUpperStore",
        parent: host.upperStore,
        mode: rootIsCaller ? 0o700 : 0o777,
      }),
    );
    mounts.push(
      init({ kind: "mkdir", path: store, mode: 0o700 }),
      init({ kind: "bindUpperStore", target: store }),
    );
  }
  if (anonymous) {
    notes.push(`anonymous volumes lie below ${host.upperStore}, and are removed at the end`);
  }
  if (onDisk) {
    notes.push(
      `writes go to a directory below ${host.upperStore} that is removed at the end: tmpfs has no user xattrs before Linux 6.6`,
    );
  }
  if (throwAway && !onDisk) notes.push("writes go to memory (a tmpfs), and vanish at the end");
  const uppers = onDisk ? store : base;

  if (path === "/" && (throwAway || spec.root.readonly === true)) {
    mounts.push(init({ kind: "mkdir", path: newRoot, mode: 0o755 }), tmpfs(newRoot));
    const copy = copyOfHostRoot(
      host,
      throwAway ? { uppers, volatile: onDisk } : null,
      hostRootMapped,
    );
    mounts.push(...copy.steps);
    if (spec.root.readonly === true) {
      mounts.push(...restrict(host, newRoot, ["MS_RDONLY"]));
    }
    notes.push(...copy.notes);
  } else if (throwAway) {
    mounts.push(overlay(".", newRoot, "root", host.rootfs.mode, { uppers, volatile: onDisk }));
  } else {
    mounts.push(
      init({ kind: "mkdir", path: newRoot, mode: 0o755 }),
      ...bind(host, path, newRoot, spec.root.readonly === true),
    );
  }
  return { prepare, mounts, notes };
}

/** Since Linux 6.6 (commit 2daf18a7884d): before it, overlayfs can't mark a directory opaque on tmpfs. */
function tmpfsHasUserXattrs(host: Host): boolean {
  return kernelAtLeast(host, 6, 6);
}

interface Uppers {
  readonly uppers: string;
  readonly volatile: boolean;
}

/**
 * An overlay of `/` itself is refused inside a user namespace, since the mounts below it are locked
 * to it: so each directory that has no mounts below it gets an overlay of its own, and those that
 * have are made anew and filled entry by entry. Without `uppers` all is bound read-only.
 */
function copyOfHostRoot(
  host: Host,
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
        steps.push(overlay(`.${path}`, target, `${steps.length}`, entry.mode, uppers));
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

function overlay(
  lower: string,
  target: string,
  name: string,
  mode: number,
  { uppers, volatile }: Uppers,
): Step {
  return {
    ...init({
      kind: "overlay",
      lower,
      upper: `${uppers}/upper-${name}`,
      work: `${uppers}/work-${name}`,
      target,
      mode,
      volatile,
    }),
    hints: {
      EPERM:
        "This kernel has no overlay for user namespaces (Linux 5.11 has): use --read-only or --in-place",
      ENODEV:
        "The kernel has no overlay module (modprobe overlay, as root): use --read-only or --in-place",
      EINVAL:
        "Its filesystem cannot be below an overlay, or has other mounts inside: use --read-only or --in-place",
      EOPNOTSUPP:
        "The filesystem of the upper directory has no user xattrs: set XDG_CACHE_HOME to a directory on a local disk",
    },
  };
}

/** Device nodes of a rootfs are never devices inside: the sandbox has a /dev of its own. */
function bind(host: Host, path: string, target: string, readonly: boolean): Step[] {
  const source = path === host.rootfs.path ? "." : `.${path}`;
  const flags: RestrictingFlag[] = readonly ? ["MS_RDONLY", "MS_NODEV"] : ["MS_NODEV"];
  return [
    init({ kind: "mount", source, target, type: null, flags: ["MS_BIND", "MS_REC"], data: "" }),
    ...restrict(host, target, flags, path),
  ];
}

function tmpfs(target: string): Step {
  return init({
    kind: "mount",
    source: "tmpfs",
    target,
    type: "tmpfs",
    flags: ["MS_NOSUID", "MS_NODEV"],
    data: "mode=755",
  });
}

function monitor(action: Action): Step {
  return { role: "monitor", phase: "prepare", action };
}

function init(action: Action): Step {
  return { role: "init", phase: "mounts", action };
}
