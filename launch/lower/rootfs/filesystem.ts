/** Steps that change what the sandbox sees of files. */
import type { MountFlag } from "../../../spec/actions/mounts.js";
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Address, Value } from "../../machine/ir.js";
import { type Context, failWithResult, octal, s } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";

const fd = slot("fd");
const index = slot("index");
const bits = slot("bits");

/**
 * A remount has to repeat the flags that the mount has, or the kernel takes it for an attempt to
 * remove those that are locked (mount_namespaces(7)). statfs(2) tells them, its ST_RELATIME being
 * MS_RELATIME shifted right by 9.
 */
export function remount({ b, memory }: Context, target: Value, flags: readonly MountFlag[]): void {
  const flagsOffset = 80;
  const relatime = 4096;
  b.must("statfs", [target, memory.scratch]);
  b.load(8, bits, memory.scratch, flagsOffset);
  b.alu("and", index, bits, relatime);
  b.alu("shl", index, index, 9);
  b.alu("and", bits, bits, k("MS_NOSUID", "MS_NODEV", "MS_NOEXEC", "MS_NOATIME", "MS_NODIRATIME"));
  b.alu("or", bits, bits, index);
  b.alu("or", bits, bits, k("MS_REMOUNT", "MS_BIND", ...flags));
  b.must("mount", [0, target, 0, bits, 0]);
}

/** Parents that a step before has made or mounted are not tried again. The last one may have to be new. */
export function makeDirectories(c: Context, path: string, mode: number, isNew = false): void {
  const names = path.split("/").filter((name) => name !== "");
  for (const count of names.keys()) {
    const directory = `/${names.slice(0, count + 1).join("/")}`;
    if (c.known.has(directory)) continue;
    const isLast = count === names.length - 1;
    make(c, "mkdirat", directory, octal(isLast ? mode : 0o755), isLast && isNew);
    c.known.add(directory);
  }
}

/** Makes something at a path; what is there already is left as it is, unless it has to be new. */
export function make(
  { b }: Context,
  name: "mkdirat" | "mknodat",
  path: string,
  mode: Value,
  isNew = false,
): void {
  const args = [k("AT_FDCWD"), b.text(path), mode, ...(name === "mknodat" ? [0] : [])];
  if (isNew) {
    b.must(name, args);
    return;
  }
  const made = b.fresh("made");
  b.attempt(name, args, s.result);
  b.branch(s.result, "eq", 0, made);
  b.branch(s.result, "eq", minus("EEXIST"), made);
  failWithResult(b);
  b.label(made);
}

export function makeFile({ b }: Context, action: ActionOf<"makeFile">): void {
  const { path, mode, text } = action;
  const flags = k("O_WRONLY", "O_CREAT", "O_EXCL", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), b.text(path), flags, octal(mode)], fd);
  b.must("write", [fd, b.text(text), Buffer.byteLength(text)]);
  b.must("close", [fd]);
}

/** The old root ends up on top of the new one, and is let go of at once: pivot_root(2), NOTES. */
export function pivotRoot({ b }: Context, newRoot: string): void {
  b.must("chdir", [b.text(newRoot)]);
  b.must("pivot_root", [b.text("."), b.text(".")]);
  b.must("umount2", [b.text("."), k("MNT_DETACH")]);
  b.must("chdir", [b.text("/")]);
}

export function writeProc(c: Context, path: Value, text: string, isOptional = false): void {
  const { b } = c;
  const args = [k("AT_FDCWD"), path, k("O_WRONLY", "O_CLOEXEC"), 0];
  const [open, done] = [b.fresh("proc"), b.fresh("proc")];
  if (isOptional) {
    b.attempt("openat", args, fd);
    b.branch(fd, "eq", minus("ENOENT"), done);
    b.branch(fd, "ge", 0, open);
    b.set(s.result, fd);
    failWithResult(b);
    b.label(open);
  } else {
    b.must("openat", args, fd);
  }
  requireProc(c, fd);
  b.must("write", [fd, b.text(text), Buffer.byteLength(text)]);
  b.must("close", [fd]);
  if (isOptional) b.label(done);
}

/** f_type of statfs(2), linux/magic.h. */
export const procMagic = constant("PROC_SUPER_MAGIC", 0x9fa0);

/** Nothing but a procfs may take what is meant for one. */
export function requireProc({ b, memory }: Context, file: Value): void {
  const verified = b.fresh("proc");
  b.must("fstatfs", [file, memory.scratch]);
  b.load(8, bits, memory.scratch);
  b.branch(bits, "eq", procMagic, verified);
  b.set(s.errno, pseudoErrno.notProc);
  b.fail();
  b.label(verified);
}

const otherWord = slot("statWord");

/** Unless the struct stat in `scratch` is of the same file as another one: both begin with st_dev and st_ino. */
export function branchUnlessSame({ b, memory }: Context, other: Address, otherwise: string): void {
  for (const offset of [0, 8]) {
    b.load(8, s.result, memory.scratch, offset);
    b.load(8, otherWord, other, offset);
    b.branch(s.result, "ne", otherWord, otherwise);
  }
}
