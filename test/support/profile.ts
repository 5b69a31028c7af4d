/** Seccomp profiles of tests, as files for `--seccomp`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./inside.js";

let directory: string | null = null;
let written = 0;

/** The path of a new file with the profile, which allows all that it says nothing of. */
export function profileFile(content: object): string {
  directory ??= temporaryDirectory("profiles");
  const path = join(directory, `${++written}.json`);
  writeFileSync(path, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", ...content }));
  return path;
}

/** Options with a profile of these rules, all else being allowed. */
export function ruled(...syscalls: readonly object[]): string[] {
  return ["--seccomp", profileFile({ syscalls })];
}
