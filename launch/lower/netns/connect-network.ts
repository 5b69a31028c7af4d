/**
 * The program of `sbx network connect` and `disconnect`: one process, which enters the namespaces of the
 * networks' holder, and has rights over those of all sandboxes on them from there.
 */
import type { Plan } from "../../../spec/plan.js";
import { slot } from "../../machine/builder.js";
import type { Program } from "../../machine/ir.js";
import { context, s } from "../context.js";
import { sandboxName } from "../record/place.js";
import { failure, shareMemory } from "../shared.js";
import { readArguments, refuseForeignStart } from "../start.js";
import { lowerSteps } from "../steps.js";
import { failureTextSubroutines, failureTexts } from "../text/failure-texts.js";
import { reportFailure } from "../text/report.js";
import { textSubroutines } from "../text/text.js";
import { holderState } from "./holder.js";
import { lowerKeeper } from "./keeper.js";
import { networkSubroutines } from "./link-text.js";
import { netlinkSubroutines } from "./netlink.js";
import { networkState } from "./network.js";

const code = slot("exitCode");

/** `name` is the sandbox's. */
export function lowerConnect(plan: Plan, name: string): Program {
  const c = context(plan);
  const { b } = c;
  b.failTo("connect.fail");
  readArguments(c);
  refuseForeignStart(c);
  holderState(c);
  networkState(c);
  b.set(sandboxName, b.text(name));
  b.set(s.step, 0);
  shareMemory(c);
  lowerSteps(c, "monitor");
  b.exit(0);
  b.label("connect.fail");
  b.set(failure.step, s.step);
  b.set(failure.errno, s.errno);
  reportFailure(c, code);
  b.exit(code);
  lowerKeeper(c);
  networkSubroutines(c);
  netlinkSubroutines(c);
  textSubroutines(c);
  failureTextSubroutines(c);
  failureTexts(c);
  return b.finish();
}
