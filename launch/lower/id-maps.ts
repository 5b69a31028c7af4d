/** The id maps of a user namespace, written or had written: user_namespaces(7), newuidmap(1). */
import type { Mapping } from "../../spec/spec.js";
import type { ActionOf } from "../../spec/step.js";
import { slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import type { Address, Slot } from "../machine/ir.js";
import { type Context, s } from "./context.js";
import { isAnybodys } from "./handshake.js";
import { pseudoErrno } from "./pseudo-errno.js";
import { requireProc, writeProc } from "./rootfs/filesystem.js";
import { unblockSignals } from "./signals.js";
import { compose, textLength } from "./text/text.js";

const pid = slot("helperPid");
const otherPid = slot("otherHelperPid");
const mapFd = slot("mapFd");
const [ownUid, ownGid] = [slot("ownUid"), slot("ownGid")];

type MapIds = ActionOf<"mapIds">;

/**
 * In the stepper, who has all rights over the ids of the namespace that it is in. Where its maps are
 * not known, there is only the one id of the caller's, whatever that is there.
 */
export function mapNested(c: Context, action: MapIds): void {
  const { nested, denySetgroups } = action;
  if (nested === undefined) throw new Error("the stepper has no maps");
  if (denySetgroups) writeOf(c, s.initPid, "/setgroups", "deny");
  readOwnIds(c);
  for (const [file, id, lines, [own]] of [
    ["/uid_map", ownUid, nested.uids, action.uidMappings],
    ["/gid_map", ownGid, nested.gids, action.gidMappings],
  ] as const) {
    if (lines !== null) writeOf(c, s.initPid, file, mapText(lines));
    else writeOwn(c, s.initPid, file, id, own);
  }
}

export function readOwnIds({ b }: Context): void {
  b.ignore("it always succeeds", "geteuid", [], ownUid);
  b.ignore("it always succeeds", "getegid", [], ownGid);
}

/** One id inside, for the one that the program runs as. */
function writeOwn(
  c: Context,
  process: Slot | "self",
  file: string,
  id: Slot,
  own: Mapping | undefined,
): void {
  const { b, memory } = c;
  b.must("openat", [k("AT_FDCWD"), fileOf(c, process, file), k("O_WRONLY", "O_CLOEXEC"), 0], mapFd);
  requireProc(c, mapFd);
  compose(c, [b.text(`${own?.containerID ?? 0} `), { decimal: id }, b.text(" 1\n")]);
  b.must("write", [mapFd, memory.text, textLength]);
  b.must("close", [mapFd]);
}

/** newuidmap and newgidmap run at the same time: they take most of a launch's time. */
export function mapIds(c: Context, action: MapIds, process: Slot | "self"): void {
  const { b } = c;
  const { uidMappings, gidMappings, helpers } = action;
  if (helpers === null) {
    if (action.denySetgroups) writeOf(c, process, "/setgroups", "deny");
    if (isAnybodys(c)) {
      writeOwn(c, process, "/uid_map", ownUid, uidMappings[0]);
      writeOwn(c, process, "/gid_map", ownGid, gidMappings[0]);
      return;
    }
    writeOf(c, process, "/uid_map", mapText(uidMappings));
    writeOf(c, process, "/gid_map", mapText(gidMappings));
    return;
  }
  if (process === "self") throw new Error("who is to be mapped has no rights over other ids");
  spawnHelper(c, process, helpers.newuidmap, uidMappings);
  b.set(otherPid, pid);
  spawnHelper(c, process, helpers.newgidmap, gidMappings);
  awaitHelper(c);
  b.set(pid, otherPid);
  awaitHelper(c);
}

function mapText(mappings: readonly Mapping[]): string {
  return mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join("");
}

function writeOf(c: Context, process: Slot | "self", file: string, text: string): void {
  writeProc(c, fileOf(c, process, file), text);
}

/** The path of a file of the process's. */
function fileOf(c: Context, process: Slot | "self", file: string): Address {
  const { b, memory } = c;
  if (process === "self") return b.text(`/proc/self${file}`);
  compose(c, [b.text("/proc/"), { decimal: process }, b.text(file)]);
  return memory.text;
}

function spawnHelper(c: Context, process: Slot, path: string, mappings: readonly Mapping[]): void {
  const { b, memory } = c;
  const parent = b.fresh("helper");
  compose(c, [{ decimal: process }]);
  const words: (Address | number)[] = [
    b.text(path),
    memory.text,
    ...mappings.flatMap((m) => [m.containerID, m.hostID, m.size].map((id) => b.text(`${id}`))),
    0,
  ];
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], pid);
  b.branch(pid, "ne", 0, parent);
  unblockSignals(c);
  b.ignore("the exit status tells", "execve", [
    b.text(path),
    b.words(b.fresh("helperArguments"), words, false),
    b.words(b.fresh("helperEnvironment"), [0], false),
  ]);
  b.exit(127);
  b.label(parent);
}

function awaitHelper(c: Context): void {
  const { b, memory } = c;
  const succeeded = b.fresh("helped");
  const status = slot("helperStatus");
  b.must("wait4", [pid, memory.status, 0, 0]);
  b.load(4, status, memory.status);
  b.branch(status, "eq", 0, succeeded);
  b.set(s.errno, pseudoErrno.helperFailed);
  b.fail();
  b.label(succeeded);
}
