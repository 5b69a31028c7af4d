/**
 * Named volumes: directories of the user's that outlive sandboxes, `NAME/_data` below the store. What
 * is in use is locked by the programs themselves (`lockVolume`); files of other ids are removed by a
 * sandbox with the user's id map.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { defaultSpec } from "../spec/default.js";
import { fail } from "../spec/error.js";
import type { Spec } from "../spec/spec.js";
import { compileSandbox } from "./compile.js";
import { dataDirectory, makeDirectories } from "./directories.js";
import { isSystemError } from "./in-root.js";
import { probe } from "./probe.js";
import { keep } from "./store.js";

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

/**
 * Removes the volume with all that is in it, whoever inside owns it. Null where that is done, else
 * why not: `inUse`, or the line that the program wrote.
 */
export async function removeVolume(
  store: string,
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<null | { readonly inUse: boolean; readonly line: string }> {
  const host = probe("/", environment);
  const { bytes } = compileSandbox(removal(store, name), host);
  const { uid, home } = host.user;
  const kept = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
  const run = (path: string) =>
    process
      .getBuiltinModule("node:child_process")
      .spawnSync(path, [], { stdio: ["ignore", "ignore", "pipe", "pipe"] });
  const ended =
    kept.kind === "file"
      ? run(kept.path)
      : (await import("./trial/memory.js")).withMemoryFile(bytes, run);
  if (ended.error !== undefined) fail(`remove the volume ${name}`, ended.error.message);
  if (ended.status === 0) return null;
  const events = String((ended.output as (Buffer | null)[])[3] ?? "");
  const line = ended.stderr.toString().trim();
  return { inUse: /"step":"lock the volume.*EAGAIN/.test(events), line };
}

/** A sandbox of this machine's own root, read-only, in which only `rm` runs. */
function removal(store: string, name: string): Spec {
  const { hostname, ...base } = defaultSpec("/");
  return {
    ...base,
    process: {
      ...base.process,
      terminal: false,
      args: ["rm", "-rf", "--", `/tmp/${name}`],
    },
    root: { path: "/", readonly: true },
    mounts: [{ destination: "/tmp", type: "bind", source: store, options: ["rbind"] }],
    linux: { namespaces: [{ type: "user" }, { type: "mount" }, { type: "pid" }] },
    sbx: {
      ...base.sbx,
      statusFd: 3,
      network: { from: { mode: "host" } },
      volumes: [{ path: join(store, name), exclusive: true }],
    },
  };
}
