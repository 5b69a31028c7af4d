/**
 * A network namespace of somebody else's that a sandbox is to be in: that of another sandbox, or one
 * that a file leads to. Who joins it needs rights in the user namespace that owns it, which the kernel tells.
 */
import type { Action } from "../../spec/step.js";
import { at, slot } from "../builder.js";
import { k, minus, noFollow } from "../constants.js";
import type { Address } from "../ir.js";
import { type Context, failWithResult, pseudoErrno, s } from "./context.js";

type Open = Extract<Action, { kind: "openJoined" }>;
type OfSandbox = Extract<Open["from"], { kind: "sandbox" }>;

/** -1 where none is open, to those that ask before one is. */
export const joinedRecord = slot("joinedRecord");
const cursor = slot("joinedCursor");
const expected = slot("joinedExpected");
const letter = slot("joinedLetter");
const inode = slot("joinedInode");

/** In the monitor: the step itself. The user namespace is -1 where it is the caller's own. */
export function openJoined(c: Context, { from }: Open): void {
  const { b, memory } = c;
  if (from.kind === "sandbox") openNetworkOf(c, from);
  else open(c, b.text(from.path));
  const isNetwork = b.fresh("joined");
  const foreign = b.fresh("joined");
  // A file that is no namespace knows no such request.
  b.attempt("ioctl", [s.joinedNetwork, k("NS_GET_NSTYPE"), 0], s.result);
  b.branch(s.result, "eq", k("CLONE_NEWNET"), isNetwork);
  b.set(s.errno, pseudoErrno.notNetwork);
  b.fail();
  b.label(isNetwork);
  b.must("ioctl", [s.joinedNetwork, k("NS_GET_USERNS"), 0], s.joinedUser);
  const own = at(memory.scratch, 512);
  b.must("fstat", [s.joinedUser, memory.scratch]);
  b.must("newfstatat", [k("AT_FDCWD"), b.text("/proc/self/ns/user"), own, 0]);
  // struct stat begins with st_dev and st_ino on both architectures.
  b.load(8, inode, memory.scratch, 8);
  b.load(8, s.result, own, 8);
  b.branch(inode, "ne", s.result, foreign);
  b.must("close", [s.joinedUser]);
  b.set(s.joinedUser, -1);
  b.label(foreign);
}

function open({ b }: Context, path: Address): void {
  const flags = k("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), path, flags, 0], s.joinedNetwork);
}

/**
 * By way of the monitor, which has it open: its init lets nobody look into it. It must still be the
 * sandbox that the plan was made for, and not another of that name. That the lock is held afterwards
 * tells that the pid was the monitor's.
 */
function openNetworkOf(c: Context, { network, ...from }: OfSandbox): void {
  openRecord(c, from);
  open(c, c.b.text(network));
  requireLocked(c);
  closeRecord(c);
}

/** Opens the record of that sandbox, which must be alive. */
export function openRecord(
  c: Context,
  { record: path, head }: Pick<OfSandbox, "record" | "head">,
): void {
  const { b, memory } = c;
  const [open, next] = [b.fresh("head"), b.fresh("head")];
  const [same, other] = [b.fresh("head"), b.fresh("head")];
  const flags = noFollow("O_RDONLY", "O_CLOEXEC");
  b.attempt("openat", [k("AT_FDCWD"), b.text(path), flags, 0], joinedRecord);
  b.branch(joinedRecord, "ge", 0, open);
  b.branch(joinedRecord, "eq", minus("ENOENT"), other);
  b.alu("sub", s.errno, 0, joinedRecord);
  b.fail();
  b.label(open);
  requireLocked(c);
  b.must("read", [joinedRecord, memory.scratch, Buffer.byteLength(head)]);
  b.set(cursor, memory.scratch);
  b.set(expected, b.text(head));
  b.label(next);
  b.load(1, letter, expected);
  b.branch(letter, "eq", 0, same);
  b.load(1, s.result, cursor);
  b.branch(letter, "ne", s.result, other);
  b.alu("add", expected, expected, 1);
  b.alu("add", cursor, cursor, 1);
  b.jump(next);
  b.label(other);
  b.set(s.errno, pseudoErrno.joinedEnded);
  b.fail();
  b.label(same);
}

export function closeRecord({ b }: Context): void {
  b.must("close", [joinedRecord]);
}

/** Fails where the sandbox of the open record has ended. */
export function requireLocked({ b }: Context): void {
  const [held, ended] = [b.fresh("joined"), b.fresh("joined")];
  b.attempt("flock", [joinedRecord, k("LOCK_SH", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", minus("EAGAIN"), held);
  b.branch(s.result, "eq", 0, ended);
  failWithResult(b);
  b.label(ended);
  b.set(s.errno, pseudoErrno.joinedEnded);
  b.fail();
  b.label(held);
}
