/**
 * Throw-away uppers on disk, for kernels whose tmpfs cannot hold them, and the process that removes
 * them: the janitor. It lives in the sandbox's user namespace, where the files' owners have ids, but
 * not in its pid namespace, and it waits for the init's end; so it also cleans up after a monitor
 * that was killed. Nothing inside is alive by then, so that nobody moves directories about under it.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k, minus, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { removeGroups } from "../cgroup/groups.js";
import { actionOf, type Context, octal, s, scratchSize, stepOf } from "../context.js";
import { leaveCaller } from "../fds.js";
import { leaveGuard } from "../guard.js";
import { leaveUplink } from "../netns/connect.js";
import { closePorts } from "../netns/ports.js";
import { compose } from "../text/text.js";
import { takeEntry } from "./dirents.js";

/** A throw-away upper, or groups that were made inside, by whoever has an id there. */
const isNeeded = (c: Context) => c.janitor || removesGroups(c);
const removesGroups = (c: Context) => actionOf(c, "delegateCgroup") !== undefined;

const storeFd = slot("storeFd");
const janitorPid = slot("janitorPid");
const directory = slot("directory");
/** The directory of all stores, and one of those that was left behind, while they are locked. */
const parent = slot("storesFd");
const locked = slot("staleFd");
/** The path of what the subroutine `tree.remove` removes. */
export const treeTop = slot("topPath");
const entries = slot("entries");
const place = slot("place");
const name = slot("entryName");
const removed = slot("removed");
const child = slot("childDirectory");

/** Before any step: there is none yet. */
export function janitorState(c: Context): void {
  if (!isNeeded(c)) return;
  c.b.set(janitorPid, 0);
}

/** In the monitor, before the clone: `parent/PID-NANOSECONDS`, a name that no other sandbox has. */
export function nameUpperStore(c: Context, parent: string): void {
  const { b, memory } = c;
  const nanoseconds = slot("nanoseconds");
  const own = slot("ownPid");
  b.must("getpid", [], own);
  b.must("clock_gettime", [k("CLOCK_REALTIME"), memory.scratch]);
  b.load(8, nanoseconds, memory.scratch, 8);
  compose(
    c,
    [b.text(`${parent}/`), { decimal: own }, b.text("-"), { decimal: nanoseconds }],
    c.memory.storePath,
  );
}

/**
 * In the init, before any step: as the caller still, who alone may go there, and before mounts cover
 * the path. An fd of the monitor's would be of its mount namespace, from which nothing can be bound.
 */
export function openUpperStore(c: Context): void {
  if (!c.janitor) return;
  c.b.set(s.step, stepOf(c, "bindUpperStore"));
  c.b.must("openat", [k("AT_FDCWD"), c.memory.storePath, k("O_RDONLY", "O_CLOEXEC"), 0], storeFd);
}

/** In the init: the step itself. */
export function bindUpperStore({ b }: Context, target: string): void {
  const rootfs = slot("rootfsFd");
  b.must("openat", [k("AT_FDCWD"), b.text("."), k("O_RDONLY", "O_CLOEXEC"), 0], rootfs);
  b.must("fchdir", [storeFd]);
  b.must("mount", [b.text("."), b.text(target), 0, k("MS_BIND"), 0]);
  b.must("fchdir", [rootfs]);
  b.must("close", [rootfs]);
}

/**
 * In the monitor, once ids are mapped and before the init is released. The directory is made last,
 * when there is someone to remove it whenever the monitor is killed.
 */
