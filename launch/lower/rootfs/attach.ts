/**
 * Mounts that are put together outside the new root, where nobody else can reach them, and moved to
 * their place inside by fd once they are as they should be.
 */
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k, openLink } from "../../machine/constants.js";
import type { Address, Slot, Value } from "../../machine/ir.js";
import { type Context, octal, regularFile, s } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { compose } from "../text/text.js";
import { fileType, statx, typeOf } from "./file-type.js";
import { requireProc } from "./filesystem.js";
import { failUnresolved, resolve } from "./resolve.js";
import { resolved } from "./walk.js";

const fd = slot("fd");
/** The host's /dev/null, verified. */
export const nullFd = slot("nullFd");
const staged = slot("attachStaged");
const destination = slot("attachDestination");
const sourceOf = (number: number) => slot(`source${number}`);

export function openAnchors(c: Context, { newRoot }: ActionOf<"openAnchors">): void {
  const { b, memory } = c;
  const device = slot("nullDevice");
  const [verified, refused] = [b.fresh("null"), b.fresh("null")];
  const opened = (path: string, flags: Value, to: Slot) =>
    b.must("openat", [k("AT_FDCWD"), b.text(path), flags, 0], to);
  opened(newRoot, k("O_PATH", "O_CLOEXEC"), s.rootFd);
  opened("/proc/self/fd", k("O_PATH", "O_CLOEXEC"), fd);
  requireProc(c, fd);
  b.must("close", [fd]);
  opened("/dev/null", openLink, nullFd);
  typeOf(c, nullFd);
  b.branch(fileType, "ne", k("S_IFCHR"), refused);
  // stx_rdev_major, then stx_rdev_minor.
  b.load(8, device, memory.scratch, statx.rdev);
  b.branch(device, "eq", constant("1:3", (3n << 32n) | 1n), verified);
  b.label(refused);
  b.set(s.errno, pseudoErrno.notNull);
  b.fail();
  b.label(verified);
}

/**
 * In the monitor, before the clone: the lock is shared by all processes that come of it, until the
 * last of them has ended or, as the payload does, executed something else.
 */
export function lockVolume({ b }: Context, { path }: ActionOf<"lockVolume">): void {
  b.must("openat", [k("AT_FDCWD"), b.text(path), k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  b.must("flock", [fd, k("LOCK_SH", "LOCK_NB")]);
}

export function openSource({ b }: Context, { number, path }: ActionOf<"openSource">): void {
  const flags = k("O_PATH", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), b.text(path), flags, 0], sourceOf(number));
}

export function bindSource(c: Context, action: ActionOf<"bindSource">): void {
  const source = sourceOf(action.number);
  bindFd(c, source, action.target, action.recursive);
  c.b.must("close", [source]);
}

/** Binds what a fd stands for on a path of the host's, where a mount point for it is made. */
export function bindFd(c: Context, from: Value, target: string, recursive: boolean): void {
  const { b } = c;
  const [directory, made] = [b.fresh("bind"), b.fresh("bind")];
  const path = b.text(target);
  typeOf(c, from);
  b.branch(fileType, "eq", k("S_IFDIR"), directory);
  b.must("mknodat", [k("AT_FDCWD"), path, regularFile(0o600), 0]);
  b.jump(made);
  b.label(directory);
  b.must("mkdirat", [k("AT_FDCWD"), path, octal(0o700)]);
  b.label(made);
  const flags = recursive ? k("MS_BIND", "MS_REC") : k("MS_BIND");
  b.must("mount", [nameOf(c, from), path, 0, flags, 0]);
}

/** The name of a fd for mount(2), which takes only paths, put together in a buffer. */
export function nameOf(c: Context, file: Value, buffer: Address = c.memory.text): Address {
  compose(c, [c.b.text("/proc/self/fd/"), { decimal: file }], buffer);
  return buffer;
}

export function attach({ b }: Context, action: ActionOf<"attach">): void {
  b.set(staged, b.text(action.staged));
  b.set(destination, b.text(action.path));
  b.call("mount.attach");
}

export function attachSubroutine(c: Context): void {
  const { b } = c;
  const missing = slot("attachMissing");
  const [known, refused, fits] = [b.fresh("attach"), b.fresh("attach"), b.fresh("attach")];
  b.comment("move the mount at attachStaged to the destination inside the new root");
  b.label("mount.attach");
  b.must("openat", [k("AT_FDCWD"), staged, k("O_PATH", "O_CLOEXEC"), 0], fd);
  typeOf(c, fd);
  b.must("close", [fd]);
  b.set(missing, constant("S_IFDIR|0755", 0o040755));
  b.branch(fileType, "eq", k("S_IFDIR"), known);
  b.set(missing, regularFile(0o644));
  b.label(known);
  resolve(c, destination, missing);
  failUnresolved(c);
  typeOf(c, resolved);
  b.alu("and", missing, missing, k("S_IFMT"));
  b.branch(fileType, "eq", missing, fits);
  b.branch(missing, "eq", k("S_IFDIR"), refused);
  b.branch(fileType, "ne", k("S_IFDIR"), fits);
  b.label(refused);
  b.set(s.errno, pseudoErrno.otherType);
  b.fail();
  b.label(fits);
  b.must("mount", [staged, nameOf(c, resolved), 0, k("MS_MOVE"), 0]);
  b.must("close", [resolved]);
  b.return();
}
