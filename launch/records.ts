/**
 * The sandboxes of the caller's that are running, by the records that their programs keep
 * (launch/lower/record.ts). A record whose lock nobody holds was left behind by a monitor that was
 * killed, and is removed by whoever finds it.
 */
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { fail } from "../spec/error.js";
import type { ParentIds, RunDirectory } from "../spec/host.js";
import type { PublishedPort } from "../spec/network.js";
import type { Mapping, NamespaceType, Spec } from "../spec/spec.js";
import type { JoinedNetwork } from "../spec/step.js";
import { isSystemError } from "./in-root.js";

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
  readonly name: string;
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
type Said = Pick<Sandbox, "name" | "monitor"> & { readonly version: number };

/** All that are running, in the order in which they were started. */
export async function listSandboxes(run: RunDirectory): Promise<Sandbox[]> {
  const directory = requireDirectory(run);
  const found = namesIn(directory).flatMap((name) => readRecord(join(directory, name)) ?? []);
  // After the records: one that is there and runs has been locked all the time.
  const locks = readLocks();
  const [whole, unfinished] = [found.filter(isWhole), found.filter((each) => !isWhole(each))];
  const running = whole.filter(
    ({ said, inode }) => said !== null && locks.has(lockOf(said.monitor, inode)),
  );
  const rest = whole.filter((each) => !running.includes(each));
  const locked = await sweep([...rest, ...unfinished.filter(isOld)]);
  return [...running, ...rest.filter((each) => locked.has(each.path))]
    .flatMap(({ said }) => (said === null ? [] : sandboxOf(said)))
    .sort((a, b) => a.started - b.started || (a.name < b.name ? -1 : 1));
}

/** The one of that name, or the only one whose name begins so. Gives up where there is none or several. */
export async function findSandbox(run: RunDirectory, name: string): Promise<Sandbox> {
  const all = await listSandboxes(run);
  const exact = all.filter((sandbox) => sandbox.name === name);
  const matching = exact.length > 0 ? exact : all.filter((each) => each.name.startsWith(name));
  const [sandbox, ...others] = matching;
  const what = `find the sandbox ${name}`;
  if (sandbox === undefined) fail(what, "none of that name is running", runningNames(all));
  if (others.length > 0) fail(what, "several names begin so", runningNames(matching));
  return sandbox;
}

/** How a program finds the network namespace of a sandbox, and no other's that has the name by then. */
export function networkOf({ path }: RunDirectory, sandbox: Sandbox): JoinedNetwork {
  const { version, name, monitor, namespaces, init, started } = sandbox;
  const head = JSON.stringify({ version, name, monitor, namespaces, init, started }).slice(0, -1);
  return {
    kind: "sandbox",
    name,
    record: `${path}/sandboxes/${name}`,
    head,
    network: `/proc/${monitor}/fd/${namespaces.network}`,
  };
}

function runningNames(sandboxes: readonly Sandbox[]): string {
  return sandboxes.length === 0
    ? "Start one with sbx run --name"
    : `There ${sandboxes.length === 1 ? "is" : "are"} ${sandboxes.map(({ name }) => name).join(", ")}`;
}

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
  const fd = openRecord(path);
  if (fd === null) return null;
  try {
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) return null;
    const { ino: inode, mtimeMs: modifiedMs } = stats;
    return { path, inode, modifiedMs, said: parse(fs.readFileSync(fd, "utf8"), basename(path)) };
  } finally {
    fs.closeSync(fd);
  }
}

/** Null for links, sockets, and files of others, too: whoever put them there, they are no records. */
function openRecord(path: string): number | null {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    return fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (isSystemError(error) && /^(ENOENT|ELOOP|ENXIO|EACCES)$/.test(error.code)) return null;
    throw error;
  }
}

/** What is not yet whole has a dot before its name. */
const isWhole = ({ path }: Pick<Found, "path">) => !/\/\.[^/]*$/.test(path);

/** Nobody takes a minute from making the file to locking it. */
const isOld = ({ modifiedMs }: Found) => Date.now() - modifiedMs > 60_000;

/** Null where it is not what a program of ours has written under that name. */
function parse(text: string, file: string): Said | null {
  const said = readJson(text);
  const isSaid = said?.name === file && Number.isSafeInteger(said.version);
  return isSaid && Number.isSafeInteger(said.monitor) ? (said as Said) : null;
}

function readJson(text: string): Partial<Said> | null {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

function sandboxOf(said: Said): Sandbox {
  if (said.version === 1) return said as Sandbox;
  return fail(
    `read the record of the sandbox ${said.name}`,
    `it is of version ${said.version}`,
    "It was started by a later sbx: use that one",
  );
}

const lockOf = (pid: number, inode: number) => `${pid} ${inode}`;

/**
 * Who holds which lock of flock(2): proc_locks(5). The device is left out, as btrfs and overlayfs tell
 * another one to stat(2).
 */
function readLocks(): Set<string> {
  const lines = fs.readFileSync("/proc/locks", "utf8").split("\n");
  return new Set(
    lines.flatMap((line) => {
      const [, pid, inode] = /FLOCK +ADVISORY +WRITE (\d+) [^ ]+:(\d+) /.exec(line) ?? [];
      return pid === undefined ? [] : [lockOf(Number(pid), Number(inode))];
    }),
  );
}

/** Removes what nobody has locked, and gives the paths of what somebody has. */
async function sweep(found: readonly Found[]): Promise<Set<string>> {
  const locked = new Set<string>();
  if (found.length === 0) return locked;
  const { tryLock } = await import("./file-calls.js");
  for (const { path, said } of found) {
    const fd = openRecord(path);
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
