/** Which file descriptors the program keeps. */
import { rlimitNames } from "../../spec/spec.js";
import type { ActionOf } from "../../spec/step.js";
import { constant, slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import { type Context, preservedFds, s } from "./context.js";

const index = slot("index");
const bits = slot("bits");

/**
 * Fds 0 to 2 are made open, so that no file of ours takes their place; everything the caller left
 * open besides those it names is closed, before any of it can leak inside (CVE-2024-21626).
 */
export function tidyFds(c: Context, action: ActionOf<"tidyFds">): void {
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

/**
 * close_range(2), or one by one up to the limit of open files: on kernels before 5.9, and where a
 * seccomp filter that is older than the call refuses it, with whatever errno.
 */
export function closeFrom({ b, memory }: Context, first: number, last: number): void {
  const end = b.fresh("closed");
  const next = b.fresh("close");
  b.attempt("close_range", [first, last, 0], s.result);
  b.branch(s.result, "eq", 0, end);
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
 * In a process that stays outside beside the monitor: a session of its own, out of reach of the
 * terminal's signals, and nothing open that someone may wait for the end of.
 */
export function leaveCaller(c: Context): void {
  const { b, plan } = c;
  const nothing = slot("nothingFd");
  b.must("setsid", []);
  b.must("openat", [k("AT_FDCWD"), b.text("/dev/null"), k("O_RDWR", "O_CLOEXEC"), 0], nothing);
  for (const standard of [0, 1, 2]) b.must("dup3", [nothing, standard, 0]);
  if (preservedFds(c) > 0) closeFrom(c, 3, 2 + preservedFds(c));
  if (plan.statusFd !== null) b.must("close", [plan.statusFd]);
}
