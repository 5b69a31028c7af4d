/**
 * The sandboxes that are kept, `sandboxes/ID` of the data directory each: what they are (`config.json`),
 * how the last run of them ended (`state.json`, launch/life/kept-state.ts), what they have written (`upper`,
 * `log`). Who changes or runs one holds a lock (flock(2)) on the file `lock` in it, a monitor for life.
 * A directory that is being made or removed has a dot before its name, which readers pass over.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { fail, type Problem } from "../../spec/error.js";
import { specToJson } from "../../spec/json.js";
import { isGivenName, whatNamesAre } from "../../spec/network-shape.js";
import type { Spec } from "../../spec/spec.js";
import { requireSafe } from "../facts/directories.js";
import { isSystemError } from "../facts/system-error.js";
import { objectIn, readPlain } from "./plain-file.js";

/** What `config.json` says. */
export interface Kept {
  /** 12 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** With `sbx.life` and `sbx.name`, and without the profile of its filter. */
  readonly spec: Spec;
  /** That profile, `linux.seccomp`, as JSON: its integers may be none that a number of JavaScript holds. */
  readonly profile: string | null;
  /** Absolute. */
  readonly directory: string;
}

/** A directory that is not as sbx made it: what is wrong, and its ID, by which it can be removed. */
export interface Damaged {
  readonly id: string;
  readonly directory: string;
  readonly problem: Problem;
}

/** What a directory of kept sandboxes holds. */
export interface KeptList {
  readonly kept: readonly Kept[];
  readonly damaged: readonly Damaged[];
  /** Paths of directories that were being made or removed, a minute ago or longer. */
  readonly leftovers: readonly string[];
}

const version = 1;
export const isId = (word: string) => /^[0-9a-f]{12}$/.test(word);

/** Where they are, `data` being the data directory. */
export const sandboxesIn = (data: string) => join(data, "sandboxes");
/** Where the one of that ID is. */
export const keptDirectory = (data: string, id: string) => join(sandboxesIn(data), id);
/** Whose lock says that the sandbox runs, or is being changed. */
export const lockFile = (directory: string) => join(directory, "lock");

/** The text of `config.json`. */
export function textOf({ spec, directory: _, ...rest }: Kept): string {
  const text = JSON.stringify({ version, ...rest });
  return `${text.slice(0, -1)},"spec":${specToJson(spec)}}\n`;
}

/** The spec with all that belongs to it. */
export async function wholeSpec({ spec, profile, directory }: Kept): Promise<Spec> {
  if (profile === null) return spec;
  const { readProfileJson } = await import("../../seccomp/read.js");
  const seccomp = await readProfileJson(profile, join(directory, "config.json"));
  return { ...spec, linux: { ...spec.linux, seccomp } };
}

/** All that there are, in the order in which they were made. */
export function listKept(data: string): KeptList {
  const kept: Kept[] = [];
  const damaged: Damaged[] = [];
  const leftovers: string[] = [];
  const names = entriesOf(sandboxesIn(data));
  // Who lists them may start one: with the rights of root, where HOME is a user's.
  if (names.length > 0) requireSafe(sandboxesIn(data), process.getuid?.() ?? 0);
  for (const name of names) {
    const directory = join(sandboxesIn(data), name);
    if (name.startsWith(".") && isDirectory(directory) && isOld(directory))
      leftovers.push(directory);
    if (!isId(name)) continue;
    const read = readKept(data, name);
    if (read === null) continue;
    if ("problem" in read) damaged.push(read);
    else kept.push(read);
  }
  return { kept: kept.sort((a, b) => a.createdMs - b.createdMs), damaged, leftovers };
}

/** Null where there is none of that id. */
export function readKept(data: string, id: string): Kept | Damaged | null {
  const directory = keptDirectory(data, id);
  const path = join(directory, "config.json");
  const file = readPlain(path);
  if (file === null && !isDirectory(directory)) return null;
  const said = file === null ? null : objectIn(file.text);
  const why = said === null ? "it is no JSON object of sbx's" : whyUnfit(said, id);
  if (why === null) {
    const { name, createdMs, profile, spec } = said as unknown as Kept;
    return { id, name, createdMs, spec, profile, directory };
  }
  const hint = `Mend it, or remove the sandbox: sbx rm ${id}`;
  return { id, directory, problem: { what: `read ${path}`, why, hint } };
}

/** Only what tells one sandbox from others: whoever starts it checks its spec as a whole. */
function whyUnfit({ version: found, ...said }: Record<string, unknown>, id: string): string | null {
  if (found !== version) return `it is of version ${String(found)}, which another sbx wrote`;
  const { name, createdMs, profile, spec } = said as Partial<Kept>;
  if (said.id !== id) return "it is of another sandbox";
  if (typeof name !== "string" || !isGivenName(name)) return `its name is not ${whatNamesAre}`;
  if (!Number.isSafeInteger(createdMs)) return "createdMs is no whole number";
  if (profile !== null && typeof profile !== "string") return "profile is no text";
  return isWholeSpec(spec) && typeof spec.sbx.life === "object" ? null : "its spec is not whole";
}

/** Whether all is there that is told of a sandbox, or that finds it. */
export function isWholeSpec(spec: unknown): spec is Spec {
  const { process, root, mounts, linux, sbx, annotations = {} } = Object(spec) as Partial<Spec>;
  return (
    Array.isArray(process?.args) &&
    Array.isArray(sbx?.entrypoint) &&
    [...process.args, ...sbx.entrypoint].every((word) => typeof word === "string") &&
    typeof root?.path === "string" &&
    Array.isArray(mounts) &&
    Array.isArray(linux?.namespaces) &&
    Object.values(annotations).every((value) => typeof value === "string")
  );
}

function entriesOf(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === "ENOENT") return [];
    return fail("list the sandboxes that are kept", error.message, `Look after ${directory}`);
  }
}

const isDirectory = (path: string) =>
  fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Nobody takes a minute from making a directory to naming it, or from naming it to locking it. */
function isOld(path: string): boolean {
  const stats = fs.lstatSync(path, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs > 60_000;
}

/**
 * The lock on a sandbox, as an fd that holds it until it is closed. `busy` where another has it: the
 * sandbox runs, or is being changed.
 */
export async function lockKept(directory: string): Promise<number | "busy" | "gone"> {
  const { tryLock } = await import("../native/file-calls.js");
  const { O_RDONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const path = lockFile(directory);
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === "ENOENT") return "gone";
    // It is a link, a directory or a socket.
    return fail(`lock ${path}`, error.message, "It is no file of sbx's: remove it");
  }
  try {
    if (!tryLock(fd)) return release(fd, "busy");
    // Who removes a sandbox has the lock before it is moved away.
    const there = fs.lstatSync(path, { throwIfNoEntry: false });
    return there?.ino === fs.fstatSync(fd).ino ? fd : release(fd, "gone");
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function release<T>(fd: number, result: T): T {
  fs.closeSync(fd);
  return result;
}

/** The inode of the lock, by which /proc/locks tells it; null where there is none. */
export const lockInode = (directory: string): number | null =>
  fs.lstatSync(lockFile(directory), { throwIfNoEntry: false })?.ino ?? null;
