/** Trials that ask the kernel a question, and need no namespace. */
import type { Architecture } from "../../spec/host.js";
import { errnoNumbers, syscallNumbers } from "../../spec/linux.js";
import { constant } from "../builder.js";
import { k, minus } from "../constants.js";
import { s } from "../lower/context.js";
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
  // struct sock_filter: code, jt, jf, k; codes and actions of linux/bpf_common.h and linux/seccomp.h.
  const filter = [
    { code: 0x20, jf: 0, k: 0 },
    { code: 0x15, jf: 1, k: syscallNumbers[architecture].getpid ?? 0 },
    { code: 0x06, jf: 0, k: 0x0005_0000 | (errnoNumbers.ENOANO ?? 0) },
    { code: 0x06, jf: 0, k: 0x7fff_0000 },
  ];
  const bytes = new Uint8Array(8 * filter.length);
  const view = new DataView(bytes.buffer);
  for (const [index, line] of filter.entries()) {
    view.setUint16(8 * index, line.code, true);
    view.setUint8(8 * index + 3, line.jf);
    view.setUint32(8 * index + 4, line.k, true);
  }
  const program = b.words("seccompProgram", [filter.length, b.bytes("filter", bytes)], false);
  step("load a filter");
  b.must("prctl", [k("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]);
  b.must("seccomp", [constant("SECCOMP_SET_MODE_FILTER", 1), 0, program]);
  step("be filtered");
  b.attempt("getpid", [], s.result);
  b.branch(s.result, "eq", minus("ENOANO"), passed);
  b.set(s.errno, errnoNumbers.EINVAL ?? 0);
  b.fail();
  b.label(passed);
}
