/**
 * The steps that join layers: the kernel's overlay, or fuse-overlayfs. Layers are opened before
 * anything is mounted, as the caller, and named by fds from there on: so no path is looked up twice,
 * names need no escaping, and 500 of them fit the page that mount(2) takes.
 */
import type { Server, Upper, UpperRecord } from "../spec/actions/layers.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Action, Step } from "../spec/step.js";
import { initLayer } from "./init-layer.js";
import { hasInitLayer } from "./ladder.js";

export interface LayerSteps {
  /** For the monitor, before the clone. */
  readonly prepare: readonly Step[];
  /** For the monitor, once ids are mapped. */
  readonly serve: readonly Step[];
  /** For the init, before anything is mounted and while it still is the caller. */
  readonly open: readonly Step[];
  /** For the init: with the rootfs as working directory. */
  readonly mount: readonly Step[];
}

/** The fd of the first layer; those below it are left to the set-up. */
const firstFd = ({ sbx }: Spec) => 32 + sbx.preserveFds;

/**
 * `upper` is where throw-away writes go; a kept upper has precedence. `lowest` is where a layer of
 * mount points is made, if there is to be one.
 */
export function kernelOverlay(
  spec: Spec,
  host: Host,
  target: string,
  upper: Upper | null,
  lowest: string,
): LayerSteps {
  const hasInit = hasInitLayer(spec, host);
  const made = hasInit ? initLayer(spec, host, lowest) : [];
  const below = hasInit ? [lowest] : [];
  if (host.lowers.length === 0 && host.upper === null) {
    const mount = [...made, overlayStep([".", ...below], target, upper)];
    return { prepare: [], serve: [], open: [], mount };
  }
  const lowers = [...host.lowers.map(({ path }) => path), "."];
  const kept = host.upper === null ? [] : [host.upper, `${host.upper}.work`];
  const first = firstFd(spec);
  const fds = [...kept, ...lowers].map((path, index) => ({ path, fd: first + index }));
  const names = fds.map(({ fd }) => `${fd}`);
  const [path = "", work = ""] = names;
  return {
    prepare: openUpper(host, "kernel"),
    serve: [],
    open: fds.map(({ path, fd }) => ({
      ...init({ kind: "openLayer", path, fd }),
      hints: {
        EBADF: "There are more layers than files may be open: raise the limit with `ulimit -n`",
      },
    })),
    mount: [
      ...made,
      init({ kind: "chdir", path: "/proc/self/fd" }),
      overlayStep(
        [...names.slice(kept.length), ...below],
        target,
        host.upper === null ? upper : { path, work, mode: null, volatile: false },
      ),
      init({ kind: "closeLayers", first, last: first + fds.length - 1 }),
    ],
  };
}

/** One overlay, with how to do without it. */
export function overlayStep(lowers: readonly string[], target: string, upper: Upper | null): Step {
  const others = "use --overlay=fuse, --read-only or --in-place";
  return {
    ...init({ kind: "overlay", lowers, target, upper }),
    hints: {
      EPERM: `This kernel has no overlay for user namespaces (Linux 5.11 has): ${others}`,
      ENODEV: `The kernel has no overlay module (modprobe overlay, as root): ${others}`,
      EINVAL: `A filesystem of it cannot be in an overlay, or has other mounts inside: ${others}`,
      ELOOP: "One of its directories lies inside another, by some other path",
      EOPNOTSUPP:
        "The filesystem of the upper directory has no user xattrs: take one on a local disk, with --upper or XDG_CACHE_HOME",
    },
  };
}

/** What of the host's own root fuse-overlayfs shows empty: a sandbox has its own, or they are not its business. */
const hiddenOfHost: readonly (readonly [string, number])[] = [
  ["/dev", 0o755],
  ["/proc", 0o755],
  ["/run", 0o755],
  ["/sys", 0o755],
  ["/tmp", 0o1777],
];

export function fuseOverlay(spec: Spec, host: Host, program: string, target: string): LayerSteps {
  const { upper, rootfs } = host;
  const isHost = rootfs.path === "/";
  const kept =
    upper === null
      ? []
      : ([
          [upper, 0o755],
          [`${upper}.work`, 0o755],
        ] as const);
  const scratch = rootfs.scratch.map((path) => [path, 0o1777] as const);
  const server: Server = {
    program,
    lowers: [...host.lowers.map(({ path }) => path), "."],
    hidden: isHost ? [...hiddenOfHost, ...scratch, ...kept] : [],
    upper: serverUpper(spec, host),
    squash: isHost,
  };
  const gaveUp =
    "fuse-overlayfs ended before it served: what it said is above, in brackets; without it use --read-only or --in-place";
  return {
    prepare: openUpper(host, "fuse"),
    serve: [
      {
        role: "monitor",
        phase: "mounts",
        action: { kind: "serveOverlay", ...server },
        hints: {
          EPERM:
            "fuse-overlayfs needs the upper directory on a filesystem that your user may write to",
        },
      },
    ],
    open: [],
    mount: [
      {
        ...init({ kind: "mountServed", target }),
        hints: {
          ENODEV: "The kernel has no fuse (modprobe fuse, as root)",
          EPERM: "This kernel lets no user namespace mount fuse (Linux 4.18 does)",
          ENOTCONN: gaveUp,
          ECONNABORTED: gaveUp,
          EPIPE: gaveUp,
        },
      },
    ],
  };
}

function serverUpper(spec: Spec, host: Host): Server["upper"] {
  if (spec.root.readonly === true) return null;
  if (host.upper !== null) return { kind: "kept", path: host.upper };
  return { kind: "tmpfs", mode: topMode(host), sizeBytes: spec.sbx.upperSizeBytes ?? null };
}

/** The merged root has the mode of the topmost layer. */
export function topMode({ lowers, rootfs }: Host): number {
  return lowers[0]?.mode ?? rootfs.mode;
}

const foreignRecord =
  "In its .work lies an sbx.json that sbx has not written: look who has, or choose another with --upper";

function openUpper(host: Host, overlay: UpperRecord["overlay"]): Step[] {
  if (host.upper === null) return [];
  const lowers = [...host.lowers.map(({ path }) => path), host.rootfs.path];
  return [
    {
      role: "monitor",
      phase: "prepare",
      action: {
        kind: "openUpper",
        path: host.upper,
        work: `${host.upper}.work`,
        record: { lowers, overlay },
        mode: topMode(host),
      },
      hints: {
        EAGAIN:
          "Another sandbox writes to it: wait for its end, or give each one an --upper of its own",
        ENOENT: "The directory above it must be there: make it",
        ENOTDIR: "Something else than a directory lies there: choose another with --upper",
        EACCES:
          "You may not write there, or beside it, where its work directory lies: choose another with --upper",
        ELOOP: foreignRecord,
        ENXIO: foreignRecord,
      },
    },
  ];
}

function init(action: Action): Step {
  return { role: "init", phase: "mounts", action };
}
