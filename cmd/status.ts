/** The status fd of a command line that may be wrong in every other respect. */
import { fstatSync } from "node:fs";

/** Null where none is named, or it is not open. */
export function statusFdOf(argv: readonly string[]): number | null {
  const index = argv.findIndex((word) => /^--status-fd(=|$)/.test(word));
  if (index < 0) return null;
  const text = argv[index]?.split("=")[1] ?? argv[index + 1] ?? "";
  const fd = /^\d+$/.test(text) ? Number(text) : -1;
  return fd > 2 && isOpen(fd) ? fd : null;
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    // EBADF, which the run itself will report.
    return false;
  }
}
