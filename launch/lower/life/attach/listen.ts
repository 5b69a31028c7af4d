/** How clients come: the socket, and who may. */
import { at, slot } from "../../../machine/builder.js";
import { k } from "../../../machine/constants.js";
import { type Context, octal } from "../../context.js";
import { clientPlaces } from "../../poll.js";
import { l, lifeOf } from "../life.js";
import { composeAddress, socketName, tag } from "./messages.js";
import { cursor, entries, fd, listener, table, wanted } from "./table.js";

const own = slot("clientOwn");

/** A sandbox without the socket runs as well: who wants to attach is told. */
export function listenToClients(c: Context): void {
  const { b, memory } = c;
  const [failed, end] = [b.fresh("listen"), b.fresh("listen")];
  const type = k("SOCK_SEQPACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
  // Of a monitor that was killed; the lock of the directory is ours.
  b.ignore("none is there", "unlinkat", [l.directory, b.text(socketName), 0]);
  b.orElse(end, "socket", [k("AF_UNIX"), type, 0], listener);
  b.orElse(failed, "fchmod", [listener, octal(0o600)]);
  b.orElse(failed, "bind", [listener, memory.scratch, composeAddress(c, l.directory)]);
  b.orElse(failed, "listen", [listener, clientPlaces.length]);
  b.jump(end);
  b.label(failed);
  b.ignore("it is ours", "close", [listener]);
  b.set(listener, -1);
  b.label(end);
  if (lifeOf(c)?.start?.isAttached !== true) return;
  const later = b.fresh("listen");
  b.branch(l.restarts, "ne", 0, later);
  b.must("fcntl", [l.starter, k("F_DUPFD_CLOEXEC"), 3], fd);
  b.must("dup3", [l.directory, l.starter, k("O_CLOEXEC")]);
  b.store(8, table, 0, fd);
  b.call("clients.greet");
  b.label(later);
}

export function acceptSubroutine({ b, memory }: Context): void {
  b.label("clients.accept");
  b.orElse(
    "clients.accept.end",
    "accept4",
    [listener, 0, 0, k("SOCK_CLOEXEC", "SOCK_NONBLOCK")],
    fd,
  );
  b.comment("struct ucred: pid, uid, gid");
  const length = at(memory.scratch, 16);
  b.store(4, length, 0, 12);
  const credentials = [fd, k("SOL_SOCKET"), k("SO_PEERCRED"), memory.scratch, length] as const;
  b.orElse("clients.accept.refused", "getsockopt", credentials);
  b.load(4, wanted, memory.scratch, 4);
  b.ignore("it always succeeds", "geteuid", [], own);
  b.branch(wanted, "ne", own, "clients.accept.refused");
  for (const { entry } of entries) {
    b.set(cursor, entry);
    b.load(8, wanted, cursor);
    b.branch(wanted, "eq", -1, "clients.accept.room");
  }
  const full = b.bytes("full", Uint8Array.of(tag.full));
  b.ignore("it may be gone", "sendto", [fd, full, 1, k("MSG_NOSIGNAL"), 0, 0]);
  b.label("clients.accept.refused");
  b.ignore("it is ours", "close", [fd]);
  b.return();
  b.label("clients.accept.room");
  b.store(8, cursor, 0, fd);
  b.label("clients.greet");
  b.store(1, memory.scratch, 7, tag.pid);
  b.ignore("getpid(2) always succeeds", "getpid", [], own);
  b.store(8, memory.scratch, 8, own);
  const greeting = [at(memory.scratch, 7), 9, k("MSG_NOSIGNAL"), 0, 0] as const;
  b.ignore("it may be gone", "sendto", [fd, ...greeting]);
  b.label("clients.accept.end");
  b.return();
}
