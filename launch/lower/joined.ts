/**
 * Namespaces of somebody else's that a sandbox is to be in: those of another sandbox, or a network
 * that a file leads to. Who joins them needs rights in the user namespace that owns them, which the kernel tells.
 */
import type { NamespaceType } from "../../spec/spec.js";
import type { ActionOf } from "../../spec/step.js";
import { at, slot } from "../machine/builder.js";
import { k, minus, noFollow } from "../machine/constants.js";
import type { Address } from "../machine/ir.js";
import { actionOf, type Context, failWithResult, s } from "./context.js";
import { pseudoErrno } from "./pseudo-errno.js";

type Open = ActionOf<"openJoined">;
type OfSandbox = Extract<Open["from"], { kind: "sandbox" }>;

/** -1 where none is open, to those that ask before one is. */
export const joinedRecord = slot("joinedRecord");
export const joinedFd = (type: NamespaceType) => slot(`joinedFd.${type}`);
const namespaceFlags = { network: "CLONE_NEWNET", mount: "CLONE_NEWNS" } as const;
const cursor = slot("joinedCursor");
const expected = slot("joinedExpected");
const letter = slot("joinedLetter");
const inode = slot("joinedInode");

const typesOf = (from: Open["from"]): NamespaceType[] =>
  from.kind === "path" ? ["network"] : from.namespaces.map(({ type }) => type);

/** Those that the sandbox is to be in; none where nothing is joined. */
export function joinedTypes(c: Context): NamespaceType[] {
  if (actionOf(c, "enterJoined") === undefined) return [];
  const from = actionOf(c, "openJoined")?.from;
  return from === undefined ? [] : typesOf(from).filter((type) => !isPlace(type));
}

/** These two are only visited. */
const isPlace = (type: NamespaceType) => type === "user" || type === "mount";

/** In the monitor: the step itself. The user namespace is -1 where it is the caller's own. */
export function openJoined(c: Context, { from }: Open): void {
  const { b, memory } = c;
  const [first = "network"] = typesOf(from);
  const foreign = b.fresh("joined");
  if (from.kind === "sandbox") openNamespacesOf(c, from);
  else open(c, b.text(from.path), "network");
  if (first === "network") requireType(c, first, pseudoErrno.notNetwork);
  b.must("ioctl", [joinedFd(first), k("NS_GET_USERNS"), 0], s.joinedUser);
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

function open({ b }: Context, path: Address, type: NamespaceType): void {
  const flags = k("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), path, flags, 0], joinedFd(type));
}

/** A file that is no namespace knows no such request. */
function requireType({ b }: Context, type: "network" | "mount", otherwise: number): void {
  const known = b.fresh("joined");
  b.attempt("ioctl", [joinedFd(type), k("NS_GET_NSTYPE"), 0], s.result);
  b.branch(s.result, "eq", k(namespaceFlags[type]), known);
  b.set(s.errno, otherwise);
  b.fail();
  b.label(known);
}

/**
 * By way of the monitor, which has it open: its init lets nobody look into it. It must still be the
 * sandbox that the plan was made for, and not another of that name. That the lock is held afterwards
 * tells that the pid was the monitor's.
 */
function openNamespacesOf(c: Context, { namespaces, ...from }: OfSandbox): void {
  openRecord(c, from);
  for (const { type, path } of namespaces) open(c, c.b.text(path), type);
  requireLocked(c);
  closeRecord(c);
  // Until the payload runs there, that of the mounts is not to be had: launch/lower/namespaces.ts.
  if (namespaces.some(({ type }) => type === "mount")) requireType(c, "mount", pseudoErrno.notUp);
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
