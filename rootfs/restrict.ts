/** Flags added to a mount that is there already, by what the kernel offers for it. */
import type { RestrictingFlag } from "../spec/actions/mounts.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import type { Phase, Step } from "../spec/step.js";

/**
 * The steps that add `flags` to what is mounted at `target`. Where `source` is given, `target` is a
 * recursive bind of that directory of the host's, and the mounts below it get the flags as well.
 */
export function restrictMount(phase: Phase) {
  return (
    host: Host,
    target: string,
    flags: readonly RestrictingFlag[],
    source: string | null = null,
  ): Step[] => {
    if (kernelAtLeast(host, 5, 12)) {
      const recursive = source !== null;
      return [{ role: "init", phase, action: { kind: "addMountFlags", target, flags, recursive } }];
    }
    const below = source === null ? [] : mountsBelow(host, source);
    return ["", ...below].map((path) => ({
      role: "init",
      phase,
      action: { kind: "remount", target: target + path, flags },
    }));
  };
}

/** The host's mount points strictly below a directory, relative to it, each with a leading slash. */
function mountsBelow(host: Host, directory: string): string[] {
  const prefix = directory === "/" ? "/" : `${directory}/`;
  const paths = host.mounts.map(({ mountPoint }) => mountPoint);
  return [...new Set(paths)]
    .filter((path) => path.startsWith(prefix) && path !== prefix)
    .map((path) => path.slice(prefix.length - 1));
}
