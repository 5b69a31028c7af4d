/** The programs of `sbx attach` and `sbx start --attach`. */
import type { Host } from "../../spec/host.js";
import type { Plan } from "../../spec/plan.js";
import type { Step } from "../../spec/step.js";
import type { Compiled } from "../compile.js";
import { lowerClient } from "../lower/life/attach/client.js";
import type { Client } from "../lower/life/attach/client-input.js";
import { compile } from "../machine/link.js";
import { step } from "../plan/steps.js";

/** Attaches to a running sandbox by the socket in its directory. */
export function compileAttach(
  { name, directory }: { readonly name: string; readonly directory: string },
  client: Client,
  host: Host,
): Compiled {
  const hasEnded = `It has just ended, or waits for its next start: sbx ps -a tells`;
  const hints = {
    ENOENT: hasEnded,
    ECONNREFUSED: hasEnded,
    clientsFull: "Detach one of them: ctrl-p ctrl-q",
    monitorEnded: "sbx logs has what it wrote",
  };
  return compileSteps(
    [step("monitor", "prepare", { kind: "connectSandbox", name, directory }, hints)],
    client,
    host,
  );
}

/** Executes the program of a sandbox that was compiled with `isAttached`, and attaches to it. */
export function compileStartAttached(
  name: string,
  program: string,
  client: Client,
  host: Host,
): Compiled {
  const hints = { monitorEnded: "sbx logs has what it wrote" };
  return compileSteps(
    [step("monitor", "prepare", { kind: "startSandbox", name, program }, hints)],
    client,
    host,
  );
}

function compileSteps(steps: readonly Step[], client: Client, host: Host): Compiled {
  const tidy = step("monitor", "prepare", { kind: "tidyFds", preserved: 0, statusFd: null });
  const plan: Plan = {
    steps: [tidy, ...steps],
    notes: [],
    warnings: [],
    init: true,
    statusFd: null,
  };
  const program = lowerClient(plan, client);
  return { plan, program, bytes: compile(program, host.architecture) };
}
