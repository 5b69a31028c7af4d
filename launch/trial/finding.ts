/** What is said about one thing that a host may offer. */
import { errnoNumbers } from "../../spec/linux.js";
import { pseudoErrno } from "../lower/pseudo-errno.js";
import type { Facts } from "./facts.js";
import type { TrialName } from "./list.js";
import type { Outcome } from "./program.js";

export interface Finding {
  /** Stable, for programs: lower-case words joined by `-`. */
  readonly id: string;
  readonly state: "ok" | "limited" | "missing";
  /** What there is, or why it is not there: one phrase. */
  readonly found: string;
  /** How to mend it: a command line, or one sentence. */
  readonly mend?: string;
  /** What it means for `sbx run`; absent where it works all the same. */
  readonly consequence?: Consequence;
}

/** `flag`: works only with that flag. `fatal`: cannot work. */
export type Consequence =
  | { readonly kind: "flag"; readonly flag: string }
  | { readonly kind: "fatal" };

export const fatal: Consequence = { kind: "fatal" };
export const withFlag = (flag: string): Consequence => ({ kind: "flag", flag });

/** Adds the consequence where there is one. */
function bearing(finding: Finding, consequence: Consequence | null): Finding {
  return consequence === null ? finding : { ...finding, consequence };
}

const errnoNames = new Map(Object.entries(errnoNumbers).map(([name, number]) => [number, name]));

/** The errno's name, as `EPERM`; of other ways to fail a name of the like. */
function errnoName(errno: number): string {
  if (errno < 0) return `signal ${-errno}`;
  if (errno === pseudoErrno.helperFailed) return "helper failed";
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

export type Failure = NonNullable<Outcome["failure"]>;

/** `mount proc: EPERM` */
export function describeFailure({ step, errno }: Failure): string {
  return `${step}: ${errnoName(errno)}`;
}

/** These need no user namespace. */
const independent = new Set<TrialName>([
  "user",
  "seccomp",
  "landlock",
  "newuidmapCapabilities",
  "newgidmapCapabilities",
]);

/**
 * Judges the outcome of a trial. Where there is none, or a failure that is that of the user
 * namespace all stand on, it is missing, and the mend is with what it names.
 */
export function judgeTrial(
  facts: Pick<Facts, "outcomes">,
  id: string,
  name: TrialName,
  judge: {
    readonly good: (value: number) => Finding;
    readonly bad: (failure: Failure, errno: string) => Omit<Finding, "id" | "state">;
    readonly consequence: Consequence | null;
  },
): Finding {
  const missing = (finding: Omit<Finding, "id" | "state">) =>
    bearing({ id, state: "missing", ...finding }, judge.consequence);
  if (facts.outcomes === null) {
    return missing({ found: "not tried, since no program can be executed: see programs" });
  }
  if (!independent.has(name) && facts.outcomes.user?.failure != null) {
    return missing({ found: "needs the user namespace, see user-namespace" });
  }
  const outcome = facts.outcomes[name];
  if (outcome === undefined) {
    return missing({
      found: "the trial was given up, since it came to no end",
      mend: "Look for what hangs (a directory service, a network file system), and check again",
    });
  }
  if (outcome.failure === null) return judge.good(outcome.value);
  return missing(judge.bad(outcome.failure, errnoName(outcome.failure.errno)));
}
