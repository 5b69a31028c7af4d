/**
 * Programs of the library end with the Node that started them, however that ends: nobody else knows of them.
 * What tells is the status fd, a pipe that only this Node has the other end of.
 */
import { slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import { actionOf, type Context, s } from "../context.js";
import { events, type PollTable } from "../poll.js";
import { exitStatus } from "../text/report.js";

/** The status fd; -1 once it has no reader. */
const reader = slot("readerFd");

/** Before any step. */
export function readerState({ b, plan }: Context): void {
  if (plan.endsWithReader) b.set(reader, plan.statusFd ?? -1);
}

/** In the monitor's loop. Its end is an error of the pipe, which needs not be asked for. */
export function watchReader({ plan }: Context, poll: PollTable): void {
  if (plan.endsWithReader) poll.watch("reader", reader, k());
}

/** The same. Who enters a sandbox has an init that reaps the command, and ends when the monitor does. */
export function takeReader(c: Context, poll: PollTable): void {
  const { b, plan } = c;
  if (!plan.endsWithReader) return;
  const listens = b.fresh("reader");
  poll.happened("reader");
  b.branch(events, "eq", 0, listens);
  b.set(reader, -1);
  if (actionOf(c, "outliveMonitor") === undefined) {
    b.ignore("it may have ended", "kill", [s.initPid, signo("SIGKILL")]);
  } else {
    if (c.relays) b.call("terminal.leave");
    b.exit(exitStatus.setUpFailed);
  }
  b.label(listens);
}
