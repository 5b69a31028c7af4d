/** Holds a filter against the direct reading of the rule set that it was made from. */
import * as assert from "uvu/assert";
import { decide } from "../../seccomp/decide.js";
import type { Instruction } from "../../seccomp/instruction.js";
import type { RuleSet } from "../../seccomp/rules.js";
import { type Call, simulate } from "../../seccomp/simulate.js";
import { validate } from "../../seccomp/validate.js";
import { allow, describeVerdict } from "../../seccomp/verdict.js";

/** The kernel would take it, each call is decided as `decide` says, and what is always allowed can be kept. */
export function judge(
  program: readonly Instruction[],
  ruleSet: RuleSet,
  calls: readonly Call[],
): void {
  assert.is(validate(program), null);
  for (const call of calls) {
    const decision = decide(ruleSet, call.arch, call.nr, call.args);
    const { verdict, cacheable } = simulate(program, call);
    if (verdict !== decision.verdict) {
      const [is, should] = [verdict, decision.verdict].map(describeVerdict);
      assert.unreachable(`${describeCall(call)} gets ${is}, not ${should} (${decision.kind})`);
    }
    // `callsFor` has no arguments where no rule asks for any. The kernel keeps what is in its tables.
    const isAlwaysAllowed = call.args.length === 0 && call.nr < 1024 && verdict === allow;
    if (isAlwaysAllowed && !cacheable) assert.unreachable(`${describeCall(call)} is not cacheable`);
  }
}

/** A call in one line. */
export function describeCall({ nr, arch, args }: Call): string {
  const words = args.map((value) => `0x${value.toString(16)}`).join(", ");
  return `0x${nr.toString(16)}(${words}) of the architecture 0x${arch.toString(16)}`;
}

/** Puts the name before the message of what the body throws. */
export function naming(name: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : error}`);
  }
}
