/** What a client gets from the monitor: the sandbox's output, which it shows, and its end. */
import { at, slot } from "../../../machine/builder.js";
import { k, minus } from "../../../machine/constants.js";
import { type Context, s } from "../../context.js";
import { pseudoErrno } from "../../pseudo-errno.js";
import { chunkSize } from "../chunk.js";
import { socket } from "./client-connect.js";
import { tag } from "./messages.js";

/** The monitor; -1 before it has said who it is. */
export const monitor = slot("monitorPidfd");
/** What came from there: how much is left of it, and where it goes. */
export const shown = {
  fd: slot("shownFd"),
  start: slot("shownStart"),
  length: slot("shownLength"),
};
const wanted = slot("wantedEvents");
const number = slot("clientNumber");

/** A write of more may wait, though poll(2) says that there is room: PIPE_BUF, pipe(7). */
const writeSize = 4096;

export function outputSubroutines(c: Context): void {
  const { b } = c;
  const message = b.buffer("shownMessage", 8 + chunkSize);
  const [messageTag, data] = [at(message, 7), at(message, 8)];
  b.label("client.receive");
  b.branch(shown.length, "ne", 0, "client.receive.end");
  b.label("client.receive.again");
  const flags = k("MSG_DONTWAIT");
  b.attempt("recvfrom", [socket, messageTag, 1 + chunkSize, flags, 0, 0], shown.length);
  b.branch(shown.length, "gt", 0, "client.receive.some");
  b.comment("the monitor ended with input of ours unread; what it has sent comes after this error");
  b.branch(shown.length, "eq", minus("ECONNRESET"), "client.receive.again");
  b.branch(shown.length, "ne", minus("EAGAIN"), "client.closed");
  b.set(shown.length, 0);
  b.return();
  b.label("client.receive.some");
  b.load(1, wanted, messageTag);
  b.load(8, number, data);
  b.set(shown.start, data);
  b.alu("sub", shown.fd, wanted, "0".charCodeAt(0));
  b.alu("sub", shown.length, shown.length, 1);
  for (const each of [tag.stdout, tag.stderr]) b.branch(wanted, "eq", each, "client.receive.end");
  b.branch(wanted, "eq", tag.exited, "client.exited");
  b.set(shown.length, 0);
  b.branch(wanted, "eq", tag.pid, "client.known");
  b.set(s.errno, pseudoErrno.clientsFull);
  b.jump("client.fail");
  b.label("client.known");
  b.orElse("client.receive.end", "pidfd_open", [number, 0], monitor);
  b.comment("it is the monitor's, if that lives");
  b.store(4, c.memory.scratch, 0, socket);
  b.store(4, c.memory.scratch, 4, 0);
  b.store(8, c.memory.scratch, 16, 0);
  b.store(8, c.memory.scratch, 24, 0);
  b.attempt("ppoll", [c.memory.scratch, 1, at(c.memory.scratch, 16), 0, 8], number);
  b.branch(number, "eq", 0, "client.receive.end");
  b.ignore("it is ours", "close", [monitor]);
  b.set(monitor, -1);
  b.label("client.receive.end");
  b.return();

  b.label("client.show");
  b.set(number, shown.length);
  b.branch(number, "le", writeSize, "client.show.part");
  b.set(number, writeSize);
  b.label("client.show.part");
  b.attempt("write", [shown.fd, shown.start, number], number);
  b.branch(number, "eq", minus("EAGAIN"), "client.receive.end");
  b.branch(number, "lt", 0, "client.unread");
  b.alu("add", shown.start, shown.start, number);
  b.alu("sub", shown.length, shown.length, number);
  b.return();
}
