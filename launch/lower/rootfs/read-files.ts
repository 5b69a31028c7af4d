/**
 * Files of a sandbox, for who reads a pipe outside: each as eight bytes with its length, -1 for one that
 * is not there, and then itself. What has put it there is not trusted: it may be anything but a file.
 */
import { slot } from "../../machine/builder.js";
import { k, minus, noFollow } from "../../machine/constants.js";
import { type Context, failWithResult, s, words64 } from "../context.js";
import { fileType, typeOf } from "./file-type.js";

/** Bytes of one file. */
const maxFileBytes = 1 << 20;

const fd = slot("fd");
const buffer = slot("fileBuffer");
const length = slot("fileLength");
const place = slot("filePlace");
const room = slot("fileRoom");

/** In the payload, which ends with it. */
export function readFiles(c: Context, paths: readonly string[]): void {
  const { b } = c;
  const flags = k("MAP_PRIVATE", "MAP_ANONYMOUS");
  // The length comes before the file.
  const size = maxFileBytes + 8;
  b.must("mmap", [0, size, k("PROT_READ", "PROT_WRITE"), flags, -1, 0], buffer);
  for (const path of paths) {
    const [missing, next, end] = [b.fresh("file"), b.fresh("file"), b.fresh("file")];
    b.set(length, -1);
    openInside(c, path, missing);
    b.set(length, 0);
    b.label(next);
    b.alu("add", place, buffer, 8);
    b.alu("add", place, place, length);
    b.alu("sub", room, maxFileBytes, length);
    b.must("read", [fd, place, room], s.result);
    b.alu("add", length, length, s.result);
    b.branch(s.result, "gt", 0, next);
    b.must("close", [fd]);
    b.store(8, buffer, 0, length);
    b.alu("add", length, length, 8);
    b.jump(end);
    b.label(missing);
    b.store(8, buffer, 0, length);
    b.set(length, 8);
    b.label(end);
    writeAll(c);
  }
  b.exit(0);
}

/** A file in the root, by way of no magic link; `missing` where there is none that could be read. */
function openInside(c: Context, path: string, missing: string): void {
  const { b } = c;
  const [opened, old] = [b.fresh("file"), b.fresh("file")];
  const flags = ["O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"] as const;
  // struct open_how: flags, mode, resolve.
  const how = words64([k(...flags).value, 0n, k("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS").value]);
  b.attempt("openat2", [s.rootFd, b.text(path), b.bytes("openHow", how), how.length], fd);
  b.branch(fd, "ge", 0, opened);
  for (const errno of ["ENOSYS", "EPERM"]) b.branch(fd, "eq", minus(errno), old);
  b.jump(missing);
  b.comment(
    "before Linux 5.6: it is itself no link, and its directory, which is the root's, may be any",
  );
  b.label(old);
  b.orElse(missing, "openat", [s.rootFd, b.text(path), noFollow(...flags), 0], fd);
  b.label(opened);
  typeOf(c, fd);
  const isFile = b.fresh("file");
  b.branch(fileType, "eq", k("S_IFREG"), isFile);
  b.must("close", [fd]);
  b.jump(missing);
  b.label(isFile);
}

/** A pipe may take a part of it at a time. */
function writeAll({ b }: Context): void {
  const next = b.fresh("file");
  b.set(place, buffer);
  b.label(next);
  b.attempt("write", [1, place, length], s.result);
  const written = b.fresh("file");
  b.branch(s.result, "gt", 0, written);
  failWithResult(b);
  b.label(written);
  b.alu("add", place, place, s.result);
  b.alu("sub", length, length, s.result);
  b.branch(length, "gt", 0, next);
}
