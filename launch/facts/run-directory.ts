/** The directory of what is true only while this machine runs: the records of sandboxes, networks. */
import { constants } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { RunDirectory } from "../../spec/host.js";
import { dangerOf, makeDirectories, nearest, othersWrite } from "./directories.js";
import { readOptional, readUser } from "./identity.js";
import { accessSync, existsSync, statSync } from "./readings.js";
import { isSystemError } from "./system-error.js";

/** Whose it is. */
interface Owner {
  readonly uid: number;
  /** Absolute. */
  readonly home: string;
}

/**
 * `$XDG_RUNTIME_DIR/sbx`, which is the caller's alone and ends with its last session. Where there is
 * none that is safe to use (cron, su, batch jobs), `sbx/run-BOOT` below XDG_STATE_HOME or
 * ~/.local/state, which other machines may share; never a directory that others may write to. The XDG
 * Base Directory Specification 0.8 has both variables, and says that relative values are to be
 * ignored. `readBootId` gives what /proc/sys/kernel/random/boot_id has, null where it cannot be read.
 */
export function runDirectory(
  { XDG_RUNTIME_DIR: runtime, XDG_STATE_HOME: given }: NodeJS.ProcessEnv,
  { uid, home }: Owner,
  readBootId: () => string | null,
): RunDirectory {
  if (runtime !== undefined && isAbsolute(runtime) && existsSync(runtime)) {
    const { base } = judge(runtime, uid);
    if (base !== null) return { path: join(base, "sbx"), base };
  }
  const state = given !== undefined && isAbsolute(given) ? given : join(home, ".local/state");
  const judged = judge(state, uid);
  if (judged.base === null) return { path: null, why: judged.why };
  const bootId = readBootId();
  return bootId === null
    ? { path: null, why: "/proc/sys/kernel/random/boot_id cannot be read" }
    : { path: join(state, `sbx/run-${bootId.trim()}`), base: judged.base };
}

/** The path, or the first directory above it that is there, if something private can be made in it. */
function judge(path: string, uid: number): { base: string } | { base: null; why: string } {
  try {
    const base = nearest(path);
    const stats = statSync(base);
    if (stats.uid !== uid) return { base: null, why: `${base} belongs to uid ${stats.uid}` };
    // In a sticky one somebody may be there before us.
    if (othersWrite(stats, uid)) return { base: null, why: `others may write to ${base}` };
    accessSync(base, constants.W_OK | constants.X_OK);
    const danger = dangerOf(base, uid);
    return danger === null ? { base } : { base: null, why: `${danger.directory}: ${danger.why}` };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return { base: null, why: `${path}: ${error.syscall} failed (${error.code})` };
  }
}

/**
 * Makes the directory above it where that is missing. The first program would, and what is compiled where it is there is
 * another one: a known command line would be compiled once more.
 */
export function makeAboveRunDirectory(environment: NodeJS.ProcessEnv): void {
  const { path } = runDirectory(environment, readUser(environment), () => "");
  try {
    if (path !== null) makeDirectories(dirname(path));
  } catch (error) {
    // A disk that is full: nothing depends on it here.
    if (!isSystemError(error)) throw error;
  }
}

/** The same for this process's user, from the machine. */
export function callersRunDirectory(environment: NodeJS.ProcessEnv): RunDirectory {
  const bootId = () => readOptional("/proc/sys/kernel/random/boot_id");
  return runDirectory(environment, readUser(environment), bootId);
}
