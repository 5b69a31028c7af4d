/** `sbx compile`: the program of a run as a file, which needs neither Node nor sbx to be started. */
import { writeSync } from "node:fs";
import { compileStandalone } from "../launch/programs/standalone.js";
import { fail, visible } from "../spec/error.js";
import type { Architecture, Host } from "../spec/host.js";
import { writeWhole } from "./files.js";
import { lifeOptions } from "./options/life.js";
import { compileOptions } from "./options/run.js";
import { parseRun } from "./parse.js";
import { readRequest } from "./request.js";
import { createVolumes } from "./run.js";
import { readKernel } from "./seccomp-input.js";
import { version } from "./version.js";

/** `argv` is what follows `compile`. Gives the exit status. */
export async function compile(argv: readonly string[]): Promise<number> {
  const parsed = parseRun(argv, compileOptions);
  const { output, arch, kernel, ...flags } = parsed.flags;
  if (output === undefined) {
    fail("compile", "no file is named for the program", "Name one: sbx compile -o FILE ROOTFS");
  }
  // Nothing is ever kept of it, and labels are its own.
  const { rm: _, label: _l, "label-file": _f, ...inBackground } = lifeOptions;
  const background = Object.keys(inBackground).find((name) => Object.hasOwn(flags, name));
  if (background !== undefined) {
    fail(
      `compile --${background}`,
      "what runs in the background is started and kept track of by sbx",
      "Use sbx run, or put the program itself in the background",
    );
  }
  const { spec, host } = await readRequest({ ...parsed, flags });
  const target: Host = {
    ...host,
    ...(arch !== undefined && { architecture: arch as Architecture }),
    ...(kernel !== undefined && { kernel: readKernel(kernel) }),
  };
  const origin = { version: version(), options: flags };
  const { bytes, plan } = compileStandalone(spec, target, origin);
  createVolumes(spec);
  for (const warning of plan.warnings) writeSync(2, `sbx: ${visible(warning)}\n`);
  writeWhole(output, bytes, `write the program to ${output}`, 0o755);
  return 0;
}
