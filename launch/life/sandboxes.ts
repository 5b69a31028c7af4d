/**
 * The caller's sandboxes, kept and running ones as one. What a kill or a reboot has left half done is
 * repaired by whoever lists them.
 */

import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fail, SbxError } from "../../spec/error.js";
import type { RunDirectory } from "../../spec/host.js";
import type { Spec } from "../../spec/spec.js";
import { dataDirectory } from "../facts/directories.js";
import { readUser } from "../facts/identity.js";
import { callersRunDirectory } from "../facts/run-directory.js";
import { isSystemError } from "../facts/system-error.js";
import { isPaused } from "./control-group.js";
import { type Damaged, isId, type Kept, listKept, lockKept } from "./kept.js";
import { sweepNames } from "./kept-names.js";
import { removeLeftovers, removeLocked } from "./kept-remove.js";
import { type KeptState, killedState, readState, writeState } from "./kept-state.js";
import { monitorOf } from "./locks.js";
import { derivedName } from "./names.js";
import { listSandboxes } from "./records.js";
import type { Sandbox } from "./sandbox.js";

/** Where sandboxes are told of. */
export interface Places {
  readonly run: RunDirectory;
  /** The data directory. */
  readonly data: string;
}

export type Status = "created" | "running" | "paused" | "restarting" | "exited";

export interface SandboxView {
  readonly id: string;
  /** For people; made of the id where it was given none. */
  readonly name: string;
  readonly status: Status;
  /** Milliseconds since 1970; null where it has not happened. */
  readonly createdMs: number;
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  /** Of the last run that has ended; null while it runs, and where there was none. */
  readonly exitCode: number | null;
  readonly oom: boolean;
  /** What went wrong with its last start or end. */
  readonly error: string | null;
  readonly restarts: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Without the profile of its filter, where it is kept. */
  readonly spec: Spec;
  /** Null where it does not run. */
  readonly record: Sandbox | null;
  /** Null where it is gone with its end. */
  readonly kept: Kept | null;
}

export const callersPlaces = (environment: NodeJS.ProcessEnv): Places => ({
  run: callersRunDirectory(environment),
  data: dataDirectory(environment, readUser(environment).home),
});

/** How long a monitor may take to its end once its record is gone, for all together, and how often is looked. */
const endingMs = 1000;
const endingLookMs = 20;

/** All of them, in the order in which they were made; and the directories that cannot be understood. */
export async function listViews({
  run,
  data,
}: Places): Promise<{ views: SandboxView[]; damaged: readonly Damaged[] }> {
  const { kept, damaged, leftovers } = listKept(data);
  // Before the records: what has one by then was not yet at its end as its state was read.
  const states = kept.map(({ directory }) => readState(directory));
  const records = await listSandboxes(run);
  const untilMs = performance.now() + endingMs;
  const byId = new Map(records.map((record) => [record.id ?? record.name, record]));
  const views: SandboxView[] = [];
  for (const [index, each] of kept.entries()) {
    const record = byId.get(each.id) ?? null;
    byId.delete(each.id);
    const written = states[index] ?? null;
    const state = record === null ? await settle(each, written, untilMs) : written;
    if (state !== "gone") views.push(viewOfKept(each, state, record));
  }
  const stuck = await removeLeftovers(leftovers);
  await sweepNames(data, new Set(kept.map(({ name }) => name)));
  views.push(...[...byId.values()].map(viewOfRecord));
  return {
    views: views.sort((a, b) => a.createdMs - b.createdMs),
    damaged: [...damaged, ...stuck],
  };
}

/** Whether a name is that of a running sandbox, however it came to it. */
export async function runningNames(run: RunDirectory): Promise<(name: string) => boolean> {
  const records = await listSandboxes(run);
  const names = new Set(records.flatMap((each) => [each.name, viewOfRecord(each).name]));
  return (name) => names.has(name);
}

/**
 * The state as it is, which is not what was written where nobody lives who would have written more. Who has no record
 * and lives may just be at its end, where the monitor removes that first: it is looked at until then.
 */
async function settle(
  { directory, spec }: Kept,
  state: KeptState | null,
  untilMs: number,
): Promise<KeptState | null | "gone"> {
  if (state === null || state.status === "exited") return state;
  let fd = await lockKept(directory);
  while (fd === "busy" && performance.now() < untilMs) {
    await sleep(endingLookMs);
    fd = await lockKept(directory);
  }
  if (fd === "gone") return fd;
  if (fd === "busy") return readState(directory) ?? state;
  try {
    const now = readState(directory);
    if (now === null || now.status === "exited") return now;
    const killed = killedState(now, Date.now());
    try {
      if (spec.sbx.life?.removeAtEnd !== true) writeState(directory, killed);
      else removeLocked([directory]);
    } catch (error) {
      // On a full disk it is told all the same, and mended by a later command.
      if (!isSystemError(error)) throw error;
      return killed;
    }
    return spec.sbx.life?.removeAtEnd === true ? "gone" : killed;
  } finally {
    closeSync(fd);
  }
}

