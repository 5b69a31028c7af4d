/**
 * Masked and read-only paths, the OCI fields of `linux`. Those below /proc and /sys are taken care of
 * before these are moved into the rootfs, which so has no part in it.
 */
import { defaultMaskedPaths } from "../spec/default.js";
import type { Spec } from "../spec/spec.js";
import type { Action, Step } from "../spec/step.js";
import { stage } from "./root.js";

export interface MaskPlan {
  /** While the mounts are staged. */
  readonly staged: readonly Step[];
  /** Once all is in its place. */
  readonly others: readonly Step[];
}

/** `stagedAt` tells where a path is that lies in a kernel's filesystem which is still staged, else null. */
export function planMasks({ linux }: Spec, stagedAt: (path: string) => string | null): MaskPlan {
  const { maskedPaths = [], readonlyPaths = [] } = linux;
  const all = [
    ...readonlyPaths.map((path, index) =>
      step({
        kind: "readonlyPath",
        path,
        staged: stagedAt(path),
        scratch: `${stage}/readonly-${index}`,
      }),
    ),
    ...maskedPaths.map((path) => {
      // The defaults are for every kernel; what someone names themselves must be there.
      const required = !defaultMaskedPaths.includes(path);
      const made = step({ kind: "mask", path, staged: stagedAt(path), required });
      return required ? { ...made, hints: absentHints } : made;
    }),
  ];
  const isStaged = ({ action }: Step) => "staged" in action && action.staged !== null;
  return { staged: all.filter(isStaged), others: all.filter((each) => !isStaged(each)) };
}

const absent = "There is nothing to mask at that path inside: correct it, or leave it out";
const absentHints = { ENOENT: absent, ENOTDIR: absent };

function step(action: Action): Step {
  return { role: "init", phase: "masks", action };
}
