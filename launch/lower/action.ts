/**
 * One step as ops. A failure goes to the label that the role's `failTo` set, with the step's number
 * and the errno in slots.
 */
import { capabilityMask, capabilityNames } from "../../spec/capabilities.js";
import { describe } from "../../spec/describe.js";
import { rlimitNames } from "../../spec/spec.js";
import {
  type Action,
  assertNever,
  type CapabilitySets,
  type MountFlag,
  type Role,
} from "../../spec/step.js";
import { constant, slot } from "../builder.js";
import { k, minus, signo } from "../constants.js";
import type { Value } from "../ir.js";
import { type Context, s } from "./context.js";
import { execute } from "./execute.js";
import { cloneInit, mapIds } from "./handshake.js";
import { bindUpperStore, makeUpperStore } from "./janitor.js";
import { openTerminal } from "./terminal.js";

const fd = slot("fd");
const index = slot("index");
const bits = slot("bits");

/** The steps of a role, in plan order, each after a comment with its number. */
export function lowerSteps(c: Context, role: Role): void {
  for (const [number, step] of c.plan.steps.entries()) {
    if (step.role !== role) continue;
    c.b.comment(`${role}, step ${number}: ${describe(step.action)}`);
    c.b.set(s.step, number);
    lowerAction(c, step.action);
  }
}

const octal = (mode: number) => constant(`0${mode.toString(8)}`, mode);

