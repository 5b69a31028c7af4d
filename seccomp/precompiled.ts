/**
 * The filters that most sandboxes have, compiled beforehand: that of the default profile for the usual
 * capabilities, on every kernel that the profile does not tell apart, and that of owners (seccomp/owners.ts) where
 * root is the only user. test/seccomp/precompiled.test.ts
 * writes precompiled.json, and holds it against the compiler.
 */
import type { SeccompArchitecture } from "./architecture.js";
import precompiled from "./precompiled.json" with { type: "json" };
import type { KernelVersion } from "./profile-words.js";
import { type Circumstances, isAtLeast } from "./resolve.js";

/** The highest `minKernel` of the default profile. */
export const minKernel: KernelVersion = { major: 4, minor: 8 };

/** Refusing terminal injection; null where the circumstances are others. */
export function precompiledFilter(circumstances: Circumstances): Uint8Array | null {
  const { architecture, capabilities, kernel } = circumstances;
  const isUsual =
    isAtLeast(kernel, minKernel) &&
    capabilities.length === precompiled.capabilities.length &&
    precompiled.capabilities.every((name) => (capabilities as readonly string[]).includes(name));
  return isUsual ? bytesOf(precompiled[architecture]) : null;
}

/** Null where no profile of sbx's own has these architectures. */
export function precompiledOwners(
  architectures: readonly SeccompArchitecture[],
): Uint8Array | null {
  const owners: Readonly<Record<string, string>> = precompiled.owners;
  const text = owners[architectures.join(" ")];
  return text === undefined ? null : bytesOf(text);
}

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));