function viewOfKept(kept: Kept, state: KeptState | null, record: Sandbox | null): SandboxView {
  const { id, name, createdMs, spec } = kept;
  const runs = record !== null || (state !== null && state.status !== "exited");
  return {
    id,
    name,
    status: statusOf(state, record),
    createdMs,
    startedMs: Math.max(state?.startedMs ?? 0, (record?.started ?? 0) * 1000) || null,
    finishedMs: state?.finishedMs ?? null,
    exitCode: runs && state?.status !== "restarting" ? null : (state?.exitCode ?? null),
    oom: state?.oom ?? false,
    error: state?.error ?? null,
    restarts: state?.restarts ?? 0,
    labels: spec.annotations ?? {},
    spec,
    record,
    kept,
  };
}

function statusOf(state: KeptState | null, record: Sandbox | null): Status {
  if (state?.status === "restarting") return "restarting";
  if (record !== null) return isPaused(record) ? "paused" : "running";
  return state?.status ?? "created";
}

function viewOfRecord(record: Sandbox): SandboxView {
  const id = record.id ?? record.name;
  return {
    id,
    name: isId(record.name) ? derivedName(record.name) : record.name,
    status: isPaused(record) ? "paused" : "running",
    createdMs: record.started * 1000,
    startedMs: record.started * 1000,
    finishedMs: null,
    exitCode: null,
    oom: false,
    error: null,
    restarts: 0,
    labels: record.spec.annotations ?? {},
    spec: record.spec,
    record,
    kept: null,
  };
}

/**
 * The one of that name or ID, or the only one whose name or ID begins so. Fails where there is none, or
 * several.
 */
export async function findView(places: Places, word: string): Promise<SandboxView> {
  const { views, damaged } = await listViews(places);
  return chooseView(views, damaged, word);
}

/** Whether the word stands for it, perhaps among others. */
export const isMeant = ({ name, id }: SandboxView, word: string): boolean =>
  word !== "" && (name.startsWith(word) || id.startsWith(word));

/** The same of those that are listed already. */
export function chooseView(
  views: readonly SandboxView[],
  damaged: readonly Damaged[],
  word: string,
): SandboxView {
  const what = `find the sandbox ${word}`;
  const ways: ((view: SandboxView) => boolean)[] = [
    ({ name, kept, record }) => name === word && (kept !== null || record?.name === word),
    ({ name }) => name === word,
    ({ id }) => id === word,
    (view) => isMeant(view, word),
  ];
  for (const way of ways) {
    const [view, ...others] = views.filter(way);
    if (others.length > 0) {
      const names = views.filter(way).map(({ name, id }) => `${name} (${id})`);
      fail(what, "several names or IDs begin so", `There are ${few(names)}`);
    }
    if (view !== undefined) return view;
  }
  const broken = damaged.find(({ id }) => word !== "" && id.startsWith(word));
  if (broken !== undefined) throw new SbxError([broken.problem]);
  const names = views.map(({ name }) => name);
  return fail(
    what,
    "there is none of that name or ID",
    names.length === 0 ? "`sbx run -d` makes one" : `There are ${few(names)}`,
  );
}

function few(names: readonly string[]): string {
  const rest = names.length - 10;
  return `${names.slice(0, 10).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** The record of one that runs; fails where it does not. */
export function requireRunning({ name, record, status, kept }: SandboxView): Sandbox {
  if (record !== null && status !== "restarting") return record;
  if (status === "restarting") {
    fail(`find the sandbox ${name}`, "it is waiting for its next start", "Try again then");
  }
  requireTold({ name, record, status, kept });
  return fail(`find the sandbox ${name}`, "it is not running", `Start it: sbx start ${name}`);
}

/** Fails where it runs, but has its record elsewhere: nobody can say how it is reached then. */
export function requireTold({
  name,
  record,
  status,
  kept,
}: Pick<SandboxView, "name" | "record" | "status" | "kept">): void {
  if (record !== null || status === "created" || status === "exited") return;
  const monitor = kept && monitorOf(kept.directory);
  const end = monitor && `; where that is gone, as after a logout, end it: kill ${monitor}`;
  fail(
    `find the sandbox ${name}`,
    "it runs, but not by a record in the run directory",
    `Set XDG_RUNTIME_DIR as it was where it was started${end ?? ""}`,
  );
}

/** The running one that `findView` finds. */
export async function findRunning(places: Places, word: string): Promise<Sandbox> {
  return requireRunning(await findView(places, word));
}
