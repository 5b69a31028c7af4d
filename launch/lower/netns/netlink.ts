/** Messages of netns/netlink.ts: their holes filled in, sent, and the kernel's answer looked at. */
import type { Message } from "../../../netns/netlink.js";
import { at, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, call, failWithResult, requestSize, s } from "../context.js";

const socket = slot("netlinkSocket");
const start = slot("netlinkMessage");
const size = slot("netlinkSize");
const cursor = slot("netlinkCursor");
const end = slot("netlinkEnd");
const piece = slot("netlinkPiece");

/** Puts bytes into the hole that begins there. */
export type Fill = (hole: Address) => void;

export const protocol = { route: 0, netfilter: 12 } as const;

/** Opens a socket in the network namespace of this process, which it goes on speaking to. */
export function openNetlink({ b }: Context, kind: keyof typeof protocol, to: Slot): void {
  b.must("socket", [k("AF_NETLINK"), k("SOCK_RAW", "SOCK_CLOEXEC"), protocol[kind]], to);
}

/** Leaves 0 or a negative errno in `s.result`. */
export function ask(
  c: Context,
  to: Slot,
  { bytes, holes }: Message,
  fills: Readonly<Record<string, Fill>> = {},
): void {
  const { b } = c;
  const message = b.bytes("netlinkMessage", bytes);
  b.set(socket, to);
  b.set(size, bytes.length);
  b.set(start, message);
  if (Object.keys(holes).length > 0) {
    const copy = c.memory.request;
    if (bytes.length > requestSize) throw new Error(`a netlink message of ${bytes.length} bytes`);
    call(c, "netlink.copy");
    b.set(start, copy);
    for (const [name, offset] of Object.entries(holes)) {
      const fill = fills[name];
      if (fill === undefined) throw new Error(`nothing fills the hole ${name}`);
      fill(at(copy, offset));
    }
  }
  call(c, "netlink.ask");
}

/** The same; a refusal fails the step at hand. */
export function tellKernel(...[c, ...rest]: Parameters<typeof ask>): void {
  ask(c, ...rest);
  requireResult(c);
}

/** Fails the step at hand where `s.result` is a negative errno. */
export function requireResult({ b }: Context): void {
  const done = b.fresh("told");
  b.branch(s.result, "eq", 0, done);
  failWithResult(b);
  b.label(done);
}

/** Those that all that was lowered before calls. */
export function netlinkSubroutines({ b, memory, called }: Context): void {
  if (called.has("netlink.copy")) {
    b.comment("copy a netlink message, which is a multiple of 4 bytes long");
    b.label("netlink.copy");
    b.alu("add", end, start, size);
    b.set(cursor, memory.request);
    b.label("netlink.copy.next");
    b.load(4, piece, start);
    b.store(4, cursor, 0, piece);
    b.alu("add", cursor, cursor, 4);
    b.alu("add", start, start, 4);
    b.branch(start, "lt", end, "netlink.copy.next");
    b.return();
  }
  if (!called.has("netlink.ask")) return;
  b.comment("send a netlink message, result := what the kernel says of it");
  b.label("netlink.ask");
  b.attempt("sendto", [socket, start, size, 0, 0, 0], s.result);
  b.branch(s.result, "lt", 0, "netlink.end");
  // struct nlmsghdr, and the error of struct nlmsgerr; of a batch, what was refused first.
  b.store(4, memory.scratch, 16, 0);
  b.attempt("recvfrom", [socket, memory.scratch, 512, 0, 0, 0], s.result);
  b.branch(s.result, "lt", 0, "netlink.end");
  b.load(4, s.result, memory.scratch, 16);
  b.branch(s.result, "eq", 0, "netlink.end");
  b.comment("32 bits with a sign");
  b.alu("sub", s.result, s.result, 2 ** 32);
  b.label("netlink.end");
  b.return();
}
