/** What the processes of a sandbox say to each other on the control socket. */
import { k } from "../machine/constants.js";
import type { Value } from "../machine/ir.js";
import { type Context, recordSize, s } from "./context.js";

/** Kinds of message on the control socket. */
export const message = {
  /** The payload's execve succeeded. */
  ready: 1,
  /** The payload stopped: the signal. */
  stopped: 2,
  /** The payload ended: the status that wait4(2) gave. */
  exited: 3,
  /** The pty's outer side comes with it, as SCM_RIGHTS. */
  terminal: 4,
  /** The payload goes on after a stop; says no more than that the monitor must not sleep. */
  continued: 5,
  /** The listener of the payload's filter comes with it; the answer, the same, that it was handed on. */
  listener: 6,
  /** The listener of the filter that watches changes of owners comes with it. */
  owners: 7,
  /** The set-up is done, and memory can be limited; the answer is a byte on the release pipe. */
  limits: 8,
  /** A namespace that the init has made comes with it; the value is its number among `lateTypes`. */
  namespace: 9,
  /** From an early payload to the init: its network namespace comes with it. */
  network: 10,
  /** The answer. */
  go: 11,
  /** The record is to be written; the answer is a byte on the release pipe. */
  record: 12,
} as const;

/** Sends a message from inside to the monitor, or by another socket. */
export function tell(
  { b, memory }: Context,
  kind: keyof typeof message,
  value: Value,
  to = s.controlInside,
): void {
  b.store(8, memory.record, 0, message[kind]);
  b.store(8, memory.record, 8, value);
  b.ignore("who is not there is about to be noticed, or all to be killed", "sendto", [
    to,
    memory.record,
    recordSize,
    k("MSG_NOSIGNAL"),
    0,
    0,
  ]);
}
