/**
 * What the monitor of a sandbox in the background and its clients say to each other, on a socket in the sandbox's
 * directory. Messages are one byte that says what they are (`tag`), and data.
 */
import { at } from "../../../machine/builder.js";
import { k } from "../../../machine/constants.js";
import type { Slot } from "../../../machine/ir.js";
import type { Context } from "../../context.js";
import { compose, textLength } from "../../text/text.js";

const byte = (letter: string) => letter.charCodeAt(0);

/** What messages are. Of stdout and stderr, it is the digit of the fd. */
export const tag = {
  stdout: byte("1"),
  stderr: byte("2"),
  /** The sandbox ended: its exit status, 8 bytes. */
  exited: byte("x"),
  /** Comes first: the monitor's pid, 8 bytes. */
  pid: byte("p"),
  /** As many clients as there may be are attached already. */
  full: byte("f"),
  stdin: byte("0"),
  endOfStdin: byte("e"),
  /** struct winsize of ioctl_tty(2). */
  windowSize: byte("w"),
} as const;

/** The name of the socket in the sandbox's directory. */
export const socketName = "attach";
/** Bytes of stdin that a message may have. */
export const inputSize = 4096;

/** struct sockaddr_un in `scratch`, by way of the directory's fd: a path may be too long for it. Gives its size. */
export function composeAddress(c: Context, directory: Slot): Slot {
  const { b, memory } = c;
  const path = [b.text("/proc/self/fd/"), { decimal: directory }, b.text(`/${socketName}`)];
  compose(c, path, at(memory.scratch, 2));
  b.store(1, memory.scratch, 0, k("AF_UNIX"));
  b.store(1, memory.scratch, 1, 0);
  b.alu("add", textLength, textLength, 2);
  return textLength;
}