function lowerAction(c: Context, action: Action) {
  const { b } = c;
  switch (action.kind) {
    case "tidyFds":
      return tidyFds(c, action);
    case "chdir":
      return b.must("chdir", [b.text(action.path)]);
    case "makeUpperStore":
      return makeUpperStore(c, action.parent);
    case "bindUpperStore":
      return bindUpperStore(c, action.target);
    case "clone":
      return cloneInit(c, action.namespaces);
    case "mapIds":
      return mapIds(c, action);
    case "setIds":
      b.must("setresgid", [action.gid, action.gid, action.gid]);
      return b.must("setresuid", [action.uid, action.uid, action.uid]);
    case "dieWithMonitor":
      return dieWithMonitor(c);
    case "unshareTime":
      return unshareTime(c, action);
    case "mount":
      c.known.add(action.target);
      return b.must("mount", [
        b.text(action.source),
        b.text(action.target),
        action.type === null ? 0 : b.text(action.type),
        k(...action.flags),
        action.data === "" ? 0 : b.text(action.data),
      ]);
    case "overlay":
      return overlay(c, action);
    case "addMountFlags": {
      // struct mount_attr: attr_set, attr_clr, propagation, userns_fd. MOUNT_ATTR_RDONLY, _NOSUID,
      // _NODEV and _NOEXEC have the numbers of their MS_ namesakes.
      const attributes = b.bytes(words64([k(...action.flags).value, 0n, 0n, 0n]));
      const flags = action.recursive ? k("AT_RECURSIVE") : k();
      return b.must("mount_setattr", [k("AT_FDCWD"), b.text(action.target), flags, attributes, 32]);
    }
    case "remount":
      return remount(c, action.target, action.flags);
    case "mkdir":
      return makeDirectories(c, action.path, action.mode);
    case "touch":
      // mknod(2) makes a regular file without opening it.
      unlessThere(
        c,
        "mknodat",
        action.path,
        constant(`S_IFREG|0${action.mode.toString(8)}`, 0o100000 | action.mode),
        [0],
      );
      break;
    case "symlink":
      return b.must("symlinkat", [b.text(action.target), k("AT_FDCWD"), b.text(action.path)]);
    case "pivotRoot":
      c.known.clear();
      return pivotRoot(c, action.newRoot);
    case "detachOldRoot":
      b.must("umount2", [b.text("."), k("MNT_DETACH")]);
      return b.must("chdir", [b.text("/")]);
    case "mask":
      return mask(c, action.path);
    case "readonlyPath":
      return readonlyPath(c, action.path);
    case "sethostname":
    case "setdomainname":
      return b.must(action.kind, [b.text(action.name), Buffer.byteLength(action.name)]);
    case "loopbackUp":
      return loopbackUp(c);
    case "nonDumpable":
      return b.must("prctl", [k("PR_SET_DUMPABLE"), 0, 0, 0, 0]);
    case "writeFile":
      return writeFile(c, action.path, action.text);
    case "openTerminal":
      return openTerminal(c, action);
    case "setrlimit":
      return b.must("prlimit64", [
        0,
        constant(action.type, rlimitNames.indexOf(action.type)),
        b.bytes(words64([action.soft, action.hard])),
        0,
      ]);
    case "umask":
      return b.set(s.payloadUmask, octal(action.mask));
    case "setgroups":
      return b.must("setgroups", [
        action.gids.length,
        action.gids.length === 0 ? 0 : b.bytes(words32(action.gids)),
      ]);
    case "dropBounding":
      return dropBounding(c, capabilityMask(action.keep));
    case "keepCapabilities":
      return b.must("prctl", [k("PR_SET_KEEPCAPS"), 1, 0, 0, 0]);
    case "setCapabilities":
      return setCapabilities(c, action.sets);
    case "noNewPrivileges":
      return b.must("prctl", [k("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]);
    case "execve":
      return execute(c, action);
    default:
      return assertNever(action);
  }
}

/**
 * Fds 0 to 2 are made open, so that no file of ours takes their place; everything the caller left
 * open besides those it names is closed, before any of it can leak inside (CVE-2024-21626).
 */
function tidyFds(c: Context, action: Extract<Action, { kind: "tidyFds" }>): void {
  const { b } = c;
  for (const standard of [0, 1, 2]) {
    const open = b.fresh("open");
    b.attempt("fcntl", [standard, k("F_GETFD")], s.result);
    b.branch(s.result, "ge", 0, open);
    b.must("openat", [k("AT_FDCWD"), b.text("/dev/null"), k("O_RDWR"), 0]);
    b.label(open);
  }
  for (let preserved = 3; preserved < 3 + action.preserved; preserved++) {
    b.must("fcntl", [preserved, k("F_GETFD")]);
  }
  const firstClosed = 3 + action.preserved;
  if (action.statusFd === null) {
    closeFrom(c, firstClosed, 0xffffffff);
    return;
  }
  b.must("fcntl", [action.statusFd, k("F_SETFD"), k("FD_CLOEXEC")]);
  if (action.statusFd > firstClosed) closeFrom(c, firstClosed, action.statusFd - 1);
  closeFrom(c, action.statusFd + 1, 0xffffffff);
}

/** close_range(2), or one by one up to the limit of open files on kernels before 5.9. */
export function closeFrom({ b, memory }: Context, first: number, last: number): void {
  const end = b.fresh("closed");
  const next = b.fresh("close");
  b.attempt("close_range", [first, last, 0], s.result);
  b.branch(s.result, "ne", minus("ENOSYS"), end);
  b.must("prlimit64", [
    0,
    constant("RLIMIT_NOFILE", rlimitNames.indexOf("RLIMIT_NOFILE")),
    0,
    memory.scratch,
  ]);
  b.load(8, bits, memory.scratch);
  b.set(index, first);
  b.label(next);
  b.branch(index, "ge", bits, end);
  b.branch(index, "gt", last, end);
  b.ignore("it was not open", "close", [index]);
  b.alu("add", index, index, 1);
  b.jump(next);
  b.label(end);
}

/**
 * A monitor that died before this prctl took effect goes unnoticed by it; but then the release pipe,
 * whose only writer it was, has hung up.
 */
function dieWithMonitor({ b, memory }: Context): void {
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  const alive = b.fresh("alive");
  b.store(4, memory.scratch, 0, s.releaseRead);
  b.store(4, memory.scratch, 4, 0);
  b.store(8, memory.scratch, 16, 0);
  b.store(8, memory.scratch, 24, 0);
  b.must("ppoll", [memory.scratch, 1, { ...memory.scratch, offset: 16 }, 0, 8], s.result);
  b.branch(s.result, "eq", 0, alive);
  b.exit(125);
  b.label(alive);
}

function unshareTime(
  c: Context,
  { monotonic, boottime }: Extract<Action, { kind: "unshareTime" }>,
): void {
  c.b.must("unshare", [k("CLONE_NEWTIME")]);
  writeFile(
    c,
    "/proc/self/timens_offsets",
    `monotonic ${monotonic.secs} ${monotonic.nanosecs}\nboottime ${boottime.secs} ${boottime.nanosecs}\n`,
  );
}

function overlay(c: Context, action: Extract<Action, { kind: "overlay" }>): void {
  const { b } = c;
  makeDirectories(c, action.target, 0o755);
  // The merged directory has the mode of the upper one.
  b.must("mkdirat", [k("AT_FDCWD"), b.text(action.upper), octal(action.mode)]);
  b.must("mkdirat", [k("AT_FDCWD"), b.text(action.work), octal(0o700)]);
  const options = [
    `lowerdir=${escapeOverlayPath(action.lower)}`,
    `upperdir=${escapeOverlayPath(action.upper)}`,
    `workdir=${escapeOverlayPath(action.work)}`,
    "userxattr",
    ...(action.volatile ? ["volatile"] : []),
  ].join(",");
  b.must("mount", [
    b.text("overlay"),
    b.text(action.target),
    b.text("overlay"),
    0,
    b.text(options),
  ]);
}

/** Overlay options part at commas, lower directories at colons; a backslash takes that from them. */
export function escapeOverlayPath(path: string): string {
  return path.replace(/[\\,:]/g, "\\$&");
}

/**
 * A remount has to repeat the flags that the mount has, or the kernel takes it for an attempt to
 * remove those that are locked (mount_namespaces(7)). statfs(2) tells them, its ST_RELATIME being
 * MS_RELATIME shifted right by 9.
 */
function remount({ b, memory }: Context, target: string, flags: readonly MountFlag[]): void {
  const flagsOffset = 80;
  const relatime = 4096;
  b.must("statfs", [b.text(target), memory.scratch]);
  b.load(8, bits, memory.scratch, flagsOffset);
  b.alu("and", index, bits, relatime);
  b.alu("shl", index, index, 9);
  b.alu("and", bits, bits, k("MS_NOSUID", "MS_NODEV", "MS_NOEXEC", "MS_NOATIME", "MS_NODIRATIME"));
  b.alu("or", bits, bits, index);
  b.alu("or", bits, bits, k("MS_REMOUNT", "MS_BIND", ...flags));
  b.must("mount", [0, b.text(target), 0, bits, 0]);
}

/** Parents that a step before has made or mounted are not tried again. */
function makeDirectories(c: Context, path: string, mode: number): void {
  const names = path.split("/").filter((name) => name !== "");
  for (const count of names.keys()) {
    const directory = `/${names.slice(0, count + 1).join("/")}`;
    if (c.known.has(directory)) continue;
    unlessThere(c, "mkdirat", directory, octal(count === names.length - 1 ? mode : 0o755), []);
    c.known.add(directory);
  }
}

/** Makes something at a path; what is there already is left as it is. */
function unlessThere(
  { b }: Context,
  name: "mkdirat" | "mknodat",
  path: string,
  mode: Value,
  more: readonly Value[],
): void {
  const made = b.fresh("made");
  b.attempt(name, [k("AT_FDCWD"), b.text(path), mode, ...more], s.result);
  b.branch(s.result, "eq", 0, made);
  b.branch(s.result, "eq", minus("EEXIST"), made);
  failWithResult(b);
  b.label(made);
}

/** Fails as the call whose negative errno is in `result` did. */
export function failWithResult(b: Context["b"]): void {
  b.alu("sub", s.errno, 0, s.result);
  b.fail();
}

/**
 * The old root stays mounted beneath the new one, with it as working directory, until everything
 * that comes from it is bound; from here on absolute paths are resolved inside the new root.
 */
function pivotRoot({ b }: Context, newRoot: string): void {
  b.must("openat", [k("AT_FDCWD"), b.text("/"), k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  b.must("chdir", [b.text(newRoot)]);
  b.must("pivot_root", [b.text("."), b.text(".")]);
  b.must("fchdir", [fd]);
  b.must("close", [fd]);
}

function mask(c: Context, path: string): void {
  const { b } = c;
  const end = b.fresh("masked");
  b.attempt("mount", [b.text("/dev/null"), b.text(path), 0, k("MS_BIND"), 0], s.result);
  b.branch(s.result, "eq", 0, end);
  b.branch(s.result, "eq", minus("ENOENT"), end);
  const directory = b.fresh("mask");
  b.branch(s.result, "eq", minus("ENOTDIR"), directory);
  failWithResult(b);
  b.label(directory);
  b.attempt(
    "mount",
    [
      b.text("tmpfs"),
      b.text(path),
      b.text("tmpfs"),
      k("MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC"),
      b.text("size=4k,mode=555"),
    ],
    s.result,
  );
  b.branch(s.result, "eq", 0, end);
  b.branch(s.result, "eq", minus("ENOTDIR"), end);
  failWithResult(b);
  b.label(end);
}

function readonlyPath(c: Context, path: string): void {
  const { b } = c;
  const end = b.fresh("readonly");
  const bound = b.fresh("readonly");
  b.attempt("mount", [b.text(path), b.text(path), 0, k("MS_BIND", "MS_REC"), 0], s.result);
  b.branch(s.result, "eq", 0, bound);
  b.branch(s.result, "eq", minus("ENOENT"), end);
  failWithResult(b);
  b.label(bound);
  remount(c, path, ["MS_RDONLY"]);
  b.label(end);
}

/** struct ifreq: the name in 16 bytes, then the flags IFF_UP|IFF_RUNNING. */
function loopbackUp({ b }: Context): void {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode("lo"));
  request[16] = 0x41;
  b.must("socket", [k("AF_INET"), k("SOCK_DGRAM", "SOCK_CLOEXEC"), 0], fd);
  b.must("ioctl", [fd, k("SIOCSIFFLAGS"), b.bytes(request)]);
  b.must("close", [fd]);
}

function writeFile({ b }: Context, path: string, text: string): void {
  b.must("openat", [k("AT_FDCWD"), b.text(path), k("O_WRONLY", "O_CLOEXEC"), 0], fd);
  b.must("write", [fd, b.text(text), Buffer.byteLength(text)]);
  b.must("close", [fd]);
}

/** One loop for all of them; the kernel answers EINVAL to the first number it does not know. */
function dropBounding({ b }: Context, keep: bigint): void {
  const next = b.fresh("drop");
  const kept = b.fresh("keep");
  const end = b.fresh("dropped");
  b.set(index, 0);
  b.label(next);
  b.alu("shr", bits, constant(`0x${keep.toString(16)}`, keep), index);
  b.alu("and", bits, bits, 1);
  b.branch(bits, "ne", 0, kept);
  b.attempt("prctl", [k("PR_CAPBSET_DROP"), index, 0, 0, 0], s.result);
  b.branch(s.result, "eq", minus("EINVAL"), end);
  b.branch(s.result, "eq", 0, kept);
  failWithResult(b);
  b.label(kept);
  b.alu("add", index, index, 1);
  b.branch(index, "lt", 64, next);
  b.label(end);
}

/** capset(2) takes two structs of effective, permitted, inheritable: the low and the high 32 bits. */
function setCapabilities({ b, memory }: Context, sets: CapabilitySets): void {
  const header = b.bytes(words32([Number(k("_LINUX_CAPABILITY_VERSION_3").value), 0]));
  const data = memory.scratch;
  const wanted = [sets.effective, sets.permitted, sets.inheritable].map(capabilityMask);
  // A kernel with fewer capabilities than we know refuses the others: only those held can be asked for.
  b.must("capget", [header, data]);
  for (const half of [0, 1]) {
    b.load(4, index, data, 12 * half + 4);
    for (const [set, mask] of wanted.entries()) {
      const part = (mask >> BigInt(32 * half)) & 0xffffffffn;
      b.alu("and", bits, index, constant(`0x${part.toString(16)}`, part));
      b.store(4, data, 12 * half + 4 * set, bits);
    }
  }
  b.must("capset", [header, data]);
  b.must("prctl", [k("PR_CAP_AMBIENT"), k("PR_CAP_AMBIENT_CLEAR_ALL"), 0, 0, 0]);
  for (const name of sets.ambient) {
    b.must("prctl", [
      k("PR_CAP_AMBIENT"),
      k("PR_CAP_AMBIENT_RAISE"),
      constant(name, capabilityNames.indexOf(name)),
      0,
      0,
    ]);
  }
}

function words64(values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

function words32(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
