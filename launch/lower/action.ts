/**
 * One step as ops. A failure goes to the label that the role's `failTo` set, with the step's number
 * and the errno in slots.
 */
import { networkRules } from "../../netns/filter.js";
import { assertNever } from "../../spec/assert-never.js";
import { capabilityMask } from "../../spec/capabilities.js";
import { describe } from "../../spec/describe.js";
import { rlimitNames } from "../../spec/spec.js";
import type { Action, ActionOf, Role } from "../../spec/step.js";
import { constant, slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import {
  delegateCgroup,
  enableControllers,
  joinCgroup,
  limitCgroup,
  makeCgroup,
  openCgroup,
} from "./cgroup/cgroup.js";
import { startScope } from "./cgroup/dbus.js";
import { type Context, octal, regularFile, s, tell, words32, words64 } from "./context.js";
import { tidyFds } from "./fds.js";
import { awaitMonitor, cloneInit, endWithMonitor, mapIds, mapNested } from "./handshake.js";
import { openJoined } from "./joined.js";
import { connectSandbox, startSandbox } from "./life/client-connect.js";
import { detach, writePidFile } from "./life/detach.js";
import {
  enterSandbox,
  leaveCaller,
  moveToMemory,
  openSandbox,
  outliveMonitor,
} from "./life/enter.js";
import { sendNamespaces } from "./namespaces.js";
import { connect } from "./netns/connect.js";
import { answerNames, holdNetworks, openHolder, startSharedUplink } from "./netns/holder.js";
import { openNetlink, tellKernel } from "./netns/netlink.js";
import { enterHolder, joinNetwork, leaveNetwork, removeBridge } from "./netns/network.js";
import { nameOwnAddress } from "./netns/own-address.js";
import { reservePorts } from "./netns/ports.js";
import {
  awaitInit,
  enterNetwork,
  makeNetwork,
  raiseLoopback,
  startPayload,
} from "./payload/early.js";
import { execute } from "./payload/execute.js";
import { dropBounding, joinKeyring, setCapabilities } from "./payload/privileges.js";
import { loadFilter } from "./payload/seccomp.js";
import { openTerminal } from "./payload/terminal.js";
import { attach, bindSource, lockVolume, openAnchors, openSource } from "./rootfs/attach.js";
import { chownTree } from "./rootfs/chown.js";
import { copyMounts, moveMount } from "./rootfs/copies.js";
import {
  make,
  makeDirectories,
  makeFile,
  pivotRoot,
  remount,
  writeProc,
} from "./rootfs/filesystem.js";
import { bindUpperStore, nameUpperStore } from "./rootfs/janitor.js";
import { closeLayers, openLayer, openUpper, overlay } from "./rootfs/layers.js";
import { mask, readonlyPath } from "./rootfs/masks.js";
import { awaitEnd, openRoot } from "./rootfs/open-root.js";
import { watchOwners } from "./rootfs/owners.js";
import { readFiles } from "./rootfs/read-files.js";
import { enterWorkdir } from "./rootfs/resolve.js";
import { mountServed, serveOverlay } from "./rootfs/server.js";
import { enterJoined, startStepper, stepInit } from "./stepper.js";

const fd = slot("fd");

/** The steps of a role, in plan order, each after a comment with its number. */
export function lowerSteps(
  c: Context,
  role: Role,
  isWanted = (_number: number): boolean => true,
): void {
  for (const [number, step] of c.plan.steps.entries()) {
    const { action } = step;
    if (step.role !== role || isDoneElsewhere(action) || !isWanted(number)) continue;
    c.b.comment(`${role}, step ${number}: ${describe(action)}`);
    c.b.set(s.step, number);
    lowerAction(c, action, role);
  }
}

type DoneElsewhere = ActionOf<"handListener" | "keepRecord">;

/**
 * The monitor hands a listener on whenever it comes (launch/lower/payload/listener.ts), and keeps the record
 * after what has no step of its own (launch/lower/lower.ts).
 */
function isDoneElsewhere(action: Action): action is DoneElsewhere {
  return action.kind === "handListener" || action.kind === "keepRecord";
}

function lowerAction(c: Context, action: Exclude<Action, DoneElsewhere>, role: Role) {
  const { b } = c;
  switch (action.kind) {
    case "detach":
      return detach(c, action);
    case "connectSandbox":
      return connectSandbox(c, action);
    case "startSandbox":
      return startSandbox(c, action);
    case "writePidFile":
      return writePidFile(c, action.path);
    case "askRecord":
      return tell(c, "record", 0);
    case "awaitRecord":
    case "awaitUplink":
      return awaitMonitor(c);

    case "moveToMemory":
      return moveToMemory(c);
    case "openSandbox":
      return openSandbox(c, action);
    case "enterSandbox":
      return enterSandbox(c, action);
    case "openRoot":
      return openRoot(c, action);
    case "readFiles":
      return readFiles(c, action.paths);
    case "awaitEnd":
      return awaitEnd(c);
    case "leaveCaller":
      return leaveCaller(c);
    case "outliveMonitor":
      return outliveMonitor(c);
    case "openJoined":
      return openJoined(c, action);
    case "startStepper":
      return startStepper(c);
    case "enterJoined":
      return enterJoined(c);
    case "copyMounts":
      return copyMounts(c, action);
    case "moveMount":
      return moveMount(c, action);

    case "clone":
      return role === "stepper" ? stepInit(c, action) : cloneInit(c, action);
    case "mapIds":
      if (role === "stepper") return mapNested(c, action);
      return mapIds(c, action, role === "init" ? "self" : s.initPid);
    case "unshareTime":
      return unshareTime(c, action);
    case "sendNamespaces":
      return sendNamespaces(c, action.types);
    case "sethostname":
    case "setdomainname":
      return b.must(action.kind, [b.text(action.name), Buffer.byteLength(action.name)]);

    case "startScope":
      return startScope(c, action);
    case "openCgroup":
      return openCgroup(c, action);
    case "enableControllers":
      return enableControllers(c, action.controllers);
    case "makeCgroup":
      return makeCgroup(c, action);
    case "limitCgroup":
      return limitCgroup(c, action);
    case "awaitLimits":
      tell(c, "limits", 0);
      return awaitMonitor(c);
    case "joinCgroup":
      return joinCgroup(c);
    case "unshareCgroup":
      return b.must("unshare", [k("CLONE_NEWCGROUP")]);
    case "delegateCgroup":
      return delegateCgroup(c, action);

    case "makeUpperStore":
      return nameUpperStore(c, action.parent);
    case "bindUpperStore":
      return bindUpperStore(c, action.target);
    case "openUpper":
      return openUpper(c, action);
    case "openLayer":
      return openLayer(c, action.path, action.fd);
    case "closeLayers":
      return closeLayers(c, action);
    case "overlay":
      return overlay(c, action);
    case "serveOverlay":
      return serveOverlay(c, action);
    case "mountServed":
      return mountServed(c, action.target);

    case "lockVolume":
      return lockVolume(c, action);
    case "mount":
      c.known.add(action.target);
      return b.must("mount", [
        b.text(action.source),
        b.text(action.target),
        action.type === null ? 0 : b.text(action.type),
        k(...action.flags),
        action.data === "" ? 0 : b.text(action.data),
      ]);
    case "addMountFlags": {
      // struct mount_attr: attr_set, attr_clr, propagation, userns_fd. MOUNT_ATTR_RDONLY, _NOSUID,
      // _NODEV and _NOEXEC have the numbers of their MS_ namesakes.
      const attributes = b.bytes(
        "mountAttributes",
        words64([k(...action.flags).value, 0n, 0n, 0n]),
      );
      const flags = action.recursive ? k("AT_RECURSIVE") : k();
      return b.must("mount_setattr", [k("AT_FDCWD"), b.text(action.target), flags, attributes, 32]);
    }
    case "remount":
      return remount(c, b.text(action.target), action.flags);
    case "openAnchors":
      return openAnchors(c, action);
    case "openSource":
      return openSource(c, action);
    case "bindSource":
      return bindSource(c, action);
    case "chownTree":
      return chownTree(c, action);
    case "attach":
      return attach(c, action);
    case "mask":
      return mask(c, action);
    case "readonlyPath":
      return readonlyPath(c, action);
    case "pivotRoot":
      return pivotRoot(c, action.newRoot);

    case "mkdir":
      return makeDirectories(c, action.path, action.mode, action.isNew);
    case "touch":
      return make(c, "mknodat", action.path, regularFile(action.mode), action.isNew);
    case "makeFile":
      return makeFile(c, action);
    case "symlink":
      return b.must("symlinkat", [b.text(action.target), k("AT_FDCWD"), b.text(action.path)]);
    case "nameOwnAddress":
      return nameOwnAddress(c, action);
    case "writeProc":
      return writeProc(c, b.text(action.staged ?? action.path), action.text, action.isOptional);
    case "chdir":
      return b.must("chdir", [b.text(action.path)]);
    case "enterWorkdir":
      return enterWorkdir(c, action.path);

    case "openHolder":
      return openHolder(c, action);
    case "holdNetworks":
      return holdNetworks(c);
    case "enterHolder":
      return enterHolder(c);
    case "joinNetwork":
      return joinNetwork(c, action);
    case "leaveNetwork":
      return leaveNetwork(c, action.interface);
    case "removeBridge":
      return removeBridge(c, action.bridge);
    case "loadRules":
      openNetlink(c, "netfilter", fd);
      tellKernel(c, fd, networkRules());
      return b.must("close", [fd]);
    case "startSharedUplink":
      return startSharedUplink(c, action);
    case "answerNames":
      return answerNames(c, action);

    case "makeNetwork":
      return makeNetwork(c);
    case "enterNetwork":
      return enterNetwork(c);
    case "loopbackUp":
      return loopbackUp(c);
    case "reservePorts":
      return reservePorts(c, action);
    case "startUplink":
      return connect(c, action);

    case "setIds":
      b.must("setresgid", [action.gid, action.gid, action.gid]);
      return b.must("setresuid", [action.uid, action.uid, action.uid]);
    case "setgroups":
      return b.must("setgroups", [
        action.gids.length,
        action.gids.length === 0 ? 0 : b.bytes("groups", words32(action.gids)),
      ]);
    case "dieWithMonitor":
      return endWithMonitor(c, "SIGKILL");
    case "nonDumpable":
      return b.must("prctl", [k("PR_SET_DUMPABLE"), 0, 0, 0, 0]);
    case "joinKeyring":
      return joinKeyring(c, action.mayStay);
    case "dropBounding":
      return dropBounding(c, capabilityMask(action.keep));
    case "keepCapabilities":
      return b.must("prctl", [k("PR_SET_KEEPCAPS"), 1, 0, 0, 0]);
    case "setCapabilities":
      return setCapabilities(c, action.sets);
    case "noNewPrivileges":
      return b.must("prctl", [k("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]);
    case "watchOwners":
      return watchOwners(c, action);
    case "seccomp":
      return loadFilter(c, action);

    case "tidyFds":
      return tidyFds(c, action);
    case "openTerminal":
      return openTerminal(c, action);
    case "setrlimit":
      return b.must("prlimit64", [
        0,
        constant(action.type, rlimitNames.indexOf(action.type)),
        b.bytes("limit", words64([action.soft, action.hard])),
        0,
      ]);
    case "umask":
      return b.set(s.payloadUmask, octal(action.mask));
    case "startPayload":
      return startPayload(c);
    case "awaitInit":
      return awaitInit(c);
    case "execve":
      return execute(c);

    default:
      return assertNever(action);
  }
}

function unshareTime(c: Context, { monotonic, boottime }: ActionOf<"unshareTime">): void {
  c.b.must("unshare", [k("CLONE_NEWTIME")]);
  writeProc(
    c,
    // Of the host's proc, the sandbox having none yet.
    c.b.text("/proc/self/timens_offsets"),
    `monotonic ${monotonic.secs} ${monotonic.nanosecs}\nboottime ${boottime.secs} ${boottime.nanosecs}\n`,
  );
}

function loopbackUp(c: Context): void {
  openNetlink(c, "route", fd);
  raiseLoopback(c, fd);
  c.b.must("close", [fd]);
}
