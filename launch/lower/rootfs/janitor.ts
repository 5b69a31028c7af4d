/**
 * The process that removes what the caller may not, since it belongs to other ids: the janitor. It lives in the
 * sandbox's user namespace, where the files' owners have ids, but not in its pid namespace, and it waits for the init's
 * end; so it also cleans up after a monitor that was killed. Nothing inside is alive by then, so that nobody moves
 * directories about under it.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import { slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { removeGroups } from "../cgroup/groups.js";
import { actionOf, type Context, s, stepOf } from "../context.js";
import { leaveCaller } from "../fds.js";
import { leaveGuard } from "../guard.js";
import { leaveUplink } from "../netns/connect.js";
import { closePorts } from "../netns/ports.js";
import { compose } from "../text/text.js";
import { treeTop } from "./tree.js";
import { makeOpen, makeStore, sweep } from "./upper-store.js";

/** A throw-away upper, or groups that were made inside, by whoever has an id there. */
const isNeeded = (c: Context) => c.janitor || removesGroups(c);
const removesGroups = (c: Context) => actionOf(c, "delegateCgroup") !== undefined;
const janitorPid = slot("janitorPid");

/** Before any step: there is none yet. */
export function janitorState(c: Context): void {
  if (!isNeeded(c)) return;
  c.b.set(janitorPid, 0);
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