export function startJanitor(c: Context): void {
  if (!isNeeded(c)) return;
  const { b, memory } = c;
  const monitor = b.fresh("janitor");
  const namespace = slot("namespaceFd");
  const init = slot("initPidfd");
  const readyRead = slot("readyRead");
  const readyWrite = slot("readyWrite");
  b.set(s.step, stepOf(c, c.janitor ? "makeUpperStore" : "delegateCgroup"));
  b.must("pidfd_open", [s.initPid, 0], init);
  compose(c, [b.text("/proc/"), { decimal: s.initPid }, b.text("/ns/user")]);
  b.must("openat", [k("AT_FDCWD"), memory.text, k("O_RDONLY", "O_CLOEXEC"), 0], namespace);
  b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, readyRead, memory.pair);
  b.load(4, readyWrite, memory.pair, 4);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], janitorPid);
  b.branch(janitorPid, "ne", 0, monitor);

  b.comment("the janitor");
  b.failTo("janitor.fail");
  b.must("setns", [namespace, k("CLONE_NEWUSER")]);
  leaveCaller(c);
  leaveGuard(c);
  leaveUplink(c);
  closePorts(c);
  for (const fd of [s.releaseWrite, s.controlOutside, s.signalFd]) b.must("close", [fd]);
  b.failTo("janitor.end");
  b.must("write", [readyWrite, b.text("!"), 1]);
  if (c.janitor) sweep(c);
  b.failTo("janitor.end");
  b.store(4, memory.scratch, 0, init);
  b.store(4, memory.scratch, 4, k("POLLIN"));
  b.must("ppoll", [memory.scratch, 1, 0, 0, 8]);
  if (removesGroups(c)) removeGroups(c);
  if (c.janitor) {
    b.set(treeTop, memory.storePath);
    b.call("tree.remove");
  }
  b.label("janitor.end");
  b.exit(0);
  b.label("janitor.fail");
  b.store(8, memory.scratch, 0, s.errno);
  b.ignore("then the monitor is dead", "write", [readyWrite, memory.scratch, 8]);
  b.exit(0);

  b.label(monitor);
  b.failTo("monitor.fail");
  b.must("close", [namespace]);
  b.must("close", [init]);
  awaitReady(c, readyRead, readyWrite);
  if (!c.janitor) return;
  makeStore(c);
  makeOpen(c);
}

/**
 * While the janitor has the release pipe open as well, the init would not see that the monitor was
 * killed. One byte says that it is ready, an errno that it failed.
 */
function awaitReady({ b, memory }: Context, readyRead: Slot, readyWrite: Slot): void {
  const ready = b.fresh("janitor");
  b.must("close", [readyWrite]);
  b.store(8, memory.scratch, 0, Number(errnoNumbers.ESRCH));
  b.must("read", [readyRead, memory.scratch, 8], s.result);
  b.must("close", [readyRead]);
  b.branch(s.result, "eq", 1, ready);
  b.load(8, s.errno, memory.scratch);
  b.fail();
  b.label(ready);
}

/**
 * The directory is locked as long as the monitor lives, which tells it from what killed ones have left
 * behind. The parent is locked meanwhile, so that no one finds it before.
 */
function makeStore(c: Context): void {
  const { b, memory } = c;
  b.must("openat", [k("AT_FDCWD"), b.text(store(c).parent), k("O_RDONLY", "O_CLOEXEC"), 0], parent);
  b.must("flock", [parent, k("LOCK_EX")]);
  b.must("mkdirat", [k("AT_FDCWD"), memory.storePath, constant("0700", 0o700)]);
  b.must("openat", [k("AT_FDCWD"), memory.storePath, k("O_RDONLY", "O_CLOEXEC"), 0], directory);
  b.must("flock", [directory, k("LOCK_EX", "LOCK_NB")]);
  b.must("close", [parent]);
}

function store(c: Context): ActionOf<"makeUpperStore"> {
  const action = actionOf(c, "makeUpperStore");
  if (action === undefined) throw new Error("there is no upper store");
  return action;
}

/**
 * In the janitor: removes what sandboxes whose janitor was killed as well have left behind. One that
 * cannot be removed ends it, as under another id map: who can will come.
 */
