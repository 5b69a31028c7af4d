/**
 * The steps that put a sandbox's root together below `base`, before pivot_root: the rootfs itself
 * (bound, or joined with others), or, for the host's own `/`, a tree made of its top-level directories.
 *
 * They start with the rootfs as working directory, so that no path of the host is looked up twice.
 */
import { assertNever } from "../spec/assert-never.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Action, Step } from "../spec/step.js";
import { copyOfHostRoot, type Uppers, upperIn } from "./host-root.js";
import { chooseRung, needsOverlay, type Rung, tmpfsHasUserXattrs } from "./ladder.js";
import { fuseOverlay, kernelOverlay, type LayerSteps, topMode } from "./layers.js";
import { followsHost } from "./options.js";
import { bind, init, restrict, tmpfs } from "./pieces.js";

/** Where the pieces are mounted until the root is pivoted to; only the sandbox's mount namespace sees it. */
export const base = "/tmp";
export const newRoot = `${base}/root`;
/** Where mounts are put together before they are moved to their place in the new root. */
export const stage = `${base}/mounts`;
export const store = `${base}/store`;

export interface RootPlan extends LayerSteps {
  /** For the init, moved into the new root: what must be writable although the root is not. */
  readonly inside: readonly Step[];
  readonly notes: readonly string[];
  /** Notes that the user must see without asking for them. */
  readonly warnings: readonly string[];
}

/** Who of the host has an id inside. */
export interface RootIds {
  /** Uid 0 inside is the caller, so that a directory of the caller's is root's inside. */
  readonly rootIsCaller: boolean;
  readonly callerMapped: boolean;
  /** Uid 0 of the host, who owns the files of its system. */
  readonly hostRootMapped: boolean;
}

const usualIds: RootIds = { rootIsCaller: true, callerMapped: true, hostRootMapped: false };

/** Throws an `SbxError` where the layers cannot be joined in any way, or not in the one asked for. */
export function planRoot(spec: Spec, host: Host, ids: RootIds = usualIds): RootPlan {
  const { path } = host.rootfs;
  const rung: Rung = needsOverlay(spec) ? chooseRung(spec, host) : { kind: "none", why: null };
  if (host.upper !== null && !ids.callerMapped) {
    fail(
      `write to the upper directory ${host.upper}`,
      "its owner, who is you, has no id inside",
      "Choose another --userns",
    );
  }
  const made = planRung(spec, host, ids, rung);
  const isStored = made.prepare.some(({ action }) => action.kind === "makeUpperStore");
  const isAnonymous = spec.mounts.some(
    ({ type, source }) => type === "volume" && source === undefined,
  );
  const disk =
    isAnonymous && !isStored ? diskStore(host, ids.rootIsCaller) : { prepare: [], mount: [] };
  return {
    ...made,
    prepare: [monitor({ kind: "chdir", path }), ...made.prepare, ...disk.prepare],
    mount: [
      init({
        kind: "mount",
        source: "none",
        target: "/",
        type: null,
        // Nothing goes out, and what the host mounts comes in only where a bind shall follow it.
        flags: ["MS_REC", spec.mounts.some(followsHost) ? "MS_SLAVE" : "MS_PRIVATE"],
        data: "",
      }),
      tmpfs(base, 0o755, spec.sbx.upperSizeBytes ?? null),
      ...disk.mount,
      ...made.mount,
    ],
    notes: [
      ...(isAnonymous
        ? [`anonymous volumes lie below ${host.upperStore}, and are removed at the end`]
        : []),
      ...made.notes,
    ],
  };
}

function planRung(spec: Spec, host: Host, ids: RootIds, rung: Rung): RootPlan {
  switch (rung.kind) {
    case "kernel":
      return planKernel(spec, host, ids);
    case "fuse": {
      const program = host.fuse.overlayfs ?? "fuse-overlayfs";
      return {
        ...fuseOverlay(spec, host, program, newRoot),
        inside: [],
        notes: [
          `layers are joined by fuse-overlayfs${rung.why === null ? "" : `: ${rung.why}`}`,
          ...writeNotes(spec, host, false),
        ],
        warnings: [],
      };
    }
    case "none":
      return planBind(spec, host, ids, rung.why);
    default:
      return assertNever(rung.kind);
  }
}

