/**
 * Named volumes: directories of the user's that outlive sandboxes, `NAME/_data` below the store. What
 * is in use is locked by the programs themselves (`lockVolume`).
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { fail } from "../../spec/error.js";
import { dataDirectory, makeDirectories } from "../facts/directories.js";
import { isSystemError } from "../facts/system-error.js";
import { removeTrees } from "../process/mapped.js";

export interface Volume {
  readonly name: string;
  /** Where its files are, absolute. */
  readonly mountpoint: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
}

/** Where the volumes of the user are. */
export const volumeStore = (environment: NodeJS.ProcessEnv, home: string) =>
  join(dataDirectory(environment, home), "volumes");

/** Makes the volume whole, or not at all. Gives false where it is there already. */
export function createVolume(store: string, name: string): boolean {
  try {
    return makeVolume(store, name);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return fail(
      `make the volume ${name} in ${store}`,
      `${error.syscall} failed (${error.code})`,
      "XDG_DATA_HOME can name a directory of yours where there is room",
    );
  }
}

function makeVolume(store: string, name: string): boolean {
  makeDirectories(store);
  const fresh = join(store, `.${randomBytes(8).toString("hex")}`);
  fs.mkdirSync(fresh, { mode: 0o700 });
  try {
    fs.mkdirSync(join(fresh, "_data"));
    fs.chmodSync(join(fresh, "_data"), 0o755);
    // Onto a directory that is not empty it fails, and every volume has its _data.
    fs.renameSync(fresh, join(store, name));
    return true;
  } catch (error) {
    fs.rmSync(fresh, { recursive: true });
    if (isSystemError(error) && /^(ENOTEMPTY|EEXIST)$/.test(error.code)) return false;
    throw error;
  }
}

/** All volumes, by name. */
export function listVolumes(store: string): Volume[] {
  const names = fs.existsSync(store) ? fs.readdirSync(store).sort() : [];
  return names.flatMap((name) => (name.startsWith(".") ? [] : (findVolume(store, name) ?? [])));
}

/** Null where there is no such volume. */
export function findVolume(store: string, name: string): Volume | null {
  const mountpoint = join(store, name, "_data");
  const stats = fs.lstatSync(mountpoint, { throwIfNoEntry: false });
  return stats === undefined ? null : { name, mountpoint, createdMs: stats.birthtimeMs };
}

/** Removes the volume with all that is in it, whoever inside owns it. False where a sandbox uses it. */
export async function removeVolume(store: string, name: string): Promise<boolean> {
  const { tryLock } = await import("../native/file-calls.js");
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const directory = join(store, name);
  const fd = fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    // The programs of sandboxes share the lock (`lockVolume`).
    const isFree = tryLock(fd);
    if (isFree) removeTrees([directory]);
    return isFree;
  } finally {
    fs.closeSync(fd);
  }
}
