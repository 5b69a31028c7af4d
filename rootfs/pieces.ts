/** The pieces that a root is put together from, as steps of the init. */
import type { RestrictingFlag } from "../spec/actions/mounts.js";
import type { Host } from "../spec/host.js";
import type { Action, Step } from "../spec/step.js";
import { restrictMount } from "./restrict.js";

export const restrict = restrictMount("mounts");

export function init(action: Action): Step {
  return { role: "init", phase: "mounts", action };
}

/** Device nodes of a rootfs are never devices inside: the sandbox has a /dev of its own. */
export function bind(host: Host, path: string, target: string, readonly: boolean): Step[] {
  const source = path === host.rootfs.path ? "." : `.${path}`;
  const flags: RestrictingFlag[] = readonly ? ["MS_RDONLY", "MS_NODEV"] : ["MS_NODEV"];
  return [
    init({ kind: "mount", source, target, type: null, flags: ["MS_BIND", "MS_REC"], data: "" }),
    ...restrict(host, target, flags, path),
  ];
}

/** `sizeBytes` bounds it; half of the memory, which is tmpfs's own bound, where null. */
export function tmpfs(target: string, mode: number, sizeBytes: number | null): Step {
  const size = sizeBytes === null ? "" : `,size=${sizeBytes}`;
  return init({
    kind: "mount",
    source: "tmpfs",
    target,
    type: "tmpfs",
    flags: ["MS_NOSUID", "MS_NODEV"],
    data: `mode=${mode.toString(8)}${size}`,
  });
}
