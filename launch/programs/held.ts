/**
 * A kept sandbox that does not run, put together for as long as its files are worked on: no program of its own is
 * executed, and what only a running one has is left out. Its lock is held meanwhile, and no other command finds it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fail } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import type { Plan } from "../../spec/plan.js";
import type { Spec } from "../../spec/spec.js";
import { keep } from "../cache/store.js";
import { type Kept, lockKept } from "../life/kept.js";
import { listSandboxes } from "../life/records.js";
import type { Sandbox } from "../life/sandbox.js";
import { lower } from "../lower/lower.js";
import { begunSteps } from "../lower/payload/early.js";
import { compile } from "../machine/link.js";
import { step } from "../plan/steps.js";
import { plan } from "../plan.js";

/** The fd on which the program tells that it is ready. */
const statusFd = 3;

/** What `use` gives, which has the sandbox of that `heldSpec` as one that runs, to be found where its host says. */
export async function whileHeld<T>(
  kept: Kept,
  { spec, host }: { readonly spec: Spec; readonly host: Host },
  environment: NodeJS.ProcessEnv,
  use: (sandbox: Sandbox, host: Host) => Promise<T>,
): Promise<T> {
  const what = `open the sandbox ${kept.name}`;
  const lock = await lockKept(kept.directory);
  if (lock === "gone") fail(what, "it has been removed meanwhile");
  if (lock === "busy") {
    fail(what, "it is just being started, or its files are worked on", "Try again in a moment");
  }
  const run = { path: join(kept.directory, "held"), base: kept.directory };
  const own = { ...host, run };
  let child: ChildProcess | null = null;
  try {
    // What was killed may have left one.
    fs.rmSync(run.path, { recursive: true, force: true });
    const bytes = compile(lower(planHeld(spec, own)), host.architecture);
    const { uid, home } = host.user;
    const stored = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
    const start = (path: string) =>
      spawn(path, [], { stdio: ["pipe", "ignore", "ignore", "pipe"] });
    child =
      stored.kind === "file"
        ? start(stored.path)
        : (await import("../trial/memory.js")).withMemoryFile(bytes, start);
    await ready(child, what);
    const [sandbox] = await listSandboxes(run);
    if (sandbox === undefined) fail(what, "it has just ended");
    return await use(sandbox, own);
  } finally {
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      child.stdin?.end();
      await exit;
    }
    fs.rmSync(run.path, { recursive: true, force: true });
    fs.closeSync(lock);
  }
}

/** Only what its files need: no network, no limits, no filter, and nothing of other sandboxes'. */
export function heldSpec(spec: Spec): Spec {
  const { life: _, network: _n, join: _j, cgroup: _c, ...sbx } = spec.sbx;
  const { resources: _r, seccomp: _s, ...linux } = spec.linux;
  return {
    ...spec,
    linux,
    process: { ...spec.process, terminal: false },
    sbx: { ...sbx, seccomp: "unconfined", init: true, preserveFds: 0, statusFd },
  };
}

/** Of such a spec: the payload only waits. */
function planHeld(spec: Spec, host: Host): Plan {
  const { steps, ...rest } = plan(spec, host);
  const begun = begunSteps({ steps });
  return {
    ...rest,
    steps: [
      ...steps.filter((each, index) => each.role !== "payload" || index < begun),
      step("payload", "execve", { kind: "awaitEnd" }),
    ],
  };
}

/** Fails with what the program says where it cannot be had. */
async function ready(child: ChildProcess, what: string): Promise<void> {
  for await (const line of createInterface({ input: child.stdio[statusFd] as Readable })) {
    const event = JSON.parse(line) as { event: string; step?: string; why?: string };
    if (event.event === "ready") return;
    if (event.event === "error") fail(what, `${event.step}: ${event.why}`);
  }
  fail(what, "it has ended at once");
}
