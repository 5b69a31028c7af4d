/** What the flags say about the system-call filter. */
import { fail } from "../spec/error.js";
import type { SbxKeys } from "../spec/spec.js";
import type { Flags } from "./options/run.js";
import { readSecurityOption, type SecurityOption } from "./privileges.js";
import type { FlagEnvironment } from "./variables.js";

/** The security options, each read. */
export function securityOptions(flags: Flags): SecurityOption[] {
  return (flags["security-opt"] ?? []).map((text) =>
    readSecurityOption(text, `--security-opt ${text}`),
  );
}

/**
 * `--seccomp=P` as the security option of the same meaning, of which the last one counts. Fails where
 * another profile is named at the same place.
 */
export function foldSeccomp({ seccomp, ...flags }: Flags): Flags {
  if (seccomp === undefined) return flags;
  const other = profileOption(flags);
  if (other !== undefined && other !== seccomp) {
    fail(`--seccomp ${seccomp}`, `contradicts --security-opt seccomp=${other}`, "Give one of them");
  }
  return { ...flags, "security-opt": [...(flags["security-opt"] ?? []), `seccomp=${seccomp}`] };
}

/** What follows `seccomp=` in the last option that has it. */
function profileOption(flags: Flags): string | undefined {
  return securityOptions(flags).findLast((option) => option.kind === "seccomp")?.profile;
}

/** Words that are no files; `./default` is one. */
export function isProfileWord(profile: string): profile is SbxKeys["seccomp"] {
  return profile === "default" || profile === "unconfined";
}

/** The word or the file that names the filter. */
export function requestedFilter(flags: Flags): Pick<SbxKeys, "seccomp" | "seccompFile"> {
  const profile = profileOption(foldSeccomp(flags)) ?? "default";
  return isProfileWord(profile)
    ? { seccomp: profile }
    : { seccomp: "default", seccompFile: profile };
}

/** The profile in the file that the flags name, checked; undefined where they name none. */
export async function readFilter(
  flags: Flags,
  { readFile }: Pick<FlagEnvironment, "readFile">,
): Promise<Record<string, unknown> | undefined> {
  const { seccompFile: path } = requestedFilter(flags);
  if (path === undefined) return undefined;
  const at = `--seccomp ${path}`;
  const text = readFile(path, at);
  if (text === null) fail(at, "No such file or directory (ENOENT)");
  // Not on the way of those who name none.
  const { readProfileJson } = await import("../seccomp/read.js");
  return readProfileJson(text, path);
}
