/**
 * The steps of the payload: from the clone to execve. They are the same for a sandbox's first command and
 * for one that enters it later.
 */
import type { planFilter } from "../../seccomp/filter.js";
import type { CapabilitySets } from "../../spec/actions/privileges.js";
import type { Host } from "../../spec/host.js";
import type { Spec } from "../../spec/spec.js";
import type { Step } from "../../spec/step.js";
import type { ResolvedUser } from "../../userns/passwd.js";
import { cwdHints, executeHints } from "./hints.js";
import { executeAction, rlimitStep, step } from "./steps.js";

export interface Payload {
  readonly user: Pick<ResolvedUser, "uid" | "gid" | "additionalGids" | "home">;
  readonly sets: CapabilitySets;
  /** setgroups(2) is given up. */
  readonly denySetgroups: boolean;
  readonly filter: ReturnType<typeof planFilter>;
  /** Nobody between it and the monitor takes it along. */
  readonly diesAlone: boolean;
}

/** `awaited` is what has to wait for the sandbox, where the payload is earlier than that. */
export function payloadSteps(
  spec: Spec,
  host: Host,
  { user, sets, denySetgroups, filter, diesAlone }: Payload,
  awaited: readonly Step[] = [],
): Step[] {
  const becomeUser = [
    ...(user.uid === 0 ? [] : [step("payload", "identity", { kind: "keepCapabilities" })]),
    step("payload", "identity", { kind: "setIds", uid: user.uid, gid: user.gid }),
    // Again, as changing ids has taken it back.
    ...(diesAlone ? [step("payload", "identity", { kind: "dieWithMonitor" })] : []),
    // With the payload's rights, as its user would go there.
    step("payload", "identity", { kind: "enterWorkdir", path: spec.process.cwd }, cwdHints),
    // Capabilities last of the privileges: every step before may need them.
    step("payload", "capabilities", { kind: "setCapabilities", sets }),
  ];
  const execute = step("payload", "execve", executeAction(spec, user.home), executeHints(host));
  return [
    // While CAP_SETPCAP and CAP_SETGID are still there.
    step("payload", "capabilities", { kind: "dropBounding", keep: sets.bounding }),
    ...awaited,
    ...(spec.process.rlimits ?? []).map(rlimitStep),
    ...(denySetgroups
      ? []
      : [step("payload", "identity", { kind: "setgroups", gids: user.additionalGids })]),
    // The filter comes last, so that it need not let through what only the set-up does. But the
    // kernel takes it only with no_new_privs, or while CAP_SYS_ADMIN is still there.
    ...(spec.process.noNewPrivileges === false
      ? filter.load([...becomeUser, execute])
      : [
          ...becomeUser,
          step("payload", "no_new_privs", { kind: "noNewPrivileges" }),
          ...filter.load([execute]),
        ]),
  ];
}
