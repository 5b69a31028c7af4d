/** Streams of the ends of pipes that this process has, which close them. */
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { Readable, Writable } from "node:stream";
import type { ReadableStream } from "node:stream/web";

/** Of Bun 1.4, whose sockets cannot be made of fds. */
interface Bun {
  file(fd: number): {
    stream(): ReadableStream;
    writer(): {
      write(chunk: Uint8Array): unknown;
      flush(): unknown;
      end(): unknown;
    };
  };
}
const { Bun: bun } = globalThis as { Bun?: Bun };

export function readablePipe(fd: number): Readable {
  if (bun === undefined) return new Socket({ fd, readable: true, writable: false });
  const stream = Readable.fromWeb(bun.file(fd).stream());
  return stream.once("close", () => closeSync(fd));
}

export function writablePipe(fd: number): Writable {
  if (bun === undefined) return new Socket({ fd, readable: false, writable: true });
  const sink = bun.file(fd).writer();
  // A broken pipe is thrown, or rejected with.
  const flush = async (chunk: Uint8Array) => {
    sink.write(chunk);
    await sink.flush();
  };
  const end = async () => {
    closeSync(fd);
    // It has a copy of the fd.
    await sink.end();
  };
  return new Writable({
    write: (chunk: Uint8Array, _encoding, done) => void flush(chunk).then(() => done(), done),
    destroy: (error, done) => void end().then(() => done(error), done),
  });
}
