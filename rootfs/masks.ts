/** Masked and read-only paths, the OCI fields of `linux`. */
import type { Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";

export function planMasks({ linux }: Spec): Step[] {
  return [
    ...(linux.readonlyPaths ?? []).map(
      (path): Step => ({ role: "init", phase: "masks", action: { kind: "readonlyPath", path } }),
    ),
    ...(linux.maskedPaths ?? []).map(
      (path): Step => ({ role: "init", phase: "masks", action: { kind: "mask", path } }),
    ),
  ];
}
