/** Reading who the caller is and which ids it may map. */
import { constants } from "node:fs";
import { userInfo } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Host, IdHelper, IdRange } from "../../spec/host.js";
import {
  firstFreeSubid,
  parseGetsubids,
  parseSubids,
  type SubidOwner,
} from "../../userns/subid.js";
import {
  accessSync,
  existsSync,
  noteUnrepeatable,
  readText,
  realpathSync,
  statSync,
} from "./readings.js";
import { unlessRefused } from "./system-error.js";

/** Where the machine tells about itself; other places are for tests. */
export interface MachineFiles {
  readonly etc: string;
  readonly proc: string;
  /** The servers that systemd-resolved asks. */
  readonly resolved: string;
  /** Searched for helpers after PATH. */
  readonly bin: readonly string[];
}

/** The caller. `home` is $HOME where that is an absolute path, else what the user database says. */
export function readUser(environment: NodeJS.ProcessEnv): Host["user"] {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  if (uid === undefined || gid === undefined) throw new Error("not a POSIX system");
  const entry = readUserInfo();
  const home = [environment.HOME, entry?.homedir].find((path) => path && isAbsolute(path)) ?? "/";
  return { uid, gid, name: entry?.username ?? null, home };
}

/** Null where the uid has no entry in the user database: uv_os_get_passwd fails with ENOENT then. */
function readUserInfo(): { username: string; homedir: string } | null {
  // What getpwuid_r(3) looks into; a directory service is taken to say the same of a uid.
  for (const path of ["/etc/passwd", "/etc/nsswitch.conf"]) existsSync(path);
  return unlessRefused(() => userInfo());
}

/** Uid 0 with CAP_SETGID (6) and CAP_SETUID (7) among the effective capabilities of proc_pid_status(5). */
export function mapsAnyId(uid: number, status: () => string): boolean {
  if (uid !== 0) return false;
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status())?.[1] ?? "0"}`);
  const needed = 0b1100_0000n;
  return (mask & needed) === needed;
}

/** The ids that a user namespace has: the first and third column of its uid_map or gid_map. */
export function parseNamespaceIds(map: string): IdRange[] {
  return map.split("\n").flatMap((line) => {
    const [start, , size] = line.trim().split(/\s+/).map(Number);
    return start === undefined || size === undefined ? [] : [{ start, size }];
  });
}

/**
 * The subordinate ids of the caller: /etc/subuid or /etc/subgid, and where these have none
 * getsubids(1), which also asks a directory service that nsswitch.conf(5) names. Root is not in one,
 * and is spared the wait.
 */
export function readSubids(
  kind: "uid" | "gid",
  owner: SubidOwner,
  files: MachineFiles,
  path: string | undefined,
): IdRange[] {
  const text = readOptional(join(files.etc, `sub${kind}`)) ?? "";
  const found = parseSubids(text, owner);
  if (found.length > 0) return found;
  // Without such a line it would read the same file again.
  const nsswitch = readOptional(join(files.etc, "nsswitch.conf")) ?? "";
  if (!/^subid:/m.test(nsswitch)) return [];
  noteUnrepeatable("ids of a directory service");
  const getsubids = findInPath("getsubids", path, [])[0];
  if (getsubids === undefined || owner.uid === 0) return [];
  const user = owner.name ?? String(owner.uid);
  // It fails where the user has none, which is not told apart from a service that does not answer.
  const { status, stdout } = process
    .getBuiltinModule("node:child_process")
    .spawnSync(getsubids, [...(kind === "gid" ? ["-g"] : []), user], {
      stdio: ["ignore", "pipe", "ignore"],
      encoding: "utf8",
      timeout: 2000,
    });
  return status === 0 ? parseGetsubids(stdout) : [];
}

/** Where a range of ids for one more user can begin: `Host.freeSubids`. */
export function readFreeSubid(kind: "uid" | "gid", files: MachineFiles): number {
  return firstFreeSubid(readOptional(join(files.etc, `sub${kind}`)) ?? "");
}

/**
 * The helper of that name: the first that is set-user-ID root, for package managers of users (conda,
 * nix) put copies without the bit before it; else the first, which may have file capabilities.
 */
export function findHelper(
  name: string,
  files: MachineFiles,
  path: string | undefined,
): IdHelper | null {
  const helpers = findInPath(name, path, files.bin).map((found) => {
    const { mode, uid } = statSync(found);
    return { path: found, setuidRoot: (mode & 0o4000) !== 0 && uid === 0 };
  });
  return helpers.find((helper) => helper.setuidRoot) ?? helpers[0] ?? null;
}

/** All executable files of that name, in the order of PATH; relative directories are passed over. */
export function findInPath(name: string, path = "", more: readonly string[]): string[] {
  const directories = [...path.split(":").filter(isAbsolute), ...more];
  return [...new Set(directories.map((directory) => join(directory, name)))].filter(isExecutable);
}

/** A file that the caller may execute. */
export function isExecutable(path: string): boolean {
  return (
    unlessRefused(() => {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    }) ?? false
  );
}

/** The text of a file of the machine; null where there is none, or none for the caller to read. */
export function readOptional(path: string): string | null {
  return unlessRefused(() => readText(path));
}

/** Where a path of the machine leads, without links; null where nothing is there. */
export function realPath(path: string): string | null {
  return unlessRefused(() => realpathSync(path));
}
