/** The system calls on files that Node has no function for, through koffi: import it on demand. */
import koffi from "koffi";
import { errnoName } from "./native.js";

// linux/fcntl.h: LOCK_EX and LOCK_NB of flock(2); the same on x86-64 and arm64.
const LOCK_EX = 2;
const LOCK_NB = 4;
// linux/fcntl.h and linux/fs.h.
const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;

const self = koffi.load(null);
const calls = {
  lgetxattr: self.func(
    "intptr_t lgetxattr(const void *path, const char *name, void *value, size_t size)",
  ),
  flock: self.func("int flock(int fd, int operation)"),
  renameat2: self.func(
    "int renameat2(int from, const char *old, int to, const char *fresh, unsigned int flags)",
  ),
};

/**
 * The value of an extended attribute of the file itself, links not followed; null where it has none
 * of that name, may not be asked for it, or its file system has none at all. At most 255 bytes.
 */
export function readXattr(path: Buffer, name: string): string | null {
  const value = Buffer.alloc(255);
  const length: number = calls.lgetxattr(Buffer.concat([path, Buffer.of(0)]), name, value, 255);
  if (length >= 0) return value.toString("latin1", 0, length);
  const code = errnoName();
  if (["ENODATA", "EOPNOTSUPP", "EPERM"].includes(code)) return null;
  throw systemError("lgetxattr", code);
}

/** Whether the lock of flock(2) on the open file is now ours, until the fd is closed. */
export function tryLock(fd: number): boolean {
  if (calls.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const code = errnoName();
  if (code === "EAGAIN") return false;
  throw systemError("flock", code);
}

/** As rename(2), but with EEXIST where something has the new name. */
export function renameNoReplace(from: string, to: string): void {
  if (calls.renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) === 0) return;
  throw systemError("renameat2", errnoName());
}

/** As Node's own functions on files throw it. */
function systemError(syscall: string, code: string): Error {
  return Object.assign(new Error(`${syscall}: ${code}`), { syscall, code });
}
