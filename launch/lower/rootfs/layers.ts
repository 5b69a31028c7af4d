/** Steps that join layers with the kernel's overlay. */
import { basename } from "node:path";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, minus, noFollow, openLink } from "../../machine/constants.js";
import { recordOf, recordText } from "../../store/kept-upper.js";
import { type Context, failWithResult, octal, s } from "../context.js";
import { closeFrom } from "../fds.js";
import { makeDirectories } from "./filesystem.js";

const fd = slot("fd");

/**
 * In the monitor. The init inherits the fd, so that the lock holds until both are gone: who kills
 * the monitor must not get the directory while something inside still writes to it.
 */
export function openUpper(
  { b }: Context,
  { path, work, mode, record }: ActionOf<"openUpper">,
): void {
  for (const [directory, wanted] of [
    [path, mode],
    [work, 0o700],
  ] as const) {
    const isThere = b.fresh("upper");
    const text = b.text(directory);
    b.attempt("mkdirat", [k("AT_FDCWD"), text, octal(0o700)], s.result);
    b.branch(s.result, "eq", minus("EEXIST"), isThere);
    const made = b.fresh("upper");
    b.branch(s.result, "eq", 0, made);
    failWithResult(b);
    b.label(made);
    // The umask of the caller may have taken bits away.
    b.must("fchmodat", [k("AT_FDCWD"), text, octal(wanted)]);
    b.label(isThere);
  }
  b.must("openat", [k("AT_FDCWD"), b.text(path), k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  b.must("flock", [fd, k("LOCK_EX", "LOCK_NB")]);
  const workFd = slot("workFd");
  const file = slot("recordFd");
  const written = recordText(record);
  // What lies there may be another's: no link leads to a file of the caller's, no FIFO holds it up.
  b.must("openat", [k("AT_FDCWD"), b.text(work), openLink, 0], workFd);
  const flags = noFollow("O_WRONLY", "O_CREAT", "O_TRUNC", "O_NONBLOCK", "O_CLOEXEC");
  b.must("openat", [workFd, b.text(basename(recordOf(path))), flags, octal(0o600)], file);
  b.must("close", [workFd]);
  b.must("write", [file, b.text(written), Buffer.byteLength(written)]);
  b.must("close", [file]);
}

/** The path has no links in it, but where somebody has just put one. */
export function openLayer({ b }: Context, path: string, as: number): void {
  b.must("openat", [k("AT_FDCWD"), b.text(path), openLink, 0], fd);
  b.must("dup3", [fd, as, k("O_CLOEXEC")]);
  b.must("close", [fd]);
}

export function closeLayers(c: Context, { first, last }: ActionOf<"closeLayers">): void {
  closeFrom(c, first, last);
}

export function overlay(c: Context, { lowers, upper, target }: ActionOf<"overlay">): void {
  const { b } = c;
  makeDirectories(c, target, 0o755);
  const options = [`lowerdir=${lowers.map(escapeOverlayPath).join(":")}`];
  if (upper !== null) {
    if (upper.mode !== null) {
      // The merged directory has the mode of the upper one.
      b.must("mkdirat", [k("AT_FDCWD"), b.text(upper.path), octal(upper.mode)]);
      b.must("mkdirat", [k("AT_FDCWD"), b.text(upper.work), octal(0o700)]);
    }
    options.push(`upperdir=${escapeOverlayPath(upper.path)}`);
    options.push(`workdir=${escapeOverlayPath(upper.work)}`);
  }
  options.push("userxattr", ...(upper?.volatile === true ? ["volatile"] : []));
  b.must("mount", [
    b.text("overlay"),
    b.text(target),
    b.text("overlay"),
    0,
    b.text(options.join(",")),
  ]);
  if (upper?.mode !== null) return;
  // The kernel makes it with mode 0, and `rm -r` would stop there. What is in it is behind the 0700 of its parent.
  b.ignore("it can be removed all the same, by who knows how", "fchmodat", [
    k("AT_FDCWD"),
    b.text(`${upper.work}/work`),
    octal(0o755),
  ]);
}

/** Overlay options part at commas, lower directories at colons; a backslash takes that from them. */
export function escapeOverlayPath(path: string): string {
  return path.replace(/[\\,:]/g, "\\$&");
}
