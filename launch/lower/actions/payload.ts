/** The steps of spec/actions/payload.ts as ops. */
import type { PayloadAction } from "../../../spec/actions/payload.js";
import { rlimitNames } from "../../../spec/spec.js";
import { constant } from "../../machine/builder.js";
import { octal, s, words64 } from "../context.js";
import { tidyFds } from "../fds.js";
import { awaitInit, startPayload } from "../payload/early.js";
import { execute } from "../payload/execute.js";
import { openTerminal } from "../payload/terminal.js";
import type { Lowering } from "../steps.js";

export const payloadSteps: Lowering<PayloadAction> = {
  tidyFds,
  openTerminal,
  setrlimit: ({ b }, { type, soft, hard }) =>
    b.must("prlimit64", [
      0,
      constant(type, rlimitNames.indexOf(type)),
      b.bytes("limit", words64([soft, hard])),
      0,
    ]),
  umask: ({ b }, { mask }) => b.set(s.payloadUmask, octal(mask)),
  startPayload,
  awaitInit,
  execve: execute,
};
