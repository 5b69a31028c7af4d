/**
 * Paths inside the sandbox's root, looked up so that nothing in it leads out: neither its symbolic
 * links, absolute or with "..", nor magic links, nor somebody who changes it meanwhile. The kernel
 * does it by openat2(2) (Linux 5.6); where it cannot, and where something is to be made on the way, a
 * subroutine walks from fd to fd. What is found is an O_PATH fd, and used as that from then on.
 */
import { k, minus } from "../../machine/constants.js";
import type { Value } from "../../machine/ir.js";
import { type Context, s, words64 } from "../context.js";
import { made, path, resolved, walk } from "./walk.js";

/**
 * Looks a path up in the root of `rootFd`. Where it is missing, `made` is made in its place, S_IFDIR
 * or S_IFREG with its permissions, and so are the directories above; 0 makes nothing.
 */
export function resolve({ b }: Context, where: Value, what: Value = 0): void {
  b.set(path, where);
  b.set(made, what);
  b.call("path.resolve");
}

/** In the payload, with its rights. */
export function enterWorkdir(c: Context, where: string): void {
  resolve(c, c.b.text(where));
  failUnresolved(c);
  c.b.must("fchdir", [resolved]);
}

/** Ends the step where `resolve` has found nothing. */
export function failUnresolved({ b }: Context): void {
  const found = b.fresh("resolved");
  b.branch(resolved, "ge", 0, found);
  b.alu("sub", s.errno, 0, resolved);
  b.fail();
  b.label(found);
}

export function resolveSubroutine(c: Context): void {
  const { b } = c;
  // struct open_how: flags, mode, resolve.
  const how = words64([
    k("O_PATH", "O_CLOEXEC").value,
    0n,
    k("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS").value,
  ]);
  b.comment("look resolvePath up in the root");
  b.label("path.resolve");
  b.attempt("openat2", [s.rootFd, path, b.bytes("openHow", how), how.length], resolved);
  // EPERM is what some filters of system calls give for one they do not know; EAGAIN, that
  // something on the path was moved meanwhile.
  for (const errno of ["ENOSYS", "EPERM", "EAGAIN"]) {
    b.branch(resolved, "eq", minus(errno), "path.walk");
  }
  b.branch(resolved, "ne", minus("ENOENT"), "path.resolved");
  b.branch(made, "ne", 0, "path.walk");
  b.label("path.resolved");
  b.return();
  walk(c);
}
