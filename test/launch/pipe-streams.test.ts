/** Streams of pipes, as Bun has them. */
import { once } from "node:events";
import { openSync } from "node:fs";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.js";

const test = suite("pipe streams");

test("what Bun throws at once is an error of the stream", async () => {
  const flush = () => {
    throw new Error("EPIPE");
  };
  const file = () => ({ writer: () => ({ write() {}, flush, end() {} }) });
  Object.assign(globalThis, { Bun: { file } });
  const { writablePipe } = await import("../../launch/process/pipe-streams.js");
  const stream = writablePipe(openSync("/dev/null", "w"));
  stream.write("x");
  const [error] = await once(stream, "error");
  assert.is(error.message, "EPIPE");
});

test.run();
