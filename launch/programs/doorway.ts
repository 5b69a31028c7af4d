/**
 * A process on the sandbox's side of `sbx cp` and `sbx export`: Node, in the user namespace of the sandbox, or one of its
 * own with the same ids where processes of the host's are seen inside, and otherwise outside: nothing of the sandbox's is
 * executed or loaded (CVE-2019-14271), and nobody inside reaches it. It reaches the files by one open directory, the root: launch/copy/tree.ts.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fail } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import type { Plan } from "../../spec/plan.js";
import type { Mapping } from "../../spec/spec.js";
import { hostIdOf, planIdMaps } from "../../userns/idmap.js";
import { keep } from "../cache/store.js";
import type { Job } from "../copy/job.js";
import { launcher } from "../launcher.js";
import type { Sandbox } from "../life/sandbox.js";
import { lowerUnshare } from "../lower/unshare.js";
import { compile } from "../machine/link.js";
import { userNamespaceBlocker } from "../plan/blocker.js";
import { cloneHints, executeHints, mapHints } from "../plan/hints.js";
import { step } from "../plan/steps.js";
import { enterHints, openSandboxStep } from "./exec.js";

/** What the process gets as standard input and output; its errors go where ours do. */
export type DoorStdio = readonly ["pipe" | "ignore" | "inherit", "pipe" | "inherit" | number];

/** Starts such processes in one sandbox. */
export type Door = (job: Job, stdio: DoorStdio) => Promise<ChildProcess>;

/** A way to the files of a running sandbox; `isAlone`: to those of its root without what is mounted in it. */
export function doorOf(
  sandbox: Sandbox,
  host: Host,
  environment: NodeJS.ProcessEnv,
  isAlone = false,
): Door {
  const plan = planDoorway(sandbox, host, isAlone);
  const bytes = compile(lowerUnshare(plan), host.architecture);
  return async (job, [input, output]) => {
    const { uid, home } = host.user;
    const kept = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
    const start = (path: string) =>
      spawn(path, [JSON.stringify(job)], { stdio: [input, output, "inherit"] });
    if (kept.kind === "file") return start(kept.path);
    return (await import("../trial/memory.js")).withMemoryFile(bytes, start);
  };
}

/** As `planUnshare`, but that the command has the root of the sandbox open. */
function planDoorway(sandbox: Sandbox, host: Host, isAlone: boolean): Plan {
  const blocker = userNamespaceBlocker(host);
  if (blocker?.certain === true) fail("create a user namespace", blocker.why, blocker.hint);
  const { spec } = sandbox;
  const uidMappings = withOwn(sandbox.uidMappings, host.user.uid);
  const gidMappings = withOwn(sandbox.gidMappings, host.user.gid);
  const maps = planIdMaps({ ...spec, linux: { ...spec.linux, uidMappings, gidMappings } }, host);
  const { uid, gid } = maps.rootMapped ? { uid: 0, gid: 0 } : sandbox.user;
  // FUSE serves only who is in the user namespace of the mount. There nobody inside must see the process; and the
  // caller needs an id, to read Node.
  const isInside =
    spec.linux.namespaces.some(({ type }) => type === "pid") &&
    uidMappings.length === sandbox.uidMappings.length &&
    gidMappings.length === sandbox.gidMappings.length;
  const script = join(launcher(), "../../dist/sbx.cjs");
  return {
    steps: [
      step("monitor", "prepare", { kind: "tidyFds", preserved: 0, statusFd: null }),
      openSandboxStep(sandbox, host, { types: ["user", "mount"], cgroup: null, watched: null }),
      step("monitor", "prepare", { kind: "openRoot", isAlone }, enterHints),
      ...(isInside
        ? [step("payload", "clone", { kind: "enterSandbox", namespaces: ["user"], joined: [] })]
        : [
            step(
              "init",
              "clone",
              { kind: "clone", namespaces: ["CLONE_NEWUSER"], intoCgroup: false },
              cloneHints(blocker, host),
            ),
            step("init", "idmap", { kind: "mapIds", ...maps }, mapHints(host, maps)),
          ]),
      step("payload", "identity", { kind: "setIds", uid, gid }),
      step(
        "payload",
        "execve",
        {
          kind: "execve",
          prefix: [process.execPath, "--", script, "--copy"],
          fallback: [],
          environment: ["PATH=/usr/bin:/bin"],
          inherited: [],
          inheritAll: false,
        },
        executeHints(host),
      ),
    ],
    notes: [],
    warnings: [],
    init: false,
    statusFd: null,
  };
}

/** The highest id there is: -1 means none, see chown(2). */
const highestId = 2 ** 32 - 2;

/** With the caller's own id, by which Node and sbx may be read, where the caller is nobody inside. */
function withOwn(lines: readonly Mapping[], own: number): Mapping[] {
  const isMapped = lines.some(({ hostID, size }) => hostID <= own && own < hostID + size);
  if (isMapped || hostIdOf(lines, highestId) !== null) return [...lines];
  return [...lines, { containerID: highestId, hostID: own, size: 1 }];
}