function writeNotes(spec: Spec, host: Host, onDisk: boolean): string[] {
  if (spec.root.readonly === true) return [];
  if (host.upper !== null) return [`writes go to ${host.upper}, and are kept`];
  return [
    onDisk
      ? `writes go to a directory below ${host.upperStore} that is removed at the end: tmpfs has no user xattrs before Linux 6.6`
      : "writes go to memory (a tmpfs), and vanish at the end",
  ];
}

function planKernel(spec: Spec, host: Host, ids: RootIds): RootPlan {
  const throwAway = spec.root.readonly !== true && host.upper === null;
  const onDisk = throwAway && !tmpfsHasUserXattrs(host);
  const uppers: Uppers = { uppers: onDisk ? store : base, volatile: onDisk };
  const disk = onDisk ? diskStore(host, ids.rootIsCaller) : { prepare: [], mount: [] };
  const notes = writeNotes(spec, host, onDisk);
  const common = { serve: [], inside: [], warnings: [] };
  if (host.rootfs.path === "/") {
    const copy = copyOfHostRoot(host, newRoot, uppers, ids.hostRootMapped);
    return {
      ...common,
      prepare: disk.prepare,
      open: [],
      mount: [...disk.mount, ...emptyRoot(), ...copy.steps],
      notes: [...notes, ...copy.notes],
    };
  }
  const upper = throwAway ? upperIn(uppers, "root", topMode(host)) : null;
  const layers = kernelOverlay(spec, host, newRoot, upper, `${base}/layer`);
  return {
    ...common,
    prepare: [...layers.prepare, ...disk.prepare],
    open: layers.open,
    mount: [...disk.mount, ...layers.mount],
    notes,
  };
}

/** A directory on disk for throw-away uppers, shown at `store`. */
function diskStore(host: Host, rootIsCaller: boolean): Pick<LayerSteps, "prepare" | "mount"> {
  const mode = rootIsCaller ? 0o700 : 0o777;
  return {
    prepare: [
      monitor({ kind: "mkdir", path: host.upperStore, mode: 0o700 }),
      monitor({ kind: "makeUpperStore", parent: host.upperStore, mode }),
    ],
    mount: [
      init({ kind: "mkdir", path: store, mode: 0o700 }),
      init({ kind: "bindUpperStore", target: store }),
    ],
  };
}

/** A root of its own on the tmpfs of `base`, whose bound holds for it too. */
function emptyRoot(): Step[] {
  return [
    init({ kind: "mkdir", path: newRoot, mode: 0o755, isNew: true }),
    init({
      kind: "mount",
      source: newRoot,
      target: newRoot,
      type: null,
      flags: ["MS_BIND"],
      data: "",
    }),
  ];
}

/** `why` there is no overlay although writes were to be possible; null where none is needed. */
function planBind(spec: Spec, host: Host, ids: RootIds, why: string | null): RootPlan {
  const { path, volatile } = host.rootfs;
  const lacksOverlay = needsOverlay(spec);
  const readonly = lacksOverlay || spec.root.readonly === true;
  const common = { prepare: [], serve: [], open: [] };
  const copy =
    path === "/" && readonly ? copyOfHostRoot(host, newRoot, null, ids.hostRootMapped) : null;
  const mount =
    copy === null
      ? [
          init({ kind: "mkdir", path: newRoot, mode: 0o755, isNew: true }),
          ...bind(host, path, newRoot, readonly),
        ]
      : [...emptyRoot(), ...copy.steps, ...restrict(host, newRoot, ["MS_RDONLY"])];
  const notes = copy?.notes ?? [];
  if (!lacksOverlay) return { ...common, mount, inside: [], notes, warnings: [] };
  const modes: Readonly<Record<string, number>> = { "/run": 0o755 };
  const sizeBytes = spec.sbx.upperSizeBytes ?? null;
  return {
    ...common,
    mount,
    inside: volatile.flatMap((path, index) => {
      const staged = `${stage}/volatile-${index}`;
      const steps = [
        init({ kind: "mkdir", path: staged, mode: 0o755, isNew: true }),
        tmpfs(staged, modes[path] ?? 0o1777, sizeBytes),
        init({ kind: "attach", staged, path, what: "a tmpfs" }),
      ];
      return steps.map((each): Step => ({ ...each, phase: "filesystems" }));
    }),
    notes,
    warnings: [
      `the rootfs is read-only${why === null ? ", since there is to be no overlay" : `: ${why}`}; ${volatile.length === 0 ? "nothing" : volatile.join(", ")} can be written to, and what is there vanishes at the end`,
    ],
  };
}

function monitor(action: Action): Step {
  return { role: "monitor", phase: "prepare", action };
}
