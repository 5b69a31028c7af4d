/**
 * What commands print. Not by Node's streams, which would leave O_NONBLOCK on a pipe that others write to, and close it
 * where nobody reads, of which koffi would complain at the end.
 */
import { writeSync } from "node:fs";
import { isSystemError } from "../launch/facts/system-error.js";
import { fail } from "../spec/error.js";

/** Writes all of the text or the bytes to standard output. */
export function print(content: string | Uint8Array): void {
  writeAll(1, Buffer.from(content));
}

/** Ends without a word where nobody reads: `sbx explain run / | head` is no failure. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      // As other programs end by SIGPIPE, which Node ignores.
      if (error.code === "EPIPE") process.exit(0);
      if (error.code !== "EAGAIN") fail("write what is to be shown", error.message);
      // Whoever has the pipe too made it non-blocking.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
