/**
 * Masked and read-only paths, the OCI fields of `linux`. Those below /proc and /sys are looked up from
 * within these filesystems, so that a rootfs that changes under way cannot lead them elsewhere.
 */
import { defaultMaskedPaths } from "../spec/default.js";
import type { Spec } from "../spec/spec.js";
import type { Action, Located, Step } from "../spec/step.js";

export interface MaskPlan {
  /** With /proc as the working directory. */
  readonly proc: readonly Step[];
  /** With /sys. */
  readonly sys: readonly Step[];
  readonly others: readonly Step[];
}

export function planMasks(spec: Spec): MaskPlan {
  const { maskedPaths = [], readonlyPaths = [] } = spec.linux;
  const steps = (inside: Located["inside"]): Step[] => {
    const here = (path: string) => filesystemOf(path, spec) === inside;
    return [
      ...readonlyPaths.filter(here).map((path) => step({ kind: "readonlyPath", path, inside })),
      ...maskedPaths.filter(here).map((path) => {
        // The defaults are for every kernel; what someone names themselves must be there.
        const required = !defaultMaskedPaths.includes(path);
        const made = step({ kind: "mask", path, inside, required });
        return required ? { ...made, hints: absentHints } : made;
      }),
    ];
  };
  return { proc: steps("/proc"), sys: steps("/sys"), others: steps(null) };
}

const absent = "There is nothing to mask at that path inside: correct it, or leave it out";
const absentHints = { ENOENT: absent, ENOTDIR: absent };

function filesystemOf(path: string, { mounts }: Spec): Located["inside"] {
  const found = (["/proc", "/sys"] as const).find((root) => path.startsWith(`${root}/`));
  return mounts.some(({ destination }) => destination === found) ? (found ?? null) : null;
}

function step(action: Action): Step {
  return { role: "init", phase: "masks", action };
}
