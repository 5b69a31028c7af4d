/** The steps that a payload still makes when its filter is loaded, and whether the filter lets them. */
import { fail } from "../spec/error.js";
import type { Action, Step } from "../spec/step.js";
import type { RuleSet, Verdict } from "./rules.js";
import { actions, describeVerdict, mayLetThrough } from "./verdict.js";

/** The system calls of the steps that may come behind the filter; of execve those of a success. */
export const callsOf: Readonly<Partial<Record<Action["kind"], readonly string[]>>> = {
  keepCapabilities: ["prctl"],
  setIds: ["setresgid", "setresuid"],
  dieWithMonitor: ["prctl", "ppoll"],
  // Where openat2 is refused, the way is walked.
  enterWorkdir: ["fchdir"],
  setCapabilities: ["capget", "capset", "prctl"],
  execve: ["execve"],
};

/** The step, with a hint where the filter may refuse it. Gives up where that is sure. */
export function underFilter(step: Step, ruleSet: RuleSet, source: string): Step {
  const otherwise =
    step.action.kind === "execve"
      ? ""
      : ", or leave no-new-privileges=false out: the filter is loaded after this step then";
  const doubtful = (callsOf[step.action.kind] ?? []).filter((call) => {
    const always = alwaysOf(ruleSet, call);
    if (always !== null && !mayLetThrough(always.verdict)) {
      fail(
        always.at ?? `${source}: defaultAction`,
        `${call}(2) gets ${describeVerdict(always.verdict)}, so that no command could be started under the filter`,
        `Allow ${call}${otherwise}`,
      );
    }
    return always === null || always.verdict < actions.LOG;
  });
  if (doubtful.length === 0) return step;
  const any = `The seccomp filter is loaded by then, and may be what refuses it: allow ${doubtful.join(", ")}${otherwise}`;
  return { ...step, hints: { any, ...step.hints } };
}

/** Whether no call of that name gets through, whatever its arguments. */
export function isRefused(ruleSet: RuleSet, call: string): boolean {
  const always = alwaysOf(ruleSet, call);
  return always !== null && !mayLetThrough(always.verdict);
}

/** What the call gets whatever its arguments are; null where they count. */
function alwaysOf(
  { rules, defaultVerdict }: RuleSet,
  call: string,
): { readonly verdict: Verdict; readonly at?: string } | null {
  const naming = rules.filter(({ names }) => names.includes(call));
  const always = naming.find(({ conditions }) => conditions.length === 0);
  return always ?? (naming.length > 0 ? null : { verdict: defaultVerdict });
}
