/**
 * A program as a file in memory that a child process can execute, for hosts where no place on disk
 * can. Loads koffi: import it on demand.
 */
import { closeSync, writeFileSync } from "node:fs";
import koffi from "koffi";
import { fail } from "../../spec/error.js";

// linux/memfd.h
const MFD_CLOEXEC = 0x1;
/** Kernel 6.3. */
const MFD_EXEC = 0x10;

/** Gives `use` a path that is good as long as it runs. Fails where the kernel forbids such files. */
export function withMemoryFile<T>(program: Uint8Array, use: (path: string) => T): T {
  const create = koffi.load(null).func("int memfd_create(const char *name, unsigned int flags)");
  let fd: number = create("sbx", MFD_CLOEXEC | MFD_EXEC);
  if (fd === -1 && koffi.errno() === koffi.os.errno.EINVAL) fd = create("sbx", MFD_CLOEXEC);
  if (fd === -1) {
    const errno = koffi.errno();
    const name = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0];
    fail("make executable memory (memfd_create)", name ?? `errno ${errno}`);
  }
  try {
    writeFileSync(fd, program);
    // A child has the same descriptors until it executes the program.
    return use(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}
