/** What the answerer may still do once it has its sockets. */
import { compileFilter } from "../../../../seccomp/compile.js";
import { encodeFilter } from "../../../../seccomp/instruction.js";
import type { Condition, Rule } from "../../../../seccomp/rules.js";
import { allow, killProcess } from "../../../../seccomp/verdict.js";
import type { Architecture } from "../../../../spec/host.js";
import { k } from "../../../machine/constants.js";
import { dropBounding, setCapabilities } from "../../payload/privileges.js";
import { filterProgram } from "../../payload/seccomp.js";
import type { Answerer } from "./memory.js";

const calls = [
  "accept4",
  "clock_gettime",
  "close",
  "connect",
  "exit_group",
  "getrandom",
  "getsockopt",
  "ppoll",
  "recvfrom",
  "recvmsg",
  "sendmsg",
  "sendto",
];
const is = (index: number, { value }: { value: bigint }): Condition => ({
  index,
  op: "EQ",
  value,
  valueTwo: 0n,
});

/** Anything else ends the process: its parts that run make no other calls. */
function filter(architecture: Architecture): Uint8Array {
  const rule = (names: readonly string[], ...conditions: Condition[]): Rule => ({
    names,
    verdict: allow,
    conditions,
    at: "answerer",
  });
  return encodeFilter(
    compileFilter({
      architectures: [architecture],
      defaultVerdict: killProcess,
      rules: [
        rule(calls),
        rule(["socket"], is(0, k("AF_INET"))),
        rule(["socket"], is(0, k("AF_INET6"))),
        rule(["setsockopt"], is(1, k("SOL_SOCKET")), is(2, k("SO_RCVLOWAT"))),
      ],
      refusals: [],
      known: [],
      newerIsEnosys: false,
    }),
  );
}

/** No capabilities, none to be had, out of reach of ptrace(2), and a filter. */
export function confine({ b, c, architecture }: Answerer): void {
  dropBounding(c, 0n);
  setCapabilities(c, { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] });
  b.must("prctl", [k("PR_SET_DUMPABLE"), 0, 0, 0, 0]);
  b.must("prctl", [k("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]);
  const program = filterProgram(b, "answererFilter", filter(architecture));
  b.must("seccomp", [k("SECCOMP_SET_MODE_FILTER"), 0, program]);
}
