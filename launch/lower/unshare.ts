/**
 * The program of `sbx unshare`: no monitor and no init. The process that the caller started enters a
 * user namespace itself and becomes the command, so that terminal, signals and exit status are the
 * command's own; a child that stays outside, the mapper, maps its ids meanwhile.
 */
import type { Plan } from "../../spec/plan.js";
import { slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import type { Program } from "../machine/ir.js";
import { actionOf, type Context, context, s, stepOf } from "./context.js";
import { mapIds } from "./id-maps.js";
import { executeSubroutines, prepareExecute } from "./payload/execute.js";
import { failure, shareMemory } from "./shared.js";
import { blockSignals, unblockSignals } from "./signals.js";
import { readArguments, refuseForeignStart } from "./start.js";
import { lowerSteps } from "./steps.js";
import { failureTextSubroutines, failureTexts } from "./text/failure-texts.js";
import { exitStatus, reportFailure } from "./text/report.js";
import { textSubroutines } from "./text/text.js";

const mapper = slot("mapperPid");
const bytes = slot("bytes");
const code = slot("exitCode");

/** The plan of launch/programs/unshare.ts as a program, whose arguments are the command's. */
export function lowerUnshare(plan: Plan): Program {
  const c = context(plan);
  const { b } = c;
  b.failTo("unshare.fail");
  readArguments(c);
  refuseForeignStart(c);
  b.set(s.step, 0);
  blockSignals(c);
  lowerSteps(c, "monitor");
  // Where a failing execve leaves its errno.
  shareMemory(c);

  // Else a step of the payload's enters one that is there.
  const isNew = stepOf(c, "clone") >= 0;
  if (isNew) unshareMapped(c);
  unblockSignals(c);
  prepareExecute(c);
  lowerSteps(c, "payload");

  if (isNew) lowerMapper(c);

  b.label("unshare.fail");
  b.set(failure.step, s.step);
  b.set(failure.errno, s.errno);
  reportFailure(c, code);
  b.exit(code);
  executeSubroutines(c);
  textSubroutines(c);
  failureTextSubroutines(c);
  failureTexts(c);
  return b.finish();
}

/** The process goes on in a user namespace of its own, when the mapper has mapped its ids. */
function unshareMapped(c: Context): void {
  const { b, memory } = c;
  b.must("getpid", [], s.initPid);
  b.must("pipe2", [memory.pair, k("O_CLOEXEC")]);
  b.load(4, s.releaseRead, memory.pair);
  b.load(4, s.releaseWrite, memory.pair, 4);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], mapper);
  b.branch(mapper, "eq", 0, "mapper");
  b.set(s.step, stepOf(c, "clone"));
  b.must("unshare", [k("CLONE_NEWUSER")]);
  b.ignore("a mapper that died is noticed below", "write", [s.releaseWrite, b.text("!"), 1]);
  b.must("wait4", [mapper, memory.status, 0, 0]);
  b.load(4, code, memory.status);
  b.branch(code, "eq", 0, "unshare.mapped");
  b.comment("the mapper has said why");
  b.exit(exitStatus.setUpFailed);
  b.label("unshare.mapped");
}

function lowerMapper(c: Context): void {
  const { b, memory } = c;
  b.label("mapper");
  b.must("close", [s.releaseWrite]);
  b.ignore("the result tells", "read", [s.releaseRead, memory.scratch, 1], bytes);
  b.branch(bytes, "eq", 1, "mapper.released");
  b.exit(exitStatus.setUpFailed);
  b.label("mapper.released");
  const action = actionOf(c, "mapIds");
  b.set(s.step, stepOf(c, "mapIds"));
  if (action !== undefined) mapIds(c, action, s.initPid);
  b.exit(0);
}
