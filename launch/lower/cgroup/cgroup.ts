/**
 * The sandbox's control group. The monitor makes it, in a group that it has left itself if it was in it,
 * and removes it at the end; systemd removes the scope that it is in, if there is one, with all that is
 * in it. The init is born in it, or moved there before it is released.
 */
import type { LimitWrite } from "../../../spec/actions/cgroup.js";
import type { ActionOf } from "../../../spec/step.js";
import { at, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Slot, Value } from "../../machine/ir.js";
import {
  actionOf,
  type Context,
  failWithResult,
  octal,
  s,
  scratchSize,
  textSize,
} from "../context.js";
import { releaseInit } from "../handshake.js";
import { withStarter } from "../life/detach.js";
import { blame } from "../shared.js";
import { idOf } from "../text/id.js";
import { compose, type RecordFact, textLength } from "../text/text.js";
import { removeStaleGroups } from "./groups.js";

/** The group that the sandbox's is made in. */
const baseFd = slot("cgroupBaseFd");
const file = slot("fd");

/** The leaf that the monitor goes to. */
const monitorGroup = "sbx.monitor";
/** As systemd calls the group that it goes to itself, so that it takes the one above for its root. */
export const initGroup = "init.scope";

/** Before any step. */
export function cgroupState(c: Context): void {
  if (actionOf(c, "makeCgroup") === undefined) return;
  c.b.set(baseFd, -1);
  c.b.set(s.cgroupFd, -1);
}

export function openCgroup(c: Context, { path, mountPoint, leave }: ActionOf<"openCgroup">): void {
  const { b, memory } = c;
  if (path === null) findOwn(c, mountPoint);
  else compose(c, [b.text(path)], memory.cgroupPath);
  b.must("openat", [k("AT_FDCWD"), memory.cgroupPath, k("O_RDONLY", "O_CLOEXEC"), 0], baseFd);
  if (!leave) return;
  const made = b.fresh("cgroup");
  b.attempt("mkdirat", [baseFd, b.text(monitorGroup), octal(0o755)], s.result);
  b.branch(s.result, "eq", 0, made);
  b.branch(s.result, "eq", minus("EEXIST"), made);
  failWithResult(b);
  b.label(made);
  const leaf = `${monitorGroup}/cgroup.procs`;
  writeFile(c, baseFd, leaf, "0");
  if (path !== null) withStarter(c, () => writeOpen(c, baseFd, leaf, memory.text, textLength));
}

/** Where there is only version 2, /proc/self/cgroup is one line: `0::/path`. */
function findOwn(c: Context, mountPoint: string): void {
  const { b, memory } = c;
  const [length, end] = [slot("ownCgroupLength"), slot("ownCgroupEnd")];
  b.must(
    "openat",
    [k("AT_FDCWD"), b.text("/proc/self/cgroup"), k("O_RDONLY", "O_CLOEXEC"), 0],
    file,
  );
  b.must("read", [file, memory.name, textSize - 1], length);
  b.must("close", [file]);
  b.alu("add", end, memory.name, length);
  // Over the newline.
  b.store(1, end, -1, 0);
  compose(c, [b.text(mountPoint), at(memory.name, "0::".length)], memory.cgroupPath);
}

function writeFile(c: Context, directory: Slot, name: string, text: string): void {
  writeOpen(c, directory, name, c.b.text(text), Buffer.byteLength(text));
}

function writeOpen(
  { b }: Context,
  directory: Slot,
  name: string,
  text: Value,
  length: Value,
): void {
  b.must("openat", [directory, b.text(name), k("O_WRONLY", "O_CLOEXEC"), 0], file);
  b.must("write", [file, text, length]);
  b.must("close", [file]);
}

export function enableControllers(c: Context, controllers: readonly string[]): void {
  writeFile(c, baseFd, "cgroup.subtree_control", controllers.map((name) => `+${name}`).join(" "));
}

/**
 * The group is locked while the monitor lives, which tells it from what killed ones have left behind in
 * a directory; the directory is, so that no one finds it before. A scope is the sandbox's alone.
 */
export function makeCgroup(c: Context, { stem }: ActionOf<"makeCgroup">): void {
  const { b, memory } = c;
  const isShared = actionOf(c, "startScope") === undefined;
  if (isShared) {
    b.must("flock", [baseFd, k("LOCK_EX")]);
    removeStaleGroups(c, baseFd);
  }
  compose(c, [b.text(stem), idOf(c)], memory.name);
  b.must("mkdirat", [baseFd, memory.name, octal(0o755)]);
  b.must("openat", [baseFd, memory.name, k("O_RDONLY", "O_CLOEXEC"), 0], s.cgroupFd);
  if (!isShared) return;
  b.must("flock", [s.cgroupFd, k("LOCK_SH")]);
  b.must("flock", [baseFd, k("LOCK_UN")]);
}

