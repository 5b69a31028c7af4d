/** Trials that ask the kernel a question, and need no namespace. */
import { encodeFilter, offsets, opcodes } from "../../seccomp/instruction.js";
import { actions } from "../../seccomp/verdict.js";
import type { Architecture } from "../../spec/host.js";
import { errnoNumbers, syscallNumbers } from "../../spec/linux.js";
import { s } from "../lower/context.js";
import { filterProgram } from "../lower/payload/seccomp.js";
import { constant } from "../machine/builder.js";
import { k, minus } from "../machine/constants.js";
import type { TrialPen } from "./program.js";

/** struct vfs_cap_data of linux/capability.h: after a word of magic, the low half of the permitted. */
export function readCapabilities({ b, memory, step, value }: TrialPen, path: string): void {
  step("read file capabilities");
  b.must("getxattr", [b.text(path), b.text("security.capability"), memory.scratch, 64]);
  b.load(4, value, memory.scratch, 4);
}

/** The value becomes the version of the ABI, landlock_create_ruleset(2). */
export function askLandlock({ b, step, value }: TrialPen): void {
  step("ask for Landlock");
  const version = constant("LANDLOCK_CREATE_RULESET_VERSION", 1);
  b.must("landlock_create_ruleset", [0, 0, version], value);
}

/** A filter that answers getpid(2) with an error which that call never gives by itself. */
export function filterCalls({ b, step }: TrialPen, architecture: Architecture): void {
  const passed = b.fresh("filtered");
  const line = (code: number, k: number, jf = 0) => ({ code, jt: 0, jf, k });
  const filter = encodeFilter([
    line(opcodes.load, offsets.number),
    line(opcodes.equal, syscallNumbers[architecture].getpid ?? 0, 1),
    line(opcodes.return, actions.ERRNO | (errnoNumbers.ENOANO ?? 0)),
    line(opcodes.return, actions.ALLOW),
  ]);
  step("load a filter");
  b.must("prctl", [k("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]);
  b.must("seccomp", [k("SECCOMP_SET_MODE_FILTER"), 0, filterProgram(b, "triedFilter", filter)]);
  step("be filtered");
  b.attempt("getpid", [], s.result);
  b.branch(s.result, "eq", minus("ENOANO"), passed);
  b.set(s.errno, errnoNumbers.EINVAL ?? 0);
  b.fail();
  b.label(passed);
}
