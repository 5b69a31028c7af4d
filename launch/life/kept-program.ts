/** The program of a kept sandbox, which is another at each of its starts. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { fail } from "../../spec/error.js";
import { keep, type StoreHost } from "../cache/store.js";
import { isSystemError } from "../facts/system-error.js";
import type { Kept } from "./kept.js";
import { replaceFile } from "./plain-file.js";

/**
 * Writes the program where it can be executed: in the sandbox's directory, else where those of other
 * sandboxes are. Null where no place will do: it is executed from memory then. Fails where the sandbox is gone.
 */
export function placeProgram(
  { name, directory }: Kept,
  program: Uint8Array,
  host: StoreHost,
): string | null {
  const path = join(directory, "program");
  // The launcher reads the path from a line of its own.
  if (!directory.includes("\n")) {
    try {
      replaceFile(path, program, { mode: 0o700, isDurable: false });
      if (isExecutable(path)) return path;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code === "ENOENT") fail(`start ${name}`, "it has been removed meanwhile");
      // A full disk: there may be room elsewhere.
    }
  }
  const kept = keep(program, host);
  return kept.kind === "file" ? kept.path : null;
}

/** EACCES for a file of mode 0700 of our own says that the mount is noexec, see access(2). */
function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
