/** What a client passes on of its standard input, and the keys that it keeps to itself. */
import { at, slot } from "../../../machine/builder.js";
import { k, minus } from "../../../machine/constants.js";
import type { Slot } from "../../../machine/ir.js";
import { type Context, s } from "../../context.js";
import { t } from "../../payload/terminal.js";
import { socket } from "./client-connect.js";
import { inputSize, tag } from "./messages.js";

export interface Client {
  /** Whether the sandbox has a terminal; then signals are for the client. */
  readonly hasTerminal: boolean;
  /** Whether standard input is passed on. */
  readonly input: boolean;
  /** The bytes of the keys to detach, in a terminal; none where there are to be none. At most 16. */
  readonly detachKeys: Uint8Array;
  /** Whether signals are passed on to a sandbox without a terminal. */
  readonly passesSignals: boolean;
}

export const mostDetachKeys = 16;

export const stdinOpen = slot("stdinOpen");
/** What goes to the monitor: the length of the message, tag included. */
export const sent = slot("sentLength");
/** How often the end of stdin is to be told of again. */
export const endsLeft = slot("endsLeft");
const mostEnds = 100;
/** How many of the keys to detach were typed. */
export const matched = slot("matchedKeys");
const number = slot("clientNumber");

/** What goes to the monitor. */
export function sendSubroutines(c: Context, { hasTerminal, detachKeys }: Client): void {
  const { b } = c;
  const message = b.buffer("sentMessage", 8 + inputSize);
  const [messageTag, data] = [at(message, 7), at(message, 8)];
  // Keys that were held back may come in front of what is read.
  const readSize = inputSize - mostDetachKeys;
  const typed = b.buffer("typed", readSize);
  const count = slot("typedCount");
  const [from, end, to] = [slot("typedFrom"), slot("typedEnd"), slot("typedTo")];
  const letter = slot("typedLetter");

  b.label("client.send");
  b.branch(sent, "eq", 0, "client.send.end");
  const flags = k("MSG_DONTWAIT", "MSG_NOSIGNAL");
  b.attempt("sendto", [socket, messageTag, sent, flags, 0, 0], number);
  b.branch(number, "eq", minus("EAGAIN"), "client.send.end");
  b.comment("of a monitor that is gone, receiving tells");
  b.set(sent, 0);
  b.label("client.send.end");
  b.return();

  b.label("client.read");
  b.store(1, messageTag, 0, tag.stdin);
  b.attempt("read", [0, typed, readSize], count);
  b.branch(count, "eq", minus("EAGAIN"), "client.send.end");
  b.branch(count, "gt", 0, "client.read.some");
  b.set(stdinOpen, 0);
  b.comment(
    "a terminal has no end of input; one that hangs up is no reason for the sandbox to have one",
  );
  b.branch(s.stdinIsTerminal, "ne", 0, "client.send.end");
  if (hasTerminal) {
    b.comment("as ^D, which is lost where the payload's terminal has its own mode only after that");
    b.set(endsLeft, mostEnds);
  }
  b.label("client.ended");
  b.store(1, messageTag, 0, tag.endOfStdin);
  b.set(sent, 1);
  b.jump("client.send");
  b.label("client.read.some");
  b.set(from, typed);
  b.alu("add", end, from, count);
  b.set(to, data);
  const put = (value: Slot) => {
    b.store(1, to, 0, value);
    b.alu("add", to, to, 1);
  };
  b.label("client.key");
  b.branch(from, "ge", end, "client.read.end");
  b.load(1, letter, from);
  b.alu("add", from, from, 1);
  if (hasTerminal && detachKeys.length > 0) matchKeys(c, detachKeys, { letter, put });
  b.label("client.plain");
  put(letter);
  b.jump("client.key");
  b.label("client.read.end");
  b.alu("sub", sent, to, messageTag);
  b.branch(sent, "gt", 1, "client.send");
  b.set(sent, 0);
  b.return();
}

interface Typed {
  readonly letter: Slot;
  readonly put: (letter: Slot) => void;
}

/** Keys that begin as those to detach do are held back until it is known whether they are. */
function matchKeys({ b }: Context, detachKeys: Uint8Array, { letter, put }: Typed): void {
  const keys = b.bytes("detachKeys", detachKeys);
  const [key, place, held] = [slot("key"), slot("keyPlace"), slot("heldKey")];
  const [again, differs] = [b.fresh("key"), b.fresh("key")];
  const [flush, flushed] = [b.fresh("key"), b.fresh("key")];
  b.branch(t.isRaw, "eq", 0, "client.plain");
  b.label(again);
  b.alu("add", place, matched, keys);
  b.load(1, key, place);
  b.branch(key, "ne", letter, differs);
  b.alu("add", matched, matched, 1);
  b.branch(matched, "lt", detachKeys.length, "client.key");
  b.call("client.read.end");
  b.call("terminal.leave");
  b.exit(0);
  b.label(differs);
  b.branch(matched, "eq", 0, "client.plain");
  b.set(place, keys);
  b.alu("add", matched, matched, keys);
  b.label(flush);
  b.branch(place, "ge", matched, flushed);
  b.load(1, held, place);
  put(held);
  b.alu("add", place, place, 1);
  b.jump(flush);
  b.label(flushed);
  b.set(matched, 0);
  b.jump(again);
}
