/**
 * `RuleSet`: what a filter has to decide, once the conditions of a profile (capabilities, architecture,
 * kernel) are resolved. It is the language between the reading of profiles and the compiler.
 */
import type { SeccompArchitecture } from "./architecture.js";

/** SCMP_CMP_* of the OCI runtime-spec without its prefix. */
export const operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"] as const;
export type Operator = (typeof operators)[number];

/**
 * A comparison of one argument of the call, unsigned, 64 bits; on `narrowArchitectures` the low 32
 * bits of both sides are compared.
 */
export interface Condition {
  /** 0 to 5. */
  readonly index: number;
  readonly op: Operator;
  /** With MASKED_EQ the mask. */
  readonly value: bigint;
  /** With MASKED_EQ what the masked argument is compared with (masked too); else of no meaning. */
  readonly valueTwo: bigint;
}

/**
 * What the kernel is told, SECCOMP_RET_* with the data in its low 16 bits, as an unsigned 32-bit
 * number: seccomp(2).
 */
export type Verdict = number;

export interface Rule {
  /** Names of system calls, as the profile has them; those that an architecture lacks mean nothing there. */
  readonly names: readonly string[];
  readonly verdict: Verdict;
  /** All must hold; empty: always. No index occurs twice. */
  readonly conditions: readonly Condition[];
  /** Where in the profile it comes from, such as `syscalls[3]`. */
  readonly at: string;
}

/**
 * The meaning, for a call of a listed architecture: a `refusal` that fits decides first, but only
 * over a verdict that would let the call through. Then the first rule without conditions that names
 * the call, wherever it stands; then the first rule whose conditions all hold; then the default. A
 * number above the greatest that `rules` and `known` name, arm's private calls aside, gets ENOSYS
 * where `newerIsEnosys`. An architecture that is not listed gets SECCOMP_RET_KILL_PROCESS.
 */
export interface RuleSet {
  /** The native one first; it is always listed. */
  readonly architectures: readonly SeccompArchitecture[];
  readonly defaultVerdict: Verdict;
  readonly rules: readonly Rule[];
  readonly refusals: readonly Rule[];
  /** What else the profile names, in rules that decide nothing because their verdict is the default. */
  readonly known: readonly string[];
  readonly newerIsEnosys: boolean;
}
