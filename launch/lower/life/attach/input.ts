/** What clients send, on its way to the payload: its stdin, and the size of its terminal's window. */
import { k, minus } from "../../../machine/constants.js";
import type { Context } from "../../context.js";
import { t } from "../../payload/terminal.js";
import { inWrite } from "../detach.js";
import { lifeOf } from "../life.js";
import { inputSize, tag } from "./messages.js";
import {
  cursor,
  fd,
  hasSize,
  input,
  isBehind,
  received,
  result,
  size,
  wanted,
  watched,
} from "./table.js";

export function inputSubroutines(c: Context): void {
  const { b } = c;
  const acceptsInput = lifeOf(c)?.stdin === true;
  b.label("clients.serve");
  b.load(8, isBehind, cursor, 8);
  b.branch(isBehind, "eq", 0, "clients.receive");
  b.call("clients.send");
  b.label("clients.receive");
  b.branch(input.length, "ne", 0, "clients.input.end");
  b.load(8, fd, cursor);
  b.attempt("recvfrom", [fd, received.tag, 1 + inputSize, k("MSG_DONTWAIT"), 0, 0], result);
  b.branch(result, "eq", minus("EAGAIN"), "clients.input.end");
  b.branch(result, "le", 0, "clients.drop");
  b.load(1, wanted, received.tag);
  for (const [kind, label] of [
    ...(acceptsInput
      ? ([
          ["stdin", "clients.stdin"],
          ["endOfStdin", "clients.endOfStdin"],
        ] as const)
      : []),
    ...(c.terminal ? ([["windowSize", "clients.windowSize"]] as const) : []),
  ] as const) {
    b.branch(wanted, "eq", tag[kind], label);
  }
  b.return();

  b.label("clients.target");
  b.set(watched, c.terminal ? t.ptyFd : acceptsInput ? inWrite : -1);
  b.return();
  if (acceptsInput) {
    b.label("clients.endOfStdin");
    if (c.terminal) {
      b.comment("^D, to a terminal");
      b.store(1, received.data, 0, 4);
      b.set(result, 2);
    } else {
      b.branch(inWrite, "lt", 0, "clients.input.end");
      b.ignore("it is ours", "close", [inWrite]);
      b.set(inWrite, -1);
      b.return();
    }
    b.label("clients.stdin");
    b.set(input.start, received.data);
    b.alu("sub", input.length, result, 1);
  }
  b.label("clients.input");
  b.call("clients.target");
  if (c.terminal) {
    b.comment("which may be on its way yet");
    b.branch(watched, "lt", 0, "clients.input.end");
  }
  b.attempt("write", [watched, input.start, input.length], result);
  b.branch(result, "eq", minus("EAGAIN"), "clients.input.end");
  b.branch(result, "gt", 0, "clients.input.some");
  b.comment("nobody reads it any more");
  b.set(result, input.length);
  b.label("clients.input.some");
  b.alu("add", input.start, input.start, result);
  b.alu("sub", input.length, input.length, result);
  b.label("clients.input.end");
  b.return();

  if (!c.terminal) return;
  b.label("clients.windowSize");
  b.load(8, wanted, received.data);
  b.store(8, size, 0, wanted);
  b.set(hasSize, 1);
  b.label("clients.resize");
  b.branch(hasSize, "eq", 0, "clients.resize.end");
  b.branch(t.ptyFd, "lt", 0, "clients.resize.end");
  b.ignore("a size is a courtesy", "ioctl", [t.ptyFd, k("TIOCSWINSZ"), size]);
  b.label("clients.resize.end");
  b.return();
}
