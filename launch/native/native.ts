/** What all calls through koffi need. Loads koffi (10 ms): import it on demand. */
import koffi from "koffi";
import { errnoNumbers } from "../../spec/linux.js";

/** The name of an errno, by default of the one that the last call gave. */
export function errnoName(errno: number = koffi.errno()): string {
  const [name] = Object.entries(errnoNumbers).find(([, number]) => number === errno) ?? [];
  return name ?? `errno ${errno}`;
}

/** A NULL-terminated vector of pointers; `bytes` is what they point at and must outlive them. */
export function pointerVector(items: readonly (string | Uint8Array)[]) {
  const texts = items.map((item) => (typeof item === "string" ? Buffer.from(item) : item));
  const bytes = Buffer.concat(texts.flatMap((text) => [text, Uint8Array.of(0)]));
  const pointers = new BigUint64Array(items.length + 1);
  let at = koffi.address(bytes);
  for (const [index, text] of texts.entries()) {
    pointers[index] = at;
    at += BigInt(text.length + 1);
  }
  return { pointers, bytes };
}

const close = koffi.load(null).func("int close(int fd)");

/** Closes what such a call has opened: in a worker, node:fs warns of fds that it did not open itself. */
export function closeFd(fd: number): void {
  close(fd);
}
