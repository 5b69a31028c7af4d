/**
 * The steps of a payload that is born before its sandbox is put together, and makes the network namespace meanwhile:
 * launch/lower/payload/early.ts. With a helper or a control group of its own, the sandbox needs somebody
 * outside to do things in their order, and its payload comes last.
 */
import { defaultMounts, defaultNamespaces } from "../../spec/default.js";
import type { Mount, Spec } from "../../spec/spec.js";
import type { Step } from "../../spec/step.js";
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

/**
 * The kernel's sysfs shows the network of who mounts it: `late` is what puts it together and in its place. With mounts
 * of somebody's own all comes to its place in the order that they gave, since links of the rootfs may lead
 * from one into another.
 */
export function splitAtSysfs(
  { mounts }: Spec,
  staged: readonly Step[],
  placed: readonly Step[],
): { readonly soon: readonly Step[]; readonly late: readonly Step[] } {
  const sysfs = staged
    .map(({ action }) => action)
    .find((action) => action.kind === "mount" && action.type === "sysfs");
  if (sysfs?.kind !== "mount") return { soon: [...staged, ...placed], late: [] };
  const { target } = sysfs;
  const isThere = ({ action }: Step) =>
    Object.values(action).some((value) => value === target || `${value}`.startsWith(`${target}/`));
  const isDefault = ({ destination }: Mount) =>
    defaultMounts(defaultNamespaces).some((each) => each.destination === destination);
  const isLate = mounts.every(isDefault) ? isThere : () => true;
  return {
    soon: [...staged.filter((each) => !isThere(each)), ...placed.filter((each) => !isLate(each))],
    late: [...staged.filter(isThere), ...placed.filter(isLate)],
  };
}
