/**
 * The sandboxes of the caller's that are running, by the records that their programs keep
 * (launch/lower/record/record.ts). A record whose lock nobody holds was left behind by a monitor that was
 * killed, and is removed by whoever finds it.
 */
import * as fs from "node:fs";
import { basename, join } from "node:path";
import type { JoinedNamespaces } from "../../spec/actions/enter.js";
import { fail } from "../../spec/error.js";
import type { ParentIds, RunDirectory } from "../../spec/host.js";
import type { PublishedPort } from "../../spec/network.js";
import { isGivenName } from "../../spec/network-shape.js";
import type { Mapping, NamespaceType, Spec } from "../../spec/spec.js";
import type { ResolvedUser } from "../../userns/passwd.js";
import { isSystemError } from "../facts/in-root.js";
import { isWholeSpec, lockInode } from "./kept.js";
import { objectIn, openPlain, readPlain } from "./plain-file.js";

/** A port of the host's that leads to one of a sandbox, which has it by now. */
export type RunningPort = PublishedPort & { readonly hostPort: number };

/** A sandbox's place on a network of `sbx network`. */
export interface NetworkPlace {
  readonly network: string;
  /** Inside, as `eth0`. */
  readonly interface: string;
  /** Its IPv4 address. */
  readonly ip: string;
  /** Its IPv6 address in full, where the network has any. */
  readonly ip6?: string;
}

/** What a record says. */
export interface Sandbox {
  /** Of this format. */
  readonly version: 1;
  /** The record's own, which a sandbox keeps when it is renamed. */
  readonly inode: number;
  /** That of the file, by which it is found: a sandbox may be renamed while it runs. */
  readonly name: string;
  /** What it was called as it was started: what is in the file. */
  readonly firstName: string;
  /** 12 hexadecimal digits. Absent from programs of before there were any. */
  readonly id?: string;
  /** Pids as the caller sees them. That of the init may be anybody's by now. */
  readonly monitor: number;
  /** As which the monitor has its namespaces open: launch/lower/namespaces.ts. Those that are not its own are absent. */
  readonly namespaces: Readonly<Partial<Record<NamespaceType, number>>>;
  readonly init: number;
  /** Seconds since 1970. */
  readonly started: number;
  /** The ids inside, and which of the caller's own user namespace they are. */
  readonly uidMappings: readonly Mapping[];
  readonly gidMappings: readonly Mapping[];
  /** setgroups(2) is given up. */
  readonly denySetgroups: boolean;
  /** Whom its command was started as. */
  readonly user: Pick<ResolvedUser, "uid" | "gid" | "additionalGids" | "home">;
  /** The ids of the user namespace that its network belongs to; null where they are not known. */
  readonly networkIds: ParentIds | null;
  /** The directory of its control group; absent where it has none. */
  readonly cgroup?: string;
  readonly ports?: readonly RunningPort[];
  /** The networks that it was started on. */
  readonly networks?: readonly NetworkPlace[];
  readonly spec: Spec;
}

interface Found {
  readonly path: string;
  readonly inode: number;
  readonly modifiedMs: number;
  /** Null where what is in the file is no record. */
  readonly said: Said | null;
}

/** A record, of whatever version. */
type Said = Pick<Sandbox, "name" | "firstName" | "monitor"> & { readonly version: number };

/** All that are running, in the order in which they were started. */
export async function listSandboxes(run: RunDirectory): Promise<Sandbox[]> {
  const directory = requireDirectory(run);
  const found = namesIn(directory).flatMap((name) => readRecord(join(directory, name)) ?? []);
  // After the records: one that is there and runs has been locked all the time.
  const locks = new Set(readLocks().map(({ pid, inode }) => lockOf(pid, inode)));
  const [whole, unfinished] = [found.filter(isWhole), found.filter((each) => !isWhole(each))];
  const running = whole.filter(
    ({ said, inode }) => said !== null && locks.has(lockOf(said.monitor, inode)),
  );
  const rest = whole.filter((each) => !running.includes(each));
  const locked = await sweep([...rest, ...unfinished.filter(isOld)]);
  if (rest.some(isReplaced)) return listSandboxes(run);
  return [...running, ...rest.filter((each) => locked.has(each.path))]
    .flatMap((each) => (each.said === null ? [] : sandboxOf(each.said, each.inode)))
    .sort((a, b) => a.started - b.started || (a.name < b.name ? -1 : 1));
}

/** Gives the record of a sandbox that runs another name, under which it is found from then on. */
export async function renameRecord(
  run: RunDirectory,
  { name }: Sandbox,
  to: string,
): Promise<void> {
  const { renameNoReplace } = await import("../file-calls.js");
  const directory = requireDirectory(run);
  try {
    renameNoReplace(join(directory, name), join(directory, to));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // ENOENT: it has ended.
    if (error.code === "EEXIST") {
      fail(`rename ${name}`, `a sandbox of the name ${to} is running`, "Choose another");
    }
    if (error.code !== "ENOENT") throw error;
  }
}

