/** `sbx compile`: the program of a run as a file, which needs neither Node nor sbx to be started. */
import { writeSync } from "node:fs";
import { basename, dirname } from "node:path";
import { compileStandalone } from "../launch/standalone.js";
import { createVolume } from "../launch/volumes.js";
import { fail, visible } from "../spec/error.js";
import type { Architecture, Host } from "../spec/host.js";
import { writeWhole } from "./files.js";
import { compileOptions } from "./options.js";
import { parseRun } from "./parse.js";
import { readRequest } from "./run.js";
import { version } from "./version.js";

/** `argv` is what follows `compile`. Gives the exit status. */
export async function compile(argv: readonly string[]): Promise<number> {
  const parsed = parseRun(argv, compileOptions);
  const { output, arch, kernel, ...flags } = parsed.flags;
  if (output === undefined) {
    fail("compile", "no file is named for the program", "Name one: sbx compile -o FILE ROOTFS");
  }
  const { spec, host } = await readRequest({ ...parsed, flags });
  const target: Host = {
    ...host,
    ...(arch !== undefined && { architecture: arch as Architecture }),
    ...(kernel !== undefined && { kernel: readKernel(kernel) }),
  };
  const origin = { version: version(), options: flags };
  const { bytes, plan } = compileStandalone(spec, target, origin);
  for (const { path } of spec.sbx.volumes ?? []) createVolume(dirname(path), basename(path));
  for (const warning of plan.warnings) writeSync(2, `sbx: ${visible(warning)}\n`);
  writeWhole(output, bytes, `write the program to ${output}`, 0o755);
  return 0;
}

function readKernel(text: string): Host["kernel"] {
  const [release, major, minor] = /^(\d{1,3})\.(\d{1,3})$/.exec(text) ?? [];
  if (release === undefined) fail(`--kernel ${text}`, "must be two numbers, as in 5.14");
  return { release, major: Number(major), minor: Number(minor) };
}
