/**
 * The steps of a payload that is born before its sandbox is put together, and makes the network namespace meanwhile:
 * launch/lower/payload/early.ts. With a helper or a control group of its own, the sandbox needs somebody
 * outside to do things in their order, and its payload comes last.
 */
import type { Step } from "../spec/step.js";
import type { Hints } from "./hints.js";
import { keyringStep, step } from "./steps.js";

export interface EarlySteps {
  /** In the init, before all else. */
  readonly start: readonly Step[];
  /** In the init, when it has nothing else to do, or before what needs the network. */
  readonly enter: readonly Step[];
  /** In the payload, at once. */
  readonly begin: readonly Step[];
  /** In the payload, before its first step that needs the sandbox. */
  readonly awaited: readonly Step[];
}

export function earlySteps(
  rootIds: { readonly uid: number; readonly gid: number },
  mayStay: boolean,
  hints: Hints,
): EarlySteps {
  return {
    start: [step("init", "clone", { kind: "startPayload" })],
    enter: [step("init", "network", { kind: "enterNetwork" })],
    begin: [
      // As the init: it has memory of the caller's still.
      step("payload", "identity", { kind: "nonDumpable" }),
      step("payload", "network", { kind: "makeNetwork" }, hints),
    ],
    awaited: [
      step("payload", "pivot_root", { kind: "awaitInit" }),
      // The keys shall be those of the sandbox's root.
      step("payload", "identity", { kind: "setIds", ...rootIds }),
      keyringStep("payload", mayStay),
    ],
  };
}

/** Those that come before the kernel's sysfs is mounted, which shows the network of who mounts it, and the rest. */
export function splitAtSysfs(steps: readonly Step[]): {
  readonly soon: Step[];
  readonly late: Step[];
} {
  const sysfs = steps
    .map(({ action }) => action)
    .find((action) => action.kind === "mount" && action.type === "sysfs");
  if (sysfs?.kind !== "mount") return { soon: [...steps], late: [] };
  const { target } = sysfs;
  const isThere = ({ action }: Step) =>
    Object.values(action).some((value) => value === target || `${value}`.startsWith(`${target}/`));
  return { soon: steps.filter((each) => !isThere(each)), late: steps.filter(isThere) };
}
