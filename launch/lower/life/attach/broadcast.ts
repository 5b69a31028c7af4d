/** A chunk of output on its way to all clients, and the exit status at the end. */
import { slot } from "../../../machine/builder.js";
import { k, minus } from "../../../machine/constants.js";
import type { Context } from "../../context.js";
import { chunk } from "../chunk.js";
import { l } from "../life.js";
import { state } from "../state.js";
import { socketName, tag } from "./messages.js";
import { cursor, entries, fd, isBehind, isHeld, listener, patience, result } from "./table.js";

const sent = slot("clientSent");

export function broadcastSubroutines(c: Context): void {
  const { b } = c;
  b.comment("give a chunk to all");
  b.label("clients.write");
  b.alu("add", result, chunk.stream, "0".charCodeAt(0));
  b.store(1, chunk.tag, 0, result);
  b.label("clients.offer");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.send");
  }
  b.return();

  b.label("clients.send");
  b.load(8, fd, cursor);
  b.branch(fd, "lt", 0, "clients.send.end");
  b.store(8, cursor, 8, 0);
  b.alu("add", sent, chunk.length, 1);
  const flags = k("MSG_DONTWAIT", "MSG_NOSIGNAL");
  b.attempt("sendto", [fd, chunk.tag, sent, flags, 0, 0], result);
  // Of one that is gone, reading tells.
  b.branch(result, "ne", minus("EAGAIN"), "clients.send.end");
  b.store(8, cursor, 8, 1);
  b.set(isHeld, 1);
  b.label("clients.send.end");
  b.return();

  b.comment("there is no more output: all learn the exit status, and are let go");
  b.label("clients.end");
  b.call("clients.await");
  b.store(8, chunk.buffer, 0, state.exitCode);
  b.set(chunk.length, 8);
  b.store(1, chunk.tag, 0, tag.exited);
  b.call("clients.offer");
  b.call("clients.await");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.drop");
  }
  b.branch(listener, "lt", 0, "clients.ended");
  b.ignore("it is ours", "close", [listener]);
  b.ignore("it is ours", "unlinkat", [l.directory, b.text(socketName), 0]);
  b.set(listener, -1);
  b.label("clients.ended");
  b.return();

  b.comment("wait until all have taken it, or have had their time");
  b.label("clients.await");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.settle");
  }
  b.return();
  b.label("clients.settle");
  b.load(8, isBehind, cursor, 8);
  b.branch(isBehind, "eq", 0, "clients.settle.end");
  b.load(8, fd, cursor);
  b.store(4, c.memory.scratch, 0, fd);
  b.store(4, c.memory.scratch, 4, k("POLLOUT"));
  // ppoll(2) leaves in the timespec what is left of it.
  b.attempt("ppoll", [c.memory.scratch, 1, patience, 0, 8], result);
  b.branch(result, "le", 0, "clients.drop");
  b.call("clients.send");
  b.jump("clients.settle");
  b.label("clients.settle.end");
  b.return();

  b.label("clients.drop");
  b.load(8, fd, cursor);
  b.branch(fd, "lt", 0, "clients.drop.end");
  b.ignore("it is ours", "close", [fd]);
  b.store(8, cursor, 0, -1);
  b.store(8, cursor, 8, 0);
  b.label("clients.drop.end");
  b.return();
}
