/** What the commands of `sbx seccomp` work on: a profile, and what its conditions are about. */
import { machine, release } from "node:os";
import { parseRelease } from "../launch/facts/probe.js";
import { defaultProfile } from "../seccomp/default.js";
import { type Profile, profileOf } from "../seccomp/profile.js";
import { readProfile } from "../seccomp/read.js";
import type { Circumstances } from "../seccomp/resolve.js";
import { type Capability, capabilityNames } from "../spec/capabilities.js";
import { fail } from "../spec/error.js";
import type { Architecture, Host } from "../spec/host.js";
import { defaultCapabilities } from "../userns/capabilities.js";
import { readStandardInput, readText } from "./files.js";
import { readCapabilities } from "./privileges.js";

/** A profile that is named on the command line. */
export interface Source {
  /** For people. */
  readonly name: string;
  /** Null: the vendored one. */
  readonly text: string | null;
}

/** The profile that a word names: `default`, `-` for standard input, else a file. */
export function readSource(word: string): Source {
  if (word === "default") return { name: word, text: null };
  if (word === "-") return { name: "stdin", text: readStandardInput() };
  const hint = "Name a file, - for standard input, or default";
  const text = readText(word, word, { pipes: true });
  return { name: word, text: text ?? fail(word, "No such file or directory (ENOENT)", hint) };
}

/** Fails with all that is wrong with the profile. */
export async function loadProfile({ name, text }: Source): Promise<Profile> {
  return text === null
    ? profileOf(defaultProfile, (path) => `${name}: ${path}`)
    : readProfile(text, name);
}

/** The machines by the names that profiles and packages have for them. */
const machines = { amd64: "x86_64", arm64: "aarch64" } as const satisfies Record<
  string,
  Architecture
>;
export type Machine = keyof typeof machines;

/** What is given; where nothing is, this machine and what `sbx run` would hold. */
export function circumstancesOf(flags: {
  arch?: string;
  caps?: string;
  kernel?: string;
  exact?: boolean;
  strict?: boolean;
}): Circumstances {
  const { arch = ownMachine(), caps, kernel = release(), exact = false, strict = false } = flags;
  return {
    architecture: machines[arch as Machine],
    capabilities: caps === undefined ? defaultCapabilities : heldCapabilities(caps),
    kernel: readKernel(kernel),
    exact,
    strict,
  };
}

export function ownMachine(): Machine {
  const found = Object.entries(machines).find(([, name]) => name === machine());
  if (found === undefined) {
    fail("--arch", `no filters are compiled for this machine, ${machine()}`, "Give amd64 or arm64");
  }
  return found[0] as Machine;
}

function heldCapabilities(text: string): readonly Capability[] {
  if (text === "none") return [];
  const names = readCapabilities(text, `--caps ${text}`);
  return names.includes("ALL") ? capabilityNames : (names as Capability[]);
}

/** The value of `--kernel`, such as `6.1`; what follows does not count. */
export function readKernel(text: string): Host["kernel"] {
  if (!/^\d+\.\d+/.test(text)) fail(`--kernel ${text}`, "must be X.Y, such as 6.1");
  return parseRelease(text);
}
