/**
 * A network namespace of somebody else's that a sandbox is to be in: that of another sandbox, or one
 * that a file leads to. Who joins it needs rights in the user namespace that owns it, which the kernel tells.
 */
import type { Action } from "../../spec/step.js";
import { at, slot } from "../builder.js";
import { k, minus, noFollow } from "../constants.js";
import type { Slot } from "../ir.js";
import { type Context, failWithResult, pseudoErrno, s } from "./context.js";
import { recordWords } from "./record.js";
import { compose } from "./text.js";

type Open = Extract<Action, { kind: "openJoined" }>;
type OfSandbox = Extract<Open["from"], { kind: "sandbox" }>;

const record = slot("joinedRecord");
const monitor = slot("joinedMonitor");
const number = slot("joinedNumber");
const cursor = slot("joinedCursor");
const digit = slot("joinedDigit");

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
  b.load(8, number, memory.scratch, 8);
  b.load(8, s.result, own, 8);
  b.branch(number, "ne", s.result, foreign);
  b.must("close", [s.joinedUser]);
  b.set(s.joinedUser, -1);
  b.label(foreign);
}

function open({ b }: Context, path: ReturnType<Context["b"]["text"]>): void {
  const flags = k("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), path, flags, 0], s.joinedNetwork);
}

/**
 * By way of the monitor, which has it open: its init lets nobody look into it. That the lock is
 * held afterwards tells that the pid was the monitor's.
 */
function openNetworkOf(c: Context, { directory, name }: OfSandbox): void {
  const { b, memory } = c;
  const flags = noFollow("O_RDONLY", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), b.text(`${directory}/${name}`), flags, 0], record);
  requireLocked(c);
  b.must("read", [record, memory.scratch, 4095], s.result);
  b.alu("add", cursor, memory.scratch, s.result);
  b.store(1, cursor, 0, 0);
  const { start, monitor: second, network } = recordWords;
  b.alu("add", cursor, memory.scratch, start.length + name.length + second.length);
  readDecimal(c, monitor);
  b.alu("add", cursor, cursor, network.length);
  readDecimal(c, number);
  compose(c, [b.text("/proc/"), { decimal: monitor }, b.text("/fd/"), { decimal: number }]);
  open(c, memory.text);
  requireLocked(c);
  b.must("close", [record]);
}

function requireLocked({ b }: Context): void {
  const [held, ended] = [b.fresh("joined"), b.fresh("joined")];
  b.attempt("flock", [record, k("LOCK_SH", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", minus("EAGAIN"), held);
  b.branch(s.result, "eq", 0, ended);
  failWithResult(b);
  b.label(ended);
  b.set(s.errno, pseudoErrno.joinedEnded);
  b.fail();
  b.label(held);
}

/** The digits at the cursor, which moves on behind them. */
function readDecimal({ b }: Context, to: Slot): void {
  const [next, end] = [b.fresh("decimal"), b.fresh("decimal")];
  b.set(to, 0);
  b.label(next);
  b.load(1, digit, cursor);
  b.branch(digit, "lt", "0".charCodeAt(0), end);
  b.branch(digit, "gt", "9".charCodeAt(0), end);
  b.alu("shl", s.result, to, 3);
  b.alu("shl", to, to, 1);
  b.alu("add", to, to, s.result);
  b.alu("sub", digit, digit, "0".charCodeAt(0));
  b.alu("add", to, to, digit);
  b.alu("add", cursor, cursor, 1);
  b.jump(next);
  b.label(end);
}
