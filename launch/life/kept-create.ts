/** Making kept sandboxes, and giving them other names. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { fail } from "../../spec/error.js";
import { specToJson } from "../../spec/json.js";
import type { LifeKeys } from "../../spec/life.js";
import type { Spec } from "../../spec/spec.js";
import { requirePrivate } from "../facts/directories.js";
import { isSystemError } from "../facts/system-error.js";
import { type Kept, keptDirectory, lockFile, readKept, sandboxesIn, textOf } from "./kept.js";
import { holderOf, nameFile, withNames } from "./kept-names.js";
import { derivedName } from "./names.js";
import { replaceFile } from "./plain-file.js";

/**
 * Makes a kept sandbox of what `specOf` makes of its name and place. A name that is not `wanted` is made
 * up. Fails where the name is taken, of which `isTaken` knows for sandboxes that are not kept.
 */
export async function createKept(
  data: string,
  wanted: string | undefined,
  isTaken: (name: string) => boolean,
  specOf: (name: string, place: Pick<LifeKeys, "id" | "directory">) => Spec,
): Promise<Kept> {
  requirePrivate(sandboxesIn(data), process.getuid?.() ?? 0);
  return withNames(data, () => {
    const isFree = (name: string) => !isTaken(name) && holderOf(data, name) === null;
    const [id, name] = choose(wanted, isFree);
    const directory = keptDirectory(data, id);
    const { linux, ...rest } = specOf(name, { id, directory });
    const { seccomp, ...others } = linux;
    const profile = seccomp === undefined ? null : specToJson(seccomp);
    const spec = { ...rest, linux: others };
    const made: Kept = { id, name, createdMs: Date.now(), spec, profile, directory };
    const fresh = join(sandboxesIn(data), `.${id}`);
    try {
      fs.mkdirSync(fresh, { mode: 0o700 });
      fs.writeFileSync(lockFile(fresh), "", { mode: 0o600 });
      replaceFile(join(fresh, "config.json"), textOf(made));
      replaceFile(nameFile(data, name), `${id}\n`);
      fs.renameSync(fresh, directory);
    } catch (error) {
      fs.rmSync(fresh, { recursive: true, force: true });
      if (!isSystemError(error)) throw error;
      fail(
        `keep the sandbox ${name} in ${directory}`,
        `${error.syscall} failed (${error.code})`,
        "XDG_DATA_HOME can name a directory of yours where there is room",
      );
    }
    return made;
  });
}

/** How often a name is made up anew before digits of the id tell it from the others. */
const tries = 20;

function choose(wanted: string | undefined, isFree: (name: string) => boolean): [string, string] {
  for (let count = 0; ; count++) {
    const id = randomBytes(6).toString("hex");
    const name = wanted ?? `${derivedName(id)}${count < tries ? "" : `_${id}`}`;
    if (isFree(name)) return [id, name];
    if (wanted !== undefined) {
      fail(`--name ${name}`, "a sandbox of that name is there already", "Choose another");
    }
  }
}

/** Gives the sandbox another name. Fails where it is taken, as `createKept` does. */
export async function renameKept(
  data: string,
  kept: Kept,
  to: string,
  isTaken: (name: string) => boolean,
): Promise<void> {
  const what = `rename ${kept.name}`;
  await withNames(data, () => {
    const now = readKept(data, kept.id);
    if (now === null || "problem" in now) fail(what, "it has been removed meanwhile");
    if (isTaken(to) || holderOf(data, to) !== null) {
      fail(what, `a sandbox of the name ${to} is there already`, "Choose another");
    }
    const spec = { ...now.spec, sbx: { ...now.spec.sbx, name: to } };
    // A name whose sandbox has another is nobody's: what is interrupted here leaves no harm.
    replaceFile(nameFile(data, to), `${kept.id}\n`);
    replaceFile(join(kept.directory, "config.json"), textOf({ ...now, name: to, spec }));
    fs.rmSync(nameFile(data, now.name), { force: true });
  });
}
