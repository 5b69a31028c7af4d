/**
 * The devices of /dev. A user namespace may not make device nodes that work, so the host's are
 * bound; the working directory is the old root.
 */
import type { Action, Step } from "../spec/step.js";

const nodes = ["null", "zero", "full", "random", "urandom", "tty"];

/** As the runtime-spec's config-linux.md ("Dev symbolic links") has them, and runc's /dev/core. */
const links: readonly (readonly [path: string, target: string])[] = [
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
  ["/dev/core", "/proc/kcore"],
  ["/dev/ptmx", "pts/ptmx"],
];

export function planDevices(): Step[] {
  return [
    ...nodes.flatMap((name) => [
      step({ kind: "touch", path: `/dev/${name}`, mode: 0o666 }),
      step({
        kind: "mount",
        source: `./dev/${name}`,
        target: `/dev/${name}`,
        type: null,
        flags: ["MS_BIND"],
        data: "",
      }),
    ]),
    ...links.map(([path, target]) => step({ kind: "symlink", target, path })),
  ];
}

function step(action: Action): Step {
  return { role: "init", phase: "filesystems", action };
}
