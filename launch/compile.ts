/** Spec → bytes, with what lies between. */
import type { Host } from "../spec/host.js";
import type { Plan } from "../spec/plan.js";
import type { Spec } from "../spec/spec.js";
import type { Again } from "./lower/again.js";
import { lower } from "./lower/lower.js";
import type { Program } from "./machine/ir.js";
import { compile } from "./machine/link.js";
import { plan } from "./plan.js";

export interface Compiled {
  readonly plan: Plan;
  readonly program: Program;
  /** A static ELF executable; its arguments are the payload's, `again` has those of the cache. */
  readonly bytes: Uint8Array;
}

/** Throws an `SbxError` where the plan sees that the sandbox cannot be had on this host. */
export function compileSandbox(
  spec: Spec,
  host: Host,
  again: Again | null = null,
  ends: Pick<Plan, "endsWithReader"> = {},
): Compiled {
  const planned = { ...plan(spec, host), ...ends };
  const program = lower(planned, again);
  return { plan: planned, program, bytes: compile(program, host.architecture) };
}
