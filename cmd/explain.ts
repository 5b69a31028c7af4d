/** `sbx explain run …`: what that run would do, at each stage of the compiler. */
import { compileSandbox } from "../launch/compile.js";
import { explainPlan } from "../launch/explain.js";
import { listing } from "../launch/listing.js";
import { assertNever } from "../spec/assert-never.js";
import { visible } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import { specToJson } from "../spec/json.js";
import type { Spec } from "../spec/spec.js";
import { explainOptions, type Stage } from "./options/run.js";
import { parseRun } from "./parse.js";
import { readRequest } from "./request.js";

/**
 * `argv` is what follows `explain run`. Returns the text, whose lines a terminal takes for no more
 * than text, whatever names the rootfs has.
 */
export async function explain(argv: readonly string[]): Promise<string> {
  const parsed = parseRun(argv, explainOptions);
  const { stage = "plan", ...flags } = parsed.flags;
  const { spec, host } = await readRequest({ ...parsed, flags });
  const text = render(stage as Stage, spec, host);
  return text.split("\n").map(visible).join("\n");
}

function render(stage: Stage, spec: Spec, host: Host): string {
  switch (stage) {
    case "spec":
      return `${specToJson(spec, 2)}\n`;
    case "plan":
      return explainPlan(compileSandbox(spec, host).plan);
    case "program":
      return listing(compileSandbox(spec, host).program);
    default:
      return assertNever(stage);
  }
}