/** How a program finds namespaces of a sandbox, and no other's that has the name by then. */
export function joinedOf(
  { path }: RunDirectory,
  sandbox: Sandbox,
  types: readonly NamespaceType[],
): JoinedNamespaces {
  const { name } = sandbox;
  return {
    kind: "sandbox",
    name,
    record: `${path}/sandboxes/${name}`,
    head: headOf(sandbox),
    namespaces: types.map((type) => ({ type, path: namespacePath(sandbox, type) })),
  };
}

/** How the record begins: no other sandbox's does so. */
export function headOf(sandbox: Sandbox): string {
  const { version, id, firstName: name, monitor, namespaces, init, started } = sandbox;
  return JSON.stringify({ version, id, name, monitor, namespaces, init, started }).slice(0, -1);
}

/** Where the monitor of a running sandbox has a namespace of its open. */
export const namespacePath = ({ monitor, namespaces }: Sandbox, type: NamespaceType): string =>
  `/proc/${monitor}/fd/${namespaces[type]}`;

function requireDirectory(run: RunDirectory): string {
  if (run.path !== null) return join(run.path, "sandboxes");
  return fail(
    "look for running sandboxes",
    `there is no private directory for them: ${run.why}`,
    "Set XDG_RUNTIME_DIR to a directory of yours, of mode 0700, here and where they are started",
  );
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Null where it is gone by now, or is no file. */
function readRecord(path: string): Found | null {
  const file = readPlain(path);
  if (file === null) return null;
  const { inode, modifiedMs, text } = file;
  return { path, inode, modifiedMs, said: parse(text, basename(path)) };
}

/** One that was started again meanwhile has another record by now. */
function isReplaced({ path, inode }: Found): boolean {
  const now = readRecord(path);
  return now !== null && now.inode !== inode;
}

/** What is not yet whole has a dot before its name. */
const isWhole = ({ path }: Pick<Found, "path">) => !/\/\.[^/]*$/.test(path);

/** Nobody takes a minute from making the file to locking it. */
const isOld = ({ modifiedMs }: Found) => Date.now() - modifiedMs > 60_000;

/** Null where it is not what a program of ours has written. */
function parse(text: string, file: string): Said | null {
  const said = objectIn(text);
  const isSaid = isGivenName(`${said?.name}`) && Number.isSafeInteger(said?.version);
  if (!isSaid || !Number.isSafeInteger(said?.monitor)) return null;
  if (said?.version === 1 && !isWholeSpec(said.spec)) return null;
  return { ...(said as unknown as Said), name: file, firstName: `${said?.name}` };
}

function sandboxOf(said: Said, inode: number): Sandbox {
  if (said.version === 1) return { ...(said as Sandbox), inode };
  return fail(
    `read the record of the sandbox ${said.name}`,
    `it is of version ${said.version}`,
    "It was started by a later sbx: use that one",
  );
}

/**
 * Whether its monitor is still there: who has opened that process before knows then that it is the monitor. One that is
 * started again gets a new record, and keeps the lock of its directory.
 */
export function isRunning({ monitor, inode, spec }: Sandbox): boolean {
  const own = [inode, spec.sbx.life && lockInode(spec.sbx.life.directory)];
  return readLocks().some((lock) => lock.pid === monitor && own.includes(lock.inode));
}

/** The monitor of the sandbox that is kept in the directory; null where it does not run. */
export const monitorOf = (directory: string): number | null =>
  readLocks().find(({ inode }) => inode === lockInode(directory))?.pid ?? null;

const lockOf = (pid: number, inode: number) => `${pid} ${inode}`;

/**
 * Who holds which lock of flock(2): proc_locks(5). The device is left out, as btrfs and overlayfs tell
 * another one to stat(2).
 */
function readLocks(): { pid: number; inode: number }[] {
  const lines = fs.readFileSync("/proc/locks", "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, pid, inode] = /FLOCK +ADVISORY +WRITE (\d+) [^ ]+:(\d+) /.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), inode: Number(inode) }];
  });
}

/** The inodes that somebody has locked. */
export const lockedInodes = (): Set<number> => new Set(readLocks().map(({ inode }) => inode));

/** Removes what nobody has locked, and gives the paths of what somebody has. */
async function sweep(found: readonly Found[]): Promise<Set<string>> {
  const locked = new Set<string>();
  if (found.length === 0) return locked;
  const { tryLock } = await import("../file-calls.js");
  for (const { path, said } of found) {
    const fd = openPlain(path);
    if (fd === null) continue;
    try {
      if (!tryLock(fd)) locked.add(path);
      // Another may have taken the name since: only who has the lock removes a record.
      else if (fs.lstatSync(path, { throwIfNoEntry: false })?.ino === fs.fstatSync(fd).ino) {
        if (said?.version === 1) removeGroup((said as Sandbox).cgroup);
        fs.unlinkSync(path);
      }
    } finally {
      fs.closeSync(fd);
    }
  }
  return locked;
}

/** What a killed monitor could not. systemd may have been faster; else who next makes a group there is. */
function removeGroup(path: string | undefined): void {
  if (path === undefined) return;
  try {
    if (isGroup(path)) fs.rmdirSync(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

/** Whether it is a directory of a cgroup2 file system, by linux/magic.h: a record may lie. */
export function isGroup(path: string): boolean {
  return fs.statfsSync(path).type === 0x63677270;
}
