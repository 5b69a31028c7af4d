/** Signals, which are blocked in all of our processes but handed on as the caller had them. */
import { slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import type { Context } from "./context.js";

/** Before anything else that uses `allSignals`. */
export function blockSignals({ b, memory }: Context): void {
  b.store(8, memory.allSignals, 0, -1);
  b.must("rt_sigprocmask", [k("SIG_SETMASK"), memory.allSignals, memory.callerSignals, 8]);
}

/** The signal mask that the caller had. */
export function unblockSignals({ b, memory }: Context): void {
  b.ignore("a valid mask is never refused", "rt_sigprocmask", [
    k("SIG_SETMASK"),
    memory.callerSignals,
    0,
    8,
  ]);
}

/** What is to run in the background ignores and blocks no signals, whatever whoever started it does. */
export function forgetSignals({ b, memory }: Context): void {
  const next = b.fresh("signals");
  const number = slot("signalNumber");
  const byDefault = b.bytes("defaultAction", new Uint8Array(32));
  b.store(8, memory.callerSignals, 0, 0);
  b.set(number, 1);
  b.label(next);
  b.ignore("SIGKILL and SIGSTOP have no other", "rt_sigaction", [number, byDefault, 0, 8]);
  b.alu("add", number, number, 1);
  b.branch(number, "le", 64, next);
}
