/**
 * The filter that most sandboxes have, compiled beforehand: that of the default profile for the usual
 * capabilities, on every kernel that the profile does not tell apart. test/seccomp/precompiled.test.ts
 * writes precompiled.json, and holds it against the compiler.
 */
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
  return isUsual ? Uint8Array.from(Buffer.from(precompiled[architecture], "base64")) : null;
}
