/** The loopback interface: down in every new network namespace, wanted up by every program. */
import type { Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";

export function planLoopback({ linux }: Spec): Step[] {
  if (!linux.namespaces.some(({ type }) => type === "network")) return [];
  return [{ role: "init", phase: "network", action: { kind: "loopbackUp" } }];
}
