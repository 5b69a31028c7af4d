/** The status fd of a command line that may be wrong in every other respect. */
import { readlinkSync } from "node:fs";

/** Null where none is named, or it is not open. */
export function statusFdOf(argv: readonly string[]): number | null {
  const index = argv.findIndex((word) => /^--status-fd(=|$)/.test(word));
  if (index < 0) return null;
  const text = argv[index]?.split("=")[1] ?? argv[index + 1] ?? "";
  const fd = /^\d+$/.test(text) ? Number(text) : -1;
  return fd > 2 && isInherited(fd) ? fd : null;
}

/** Node opens files of its own from fd 3 on: what it was given, its parent, the launcher, has too. */
function isInherited(fd: number): boolean {
  const file = (pid: number) => readlinkSync(`/proc/${pid}/fd/${fd}`);
  try {
    return file(process.pid) === file(process.ppid);
  } catch {
    // Not open, which the run itself will report.
    return false;
  }
}
