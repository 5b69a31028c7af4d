/** Tries out what a host can do, by running a program made for it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { defaultSpec } from "../../spec/default.js";
import { SbxError } from "../../spec/error.js";
import { type Host, kernelAtLeast } from "../../spec/host.js";
import { type IdMaps, planIdMaps } from "../../userns/idmap.js";
import { keep } from "../cache/store.js";
import { makeDirectories } from "../facts/directories.js";
import { isSystemError } from "../facts/system-error.js";
import { compile } from "../machine/link.js";
import { hostTrials, type TrialName } from "./list.js";
import { type Outcome, type TrialProgram, trialProgram } from "./program.js";

export type Outcomes = Readonly<Partial<Record<TrialName, Outcome>>>;

/** Where compiled programs can be executed; `refusals` says of each better place what is wrong. */
export type Programs =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "memory"; readonly refusals: readonly string[] }
  | { readonly kind: "nowhere"; readonly refusals: readonly string[] };

/** What was found out. */
export interface Tried {
  readonly programs: Programs;
  /** Without those that came to no end. Null where no program can be executed. */
  readonly outcomes: Outcomes | null;
  /** What newuidmap and newgidmap said, a line each. */
  readonly complaints: readonly string[];
  /** The maps that a default run has. */
  readonly maps: IdMaps;
  /** Why there can be no throw-away upper on disk; null where there can, or none is needed. */
  readonly storeRefusal: string | null;
}

/** The longest that all trials together may take: newuidmap may have to ask a directory service. */
const timeoutMs = 5000;

/** Tries everything of list.ts. Leaves a kept program behind, as a run does. */
export async function tryHost(host: Host, environment: NodeJS.ProcessEnv): Promise<Tried> {
  const maps = planIdMaps(defaultSpec("/"), host);
  // As rootfs/root.ts has it: before Linux 6.6 a tmpfs has no user xattrs.
  const store = kernelAtLeast(host, 6, 6) ? null : makeStore(host.upperStore);
  try {
    const directory = store?.path ?? null;
    const trials = trialProgram(hostTrials(host, maps, directory !== null));
    const run = await runTrials(trials, host, environment, directory ?? "/");
    return { ...run, maps, storeRefusal: store?.refusal ?? null };
  } finally {
    if (store !== null && store.path !== null) rmSync(store.path, { recursive: true, force: true });
  }
}

function makeStore(parent: string): { path: string | null; refusal: string | null } {
  try {
    makeDirectories(parent);
    return { path: mkdtempSync(join(parent, "trial-")), refusal: null };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return { path: null, refusal: `${error.syscall} ${error.path ?? parent}: ${error.code}` };
  }
}

type Run = Pick<Tried, "programs" | "outcomes" | "complaints">;

/** Runs the program from the best place there is, with `cwd` as its working directory. */
async function runTrials(
  trials: TrialProgram<TrialName>,
  host: Host,
  environment: NodeJS.ProcessEnv,
  cwd: string,
): Promise<Run> {
  const bytes = compile(trials.program, host.architecture);
  const { uid, home } = host.user;
  const kept = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
  const refusals = kept.kind === "memfd" ? [...kept.refusals] : [];
  if (kept.kind === "file") {
    const ran = execute(kept.path, cwd);
    if ("records" in ran) {
      return result({ kind: "file", path: kept.path }, trials, ran);
    }
    refusals.push(`${kept.path}: ${ran.refusal}`);
  }
  const ran = await executeFromMemory(bytes, cwd);
  if ("records" in ran) return result({ kind: "memory", refusals }, trials, ran);
  refusals.push(`memory: ${ran.refusal}`);
  return { programs: { kind: "nowhere", refusals }, outcomes: null, complaints: [] };
}

interface Executed {
  readonly records: Uint8Array;
  readonly complaints: readonly string[];
}

interface Refused {
  readonly refusal: string;
}

function result(programs: Programs, trials: TrialProgram<TrialName>, ran: Executed): Run {
  return { programs, outcomes: trials.read(ran.records), complaints: ran.complaints };
}

function execute(path: string, cwd: string): Executed | Refused {
  const { error, output, stderr } = spawnSync(path, [], {
    cwd,
    env: {},
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  // What came to an end before the time was up still counts.
  if (error !== undefined && !(isSystemError(error) && error.code === "ETIMEDOUT")) {
    return { refusal: isSystemError(error) ? `${error.code}` : error.message };
  }
  const complaints = stderr.toString().split("\n");
  return {
    records: (output as (Buffer | null)[])[3] ?? new Uint8Array(),
    complaints: complaints.filter((line) => line !== ""),
  };
}

async function executeFromMemory(bytes: Uint8Array, cwd: string): Promise<Executed | Refused> {
  // A Node package with a native part may lack the one for this machine.
  const memory = await import("./memory.js").catch((error: Error) => error);
  if (memory instanceof Error) return { refusal: `load koffi: ${memory.message}` };
  try {
    return memory.withMemoryFile(bytes, (path) => execute(path, cwd));
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    return { refusal: error.message.replace(/^sbx: /, "") };
  }
}
