/** Fds that are passed over a socket: struct msghdr with one SCM_RIGHTS message, unix(7) and cmsg(3). */
import { at } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import type { Address, Slot, Value } from "../machine/ir.js";
import { type Context, call, recordSize, s } from "./context.js";
import { message } from "./messages.js";

/** Places in `scratch`, behind the header itself. */
const iovecOffset = 64;
const controlOffset = 128;

/** A header at the start of `scratch`, for the record and one fd, as nearly all have it. */
export function recordHeader(c: Context): Address {
  call(c, "message.header");
  return c.memory.scratch;
}

/** What the function above calls: the monitor also while it waits. */
export function messageSubroutine(c: Context): void {
  const { b, memory } = c;
  if (!c.called.has("message.header")) return;
  b.label("message.header");
  messageHeader(c, [[memory.record, recordSize]], 1);
  b.return();
}

/** A header at the start of `scratch`, for these pieces of memory and so many fds. */
export function messageHeader(
  { b, memory }: Context,
  pieces: readonly (readonly [start: Address, size: Value])[],
  fds: number,
): Address {
  const iovec = at(memory.scratch, iovecOffset);
  for (const [index, [start, size]] of pieces.entries()) {
    b.store(8, iovec, 16 * index, start);
    b.store(8, iovec, 16 * index + 8, size);
  }
  for (const [offset, value] of [
    [0, 0],
    [8, 0],
    [16, iovec],
    [24, pieces.length],
    [32, at(memory.scratch, controlOffset)],
    [40, Math.ceil((16 + 4 * fds) / 8) * 8],
    [48, 0],
  ] as const) {
    b.store(8, memory.scratch, offset, value);
  }
  return memory.scratch;
}

/** Where the fd lies that came with a received message, or the one of several. */
export function receivedFd({ memory }: Context, index = 0): Address {
  return at(memory.scratch, controlOffset + 16 + 4 * index);
}

/** Puts the fds, as many as it was made for, into the header that was made last. */
export function attachFds({ b, memory }: Context, fds: readonly Slot[]): void {
  const control = at(memory.scratch, controlOffset);
  b.store(8, control, 0, 16 + 4 * fds.length);
  b.store(4, control, 8, k("SOL_SOCKET"));
  b.store(4, control, 12, k("SCM_RIGHTS"));
  for (const [index, fd] of fds.entries()) b.store(4, control, 16 + 4 * index, fd);
}

/** Sends a message with a fd from inside to the monitor, or by another socket. */
export function sendFd(
  c: Context,
  kind: keyof typeof message,
  fd: Slot,
  value = 0,
  to = s.controlInside,
): void {
  const { b, memory } = c;
  b.store(8, memory.record, 0, message[kind]);
  b.store(8, memory.record, 8, value);
  const header = recordHeader(c);
  attachFds(c, [fd]);
  b.must("sendmsg", [to, header, k("MSG_NOSIGNAL")]);
}
