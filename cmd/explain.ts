/** `sbx explain run …`: what that run would do, at each stage of the compiler. */
import { compileSandbox } from "../launch/compile.js";
import { explainPlan } from "../launch/explain.js";
import { listing } from "../launch/listing.js";
import { assertNever } from "../spec/step.js";
import { runOptions } from "./options.js";
import { parseRun } from "./parse.js";
import { readRequest } from "./run.js";

const stages = ["spec", "plan", "program"] as const;
type Stage = (typeof stages)[number];

export const explainOptions = {
  stage: {
    type: "string",
    nargs: 1,
    choices: stages,
    defaultDescription: "plan",
    group: "Explaining:",
    describe: "What to show: the checked spec, the plan of steps, or the program's operations",
  },
  ...runOptions,
} as const;

/** `argv` is what follows `explain run`. Returns the text. */
export async function explain(argv: readonly string[]): Promise<string> {
  const parsed = parseRun(argv, explainOptions);
  const { stage = "plan", ...flags } = parsed.flags;
  const { spec, host } = await readRequest({ ...parsed, flags });
  switch (stage as Stage) {
    case "spec":
      return `${JSON.stringify(spec, null, 2)}\n`;
    case "plan":
      return explainPlan(compileSandbox(spec, host).plan);
    case "program":
      return listing(compileSandbox(spec, host).program);
    default:
      return assertNever(stage as never);
  }
}
