/**
 * What happens to sandboxes, a JSON object in a line each, in the file `events` of the run directory: monitors of those in
 * the background append to it when their state changes (launch/lower/life/event.ts), commands when they have done something.
 * There are two files at most: who finds the one that is written too large makes it `events.1`.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { makeDirectories } from "../facts/directories.js";
import { withLock } from "./lock-file.js";
import { type LineFile, objectIn, openLines } from "./plain-file.js";

/** `start`, `die` and `oom` come from monitors. */
export const actions = [
  "create",
  "start",
  "die",
  "oom",
  "stop",
  "kill",
  "pause",
  "unpause",
  "rename",
  "exec",
  "remove",
] as const;
export type EventAction = (typeof actions)[number];

export interface SandboxEvent {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly action: EventAction;
  readonly id: string;
  /** What it was called then. */
  readonly name: string;
  /** As `exitCode`, `signal`. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Bytes: some ten thousand events. */
const limitBytes = 2 ** 20;
/** Longer lines than sbx writes. */
const longestLine = 4096;

const fileIn = (run: string) => join(run, "events");

/** Appends one, below the path of the run directory. Fails with the system's error. */
export async function appendEvent(run: string, event: SandboxEvent): Promise<void> {
  makeDirectories(run);
  const path = fileIn(run);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    fs.writeSync(fd, `${JSON.stringify(event)}\n`);
    if (fs.fstatSync(fd).size > limitBytes) await rotate(path);
  } finally {
    fs.closeSync(fd);
  }
}

/** Who has it open writes to the older one for a moment, which is read as well. */
function rotate(path: string): Promise<void> {
  return withLock(join(dirname(path), "events.lock"), () => {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.size > limitBytes) fs.renameSync(path, `${path}.1`);
  });
}

/** Events that are being read; the files are open, so that no other gets the inode of one. For `closeEvents`. */
export interface EventLog {
  readonly run: string;
  /** The oldest first. */
  files: LineFile[];
  /** Set where some were removed before they could be read. */
  isTorn: boolean;
}

export const openEvents = (run: string): EventLog => ({ run, files: [], isTorn: false });

export function closeEvents({ files }: EventLog): void {
  for (const { fd } of files.splice(0)) fs.closeSync(fd);
}

/** Those that have come since, in the order in which they were told. */
export function readEvents(log: EventLog): SandboxEvent[] {
  // From the newest on, against the direction in which they are renamed.
  const there = ["events", "events.1"].flatMap((name) => openLines(join(log.run, name)) ?? []);
  const files = there.reverse().map((file) => {
    const known = log.files.find(({ inode }) => inode === file.inode);
    if (known !== undefined) fs.closeSync(file.fd);
    return known ?? file;
  });
  const gone = log.files.filter((file) => !files.includes(file));
  log.isTorn = log.files.length > 0 && gone.length === log.files.length;
  const events = [...gone, ...files].flatMap(readFile);
  closeEvents({ ...log, files: gone });
  log.files = files;
  return events;
}

function readFile(file: LineFile): SandboxEvent[] {
  const size = fs.fstatSync(file.fd).size - file.position;
  const block = Buffer.alloc(Math.max(0, Math.min(size, 4 * limitBytes)));
  const text = block.subarray(0, fs.readSync(file.fd, block, 0, block.length, file.position));
  const end = text.lastIndexOf("\n") + 1;
  file.position += end;
  const lines = text.toString("utf8", 0, end).split("\n");
  return lines.flatMap((line) => (line.length <= longestLine ? eventsIn(line) : []));
}

/** Anything may be in the files: what is no event is passed over. */
function eventsIn(line: string): SandboxEvent[] {
  const said = objectIn(line);
  if (said === null || typeof said.id !== "string" || typeof said.name !== "string") return [];
  const { id, name } = said;
  if (typeof said.status === "string") return eventsOfState(id, name, said);
  const action = actions.find((each) => each === said.action);
  if (action === undefined || !Number.isSafeInteger(said.timeMs)) return [];
  const attributes = Object.entries(Object(said.attributes)).flatMap(([key, value]) =>
    typeof value === "string" || typeof value === "number" ? [[key, value] as const] : [],
  );
  const timeMs = said.timeMs as number;
  return [{ timeMs, action, id, name, attributes: Object.fromEntries(attributes) }];
}

/** A monitor's line has the state of its `state.json`. */
function eventsOfState(id: string, name: string, said: Record<string, unknown>): SandboxEvent[] {
  const number = (key: string) => (Number.isSafeInteger(said[key]) ? (said[key] as number) : 0);
  const event = (timeMs: number, action: EventAction, attributes = {}): SandboxEvent => ({
    timeMs,
    action,
    id,
    name,
    attributes,
  });
  if (said.status === "running") return [event(number("startedMs"), "start")];
  const timeMs = number("finishedMs");
  const oom = number("oom") === 1 ? [event(timeMs, "oom")] : [];
  return [...oom, event(timeMs, "die", { exitCode: number("exitCode") })];
}