function sweep(c: Context): void {
  const { b, memory } = c;
  b.failTo("sweep.end");
  b.label("sweep.next");
  b.must("openat", [k("AT_FDCWD"), b.text(store(c).parent), k("O_RDONLY", "O_CLOEXEC"), 0], parent);
  b.must("flock", [parent, k("LOCK_EX")]);
  b.label("sweep.read");
  b.must("getdents64", [parent, memory.entries, scratchSize], entries);
  b.branch(entries, "eq", 0, "sweep.swept");
  b.set(place, memory.entries);
  b.alu("add", entries, entries, memory.entries);
  b.label("sweep.entry");
  b.branch(place, "ge", entries, "sweep.read");
  takeEntry(c, place, name, "sweep.entry");
  b.must("openat", [parent, name, k("O_RDONLY", "O_CLOEXEC"), 0], locked);
  b.attempt("flock", [locked, k("LOCK_EX", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", 0, "sweep.stale");
  b.must("close", [locked]);
  b.jump("sweep.entry");
  b.label("sweep.stale");
  compose(c, [b.text(`${store(c).parent}/`), { string: name }]);
  b.must("close", [parent]);
  b.set(treeTop, memory.text);
  b.call("tree.remove");
  b.must("close", [locked]);
  b.attempt("unlinkat", [k("AT_FDCWD"), memory.text, k("AT_REMOVEDIR")], s.result);
  b.branch(s.result, "eq", minus("ENOENT"), "sweep.next");
  b.jump("sweep.end");
  b.label("sweep.swept");
  b.must("close", [parent]);
  b.label("sweep.end");
}

/** Where root inside is not the caller: the parent, which is the caller's alone, still keeps all others out. */
function makeOpen(c: Context): void {
  const { mode } = store(c);
  if (mode === 0o700) return;
  c.b.must("fchmodat", [k("AT_FDCWD"), c.memory.storePath, octal(mode)]);
}

/** In the monitor, at the end: nothing is left when sbx returns. */
export function awaitJanitor(c: Context): void {
  if (!isNeeded(c)) return;
  const { b, memory } = c;
  const end = b.fresh("await");
  b.branch(janitorPid, "eq", 0, end);
  b.ignore("it is our child", "wait4", [janitorPid, memory.status, 0, 0]);
  if (c.janitor) {
    b.ignore("it is gone unless the init died before it was made", "unlinkat", [
      k("AT_FDCWD"),
      c.memory.storePath,
      k("AT_REMOVEDIR"),
    ]);
  }
  b.label(end);
}

/**
 * A subroutine: removes the directory whose path is at `treeTop` with all that is in it, without recursion: entries are removed where they
 * can be, else entered; an empty directory is left through "..", and removed when its parent is read
 * again. The top is known by device and inode, so that the walk never goes above it.
 */
export function treeSubroutine(c: Context): void {
  if (!c.removesTrees) return;
  const { b, memory } = c;
  const topDevice = slot("topDevice");
  const topInode = slot("topInode");
  const device = slot("device");
  const inode = slot("inode");
  // struct stat begins with st_dev and st_ino on both architectures.
  const identify = (fd: typeof directory, toDevice: typeof device, toInode: typeof inode) => {
    b.must("fstat", [fd, memory.scratch]);
    b.load(8, toDevice, memory.scratch);
    b.load(8, toInode, memory.scratch, 8);
  };
  b.label("tree.remove");
  b.failTo("remove.end");
  b.must("openat", [k("AT_FDCWD"), treeTop, k("O_RDONLY", "O_CLOEXEC"), 0], directory);
  identify(directory, topDevice, topInode);
  b.label("remove.scan");
  b.set(removed, 0);
  b.must("lseek", [directory, 0, k("SEEK_SET")]);
  b.label("remove.read");
  b.must("getdents64", [directory, memory.entries, scratchSize], entries);
  b.branch(entries, "eq", 0, "remove.scanned");
  b.set(place, memory.entries);
  b.alu("add", entries, entries, memory.entries);
  b.label("remove.entry");
  b.branch(place, "ge", entries, "remove.read");
  takeEntry(c, place, name, "remove.entry");
  b.set(removed, 1);
  b.attempt("unlinkat", [directory, name, 0], s.result);
  b.branch(s.result, "eq", 0, "remove.entry");
  b.attempt("unlinkat", [directory, name, k("AT_REMOVEDIR")], s.result);
  b.branch(s.result, "eq", 0, "remove.entry");
  b.branch(s.result, "ne", minus("ENOTEMPTY"), "remove.end");
  b.must("openat", [directory, name, k("O_RDONLY", "O_CLOEXEC"), 0], child);
  b.jump("remove.enter");

  b.label("remove.scanned");
  b.branch(removed, "ne", 0, "remove.scan");
  identify(directory, device, inode);
  b.branch(device, "ne", topDevice, "remove.up");
  b.branch(inode, "eq", topInode, "remove.top");
  b.label("remove.up");
  b.must("openat", [directory, b.text(".."), k("O_RDONLY", "O_CLOEXEC"), 0], child);
  b.label("remove.enter");
  b.must("close", [directory]);
  b.set(directory, child);
  b.jump("remove.scan");
  b.label("remove.top");
  b.must("unlinkat", [k("AT_FDCWD"), treeTop, k("AT_REMOVEDIR")]);
  b.label("remove.end");
  b.return();
}
