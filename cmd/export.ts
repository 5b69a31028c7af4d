/** `sbx export`: the root of a sandbox as a tar archive. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { isatty } from "node:tty";
import type { Pack } from "../launch/copy/job.js";
import { isSystemError } from "../launch/facts/system-error.js";
import type { DoorStdio } from "../launch/programs/doorway.js";
import { fail } from "../spec/error.js";
import { ended } from "./cp.js";
import { withDoor } from "./door.js";
import { copyCommands } from "./options/copy.js";
import { parseWords } from "./parse.js";

/** `argv` is what follows `export`. Gives 1 where something was left out. */
export async function exportRoot(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, copyCommands.export.options);
  const [name, ...more] = words;
  const what = ["export", ...argv].join(" ");
  if (name === undefined || more.length > 0) {
    fail(what, "one sandbox is to be named", "The form is sbx export [-o FILE] NAME");
  }
  const { output } = flags;
  if (output === undefined && isatty(1)) {
    const why = "an archive is no text, and standard output is a terminal";
    fail(what, why, "Name a file: --output FILE");
  }
  const job: Pack = { kind: "pack", path: "/", name: ".", follow: false, precise: false };
  const write = (to: DoorStdio[1]) =>
    withDoor(name, true, async (door) => ended(await door(job, ["ignore", to])));
  return output === undefined ? write("inherit") : toFile(output, what, write);
}

/** Whoever opens the file finds all of the old one, or all of the new one. */
async function toFile(
  path: string,
  what: string,
  write: (fd: number) => Promise<number>,
): Promise<number> {
  const temporary = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    const fd = fs.openSync(temporary, "wx");
    try {
      const status = await write(fd);
      if (status <= 1) fs.renameSync(temporary, path);
      return status;
    } finally {
      fs.closeSync(fd);
      fs.rmSync(temporary, { force: true });
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return fail(what, error.message, "Name a file where you may write");
  }
}
