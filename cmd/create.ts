/** `sbx create`, and `sbx run -d` up to its start: the directory of a sandbox that is kept. */
import * as fs from "node:fs";
import type { StoreHost } from "../launch/cache/store.js";
import { compileSandbox } from "../launch/compile.js";
import { isSystemError } from "../launch/facts/system-error.js";
import { type Kept, wholeSpec } from "../launch/life/kept.js";
import { createKept } from "../launch/life/kept-create.js";
import { placeProgram } from "../launch/life/kept-program.js";
import { removeKept } from "../launch/life/kept-remove.js";
import { callersPlaces, runningNames } from "../launch/life/sandboxes.js";
import { fail } from "../spec/error.js";
import type { Spec } from "../spec/spec.js";
import { validate } from "../spec/validate.js";
import type { Reading } from "./files.js";
import { keptSpec, refuseOtherLife } from "./life-flags.js";
import { namingOptions } from "./option-names.js";
import type { ParsedRun } from "./parse.js";
import { readSpec, requestOf } from "./request.js";
import { createVolumes } from "./run.js";
import { tell } from "./tell.js";

/** A kept sandbox that was made just now. */
export interface Made {
  readonly kept: Kept;
  /** Takes it back, with all that was made besides. */
  readonly undo: () => Promise<void>;
}

/** Makes the directory and compiles what it says, or leaves nothing. */
export async function compileKept(parsed: ParsedRun, reading: Reading) {
  const { spec, flags } = await readSpec(parsed, reading);
  refuseOtherLife(flags, true);
  const environment = process.env;
  const { run, data } = callersPlaces(environment);
  const isTaken = await runningNames(run);
  const idFile = flags.cidfile;
  if (idFile !== undefined) makeIdFile(idFile);
  const kept: Kept[] = [];
  const undo = async () => {
    if (idFile !== undefined) fs.rmSync(idFile, { force: true });
    await removeKept(data, kept);
  };
  try {
    const made = await createKept(data, flags.name, isTaken, (name, place) =>
      namingOptions(() => validate(keptSpec(spec, flags, { name, environment, ...place }))),
    );
    kept.push(made);
    const whole = startedNow(await wholeSpec(made), made.id);
    const { host } = await requestOf(whole);
    createVolumes(whole);
    const compiled = compileSandbox(whole, host);
    if (idFile !== undefined) fs.writeFileSync(idFile, made.id);
    await tell("create", made);
    return { ...compiled, host, made: { kept: made, undo } };
  } catch (error) {
    await undo();
    throw error;
  }
}

/** A first start says the ID, and leaves nothing where it fails. */
const startedNow = ({ sbx, ...spec }: Spec, id: string): Spec => ({
  ...spec,
  sbx: { ...sbx, ...(sbx.life && { life: { ...sbx.life, start: { says: id, isNew: true } } }) },
});

/** Before anything else is: a file that is there is another's. */
function makeIdFile(path: string): void {
  try {
    fs.closeSync(fs.openSync(path, "wx", 0o644));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const isThere = error.code === "EEXIST";
    const hint = isThere ? "Remove it, or name another" : "Name a file in a directory of yours";
    fail(`--cidfile ${path}`, isThere ? "the file is there already" : error.message, hint);
  }
}

/** What the launcher is told: the ID, or how the program of `sbx run -d` is started. */
export async function answerFor(
  command: string,
  { kept, undo }: Made,
  bytes: Uint8Array,
  shift: number,
  host: StoreHost,
): Promise<string> {
  if (command === "create") return kept.id;
  const path = placeProgram(kept, bytes, host);
  if (path !== null) return `exec ${shift} ${path}`;
  // The Node that executes it from memory makes it anew.
  await undo();
  return `memfd ${shift}`;
}
