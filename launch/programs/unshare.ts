/** `sbx unshare`: a command with a sandbox's id map, and nothing else of a sandbox. */
import { fail } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import type { Plan } from "../../spec/plan.js";
import type { Spec } from "../../spec/spec.js";
import { planIdMaps } from "../../userns/idmap.js";
import { lowerUnshare } from "../lower/unshare.js";
import { compile } from "../machine/link.js";
import { userNamespaceBlocker } from "../plan/blocker.js";
import { cloneHints, executeHints, mapHints } from "../plan/hints.js";
import { step } from "../plan/steps.js";

/**
 * A program that runs its arguments as root of a user namespace with the id map of
 * `spec`, `shell` where it is given none. Throws an `SbxError` where the host cannot have that.
 */
export function compileUnshare(spec: Spec, host: Host, shell: string) {
  const plan = planUnshare(spec, host, shell);
  return { plan, bytes: compile(lowerUnshare(plan), host.architecture) };
}

/** Three roles in one program: the caller's process (`monitor`), its mapper (`init`), the command. */
function planUnshare(spec: Spec, host: Host, shell: string): Plan {
  const blocker = userNamespaceBlocker(host);
  if (blocker?.certain === true) fail("create a user namespace", blocker.why, blocker.hint);
  const maps = planIdMaps(spec, host);
  if (!maps.rootMapped) {
    fail(
      "become root with this id map",
      "uid 0 or gid 0 has no id outside",
      "Map them too (--uidmap, --gidmap), or leave the maps out",
    );
  }
  return {
    steps: [
      step("monitor", "prepare", { kind: "tidyFds", preserved: 0, statusFd: null }),
      step(
        "init",
        "clone",
        { kind: "clone", namespaces: ["CLONE_NEWUSER"], intoCgroup: false },
        cloneHints(blocker, host),
      ),
      step("init", "idmap", { kind: "mapIds", ...maps }, mapHints(host, maps)),
      step("payload", "identity", { kind: "setIds", uid: 0, gid: 0 }),
      step(
        "payload",
        "execve",
        {
          kind: "execve",
          prefix: [],
          fallback: [shell],
          environment: [],
          inherited: [],
          inheritAll: true,
        },
        { ...executeHints(host), ENOENT: "Give a path, or a name that PATH leads to" },
      ),
    ],
    notes: maps.notes,
    warnings: [],
    init: false,
    statusFd: null,
  };
}
