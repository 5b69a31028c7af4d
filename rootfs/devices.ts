/**
 * The devices of /dev. A user namespace may not make device nodes that work, so the host's are
 * bound.
 */
import type { Action, Step } from "../spec/step.js";

const nodes = ["null", "zero", "full", "random", "urandom", "tty"];

/** As the runtime-spec's config-linux.md ("Dev symbolic links") has them, and runc's /dev/core. */
const links: readonly (readonly [name: string, target: string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["core", "/proc/kcore"],
  ["ptmx", "pts/ptmx"],
];

/** Fills the empty filesystem at `directory`, a path of the host's. */
export function planDevices(directory: string): Step[] {
  return [
    ...nodes.flatMap((name) => [
      step({ kind: "touch", path: `${directory}/${name}`, mode: 0o666, isNew: true }),
      step({
        kind: "mount",
        source: `/dev/${name}`,
        target: `${directory}/${name}`,
        type: null,
        flags: ["MS_BIND"],
        data: "",
      }),
    ]),
    ...links.map(([name, target]) =>
      step({ kind: "symlink", target, path: `${directory}/${name}` }),
    ),
  ];
}

function step(action: Action): Step {
  return { role: "init", phase: "filesystems", action };
}