export function limitCgroup(c: Context, { file: name, text, otherwise }: LimitWrite): void {
  const { b } = c;
  const [open, end] = [b.fresh("limit"), b.fresh("limit")];
  b.attempt("openat", [s.cgroupFd, b.text(name), k("O_WRONLY", "O_CLOEXEC"), 0], s.result);
  b.set(file, s.result);
  b.branch(file, "ge", 0, open);
  if (otherwise !== undefined) {
    const there = b.fresh("limit");
    b.branch(file, "ne", minus("ENOENT"), there);
    if (otherwise !== null) limitCgroup(c, otherwise);
    b.jump(end);
    b.label(there);
  }
  failWithResult(b);
  b.label(open);
  b.must("write", [file, b.text(text), Buffer.byteLength(text)]);
  b.must("close", [file]);
  b.label(end);
}

/** In the monitor's loop, when the init waits for it. */
export function limitLate(c: Context, { controllers, writes }: ActionOf<"awaitLimits">): void {
  const { b } = c;
  const [failed, end] = [b.fresh("limit"), b.fresh("limit")];
  b.failTo(failed);
  enableControllers(c, controllers);
  for (const write of writes) limitCgroup(c, write);
  releaseInit(c);
  b.jump(end);
  b.label(failed);
  blame(c, "awaitLimits", s.errno);
  b.label(end);
  b.failTo("monitor.fail");
}

/** In the monitor, after the clone, where the init was not born in the group. */
export function joinCgroup(c: Context): void {
  compose(c, [{ decimal: s.initPid }]);
  writeOpen(c, s.cgroupFd, "cgroup.procs", c.memory.text, textLength);
}

/** In the init: it holds no group of the host's longer than it has to. */
export function leaveCgroup(c: Context): void {
  if (actionOf(c, "makeCgroup") === undefined) return;
  c.b.must("close", [baseFd]);
  if (actionOf(c, "delegateCgroup") === undefined) c.b.must("close", [s.cgroupFd]);
}

/** In the init, as the sandbox's root. What is delegated: cgroups(7), "Delegating a hierarchy to a less privileged user". */
export function delegateCgroup(c: Context, { owner }: ActionOf<"delegateCgroup">): void {
  const { b } = c;
  if (owner !== null) {
    for (const name of ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"]) {
      const path = [s.cgroupFd, b.text(name)];
      b.must("fchownat", [...path, owner.uid, owner.gid, k("AT_EMPTY_PATH")]);
    }
  }
  b.must("mkdirat", [s.cgroupFd, b.text(initGroup), octal(0o755)]);
  writeFile(c, s.cgroupFd, `${initGroup}/cgroup.procs`, "0");
  b.must("close", [s.cgroupFd]);
}

/** The group's directory, for the record. Of the path that is read at run time, systemd escapes nothing. */
export function cgroupFact(c: Context): RecordFact | null {
  const { b, memory } = c;
  const [made, opened] = [actionOf(c, "makeCgroup"), actionOf(c, "openCgroup")];
  if (made === undefined || opened === undefined) return null;
  const [path, id] = [slot("cgroupPath"), slot("sandboxId")];
  b.set(path, memory.cgroupPath);
  b.set(id, idOf(c));
  const parent = opened.path === null ? { string: path } : JSON.stringify(opened.path).slice(1, -1);
  return ["cgroup", '"', parent, `/${made.stem}`, { string: id }, '"'];
}

/**
 * In the monitor, when the init has ended. With a pid namespace all that was inside has ended with
 * it; else the rest is killed, which takes Linux 5.14. What is still there then is left to systemd,
 * or to the next command that sweeps.
 */
export function endCgroup(c: Context): void {
  const made = actionOf(c, "makeCgroup");
  if (made === undefined) return;
  const { b, memory } = c;
  const none = b.fresh("cgroup");
  b.branch(s.cgroupFd, "lt", 0, none);
  if (actionOf(c, "clone")?.namespaces.includes("CLONE_NEWPID") !== true) killRest(c);
  compose(c, [b.text(made.stem), idOf(c)], memory.name);
  const because = "systemd removes it with the scope, or the next command does";
  b.ignore(because, "unlinkat", [baseFd, memory.name, k("AT_REMOVEDIR")]);
  b.label(none);
}

/** cgroup.events is read and polled (POLLPRI) until nobody is in the group, for some seconds at most. */
function killRest(c: Context): void {
  const { b, memory } = c;
  const [again, end] = [b.fresh("kill"), b.fresh("kill")];
  const rounds = slot("killRounds");
  b.failTo(end);
  writeFile(c, s.cgroupFd, "cgroup.kill", "1");
  b.must("openat", [s.cgroupFd, b.text("cgroup.events"), k("O_RDONLY", "O_CLOEXEC"), 0], file);
  b.set(rounds, 20);
  b.label(again);
  b.must("lseek", [file, 0, k("SEEK_SET")]);
  // It begins with "populated 0" or "populated 1".
  b.must("read", [file, memory.scratch, scratchSize]);
  b.load(1, s.result, memory.scratch, "populated ".length);
  b.branch(s.result, "eq", "0".charCodeAt(0), end);
  b.store(4, memory.scratch, 0, file);
  b.store(4, memory.scratch, 4, k("POLLPRI"));
  b.store(8, memory.scratch, 16, 0);
  b.store(8, memory.scratch, 24, 100_000_000);
  b.must("ppoll", [memory.scratch, 1, at(memory.scratch, 16), 0, 8]);
  b.alu("sub", rounds, rounds, 1);
  b.branch(rounds, "gt", 0, again);
  b.label(end);
  b.failTo("monitor.fail");
}
