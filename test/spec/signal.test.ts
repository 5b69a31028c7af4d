import * as assert from "uvu/assert";
import { signalNumber } from "../../spec/signal.js";
import { suite } from "../support/suite.js";

const test = suite("signal names");

test("names in any case, with SIG or without, and numbers", () => {
  const kill = ["KILL", "SIGKILL", "kill", "SigKill", "9"];
  assert.equal(
    kill.map(signalNumber),
    kill.map(() => 9),
  );
  const realTime = ["RTMIN", "SIGRTMIN+3", "rtmax-1", "RTMAX", "64"];
  assert.equal(realTime.map(signalNumber), [34, 37, 63, 64, 64]);
});

test("what is none", () => {
  for (const text of [
    "",
    "0",
    "65",
    "-1",
    "9x",
    "SIG9",
    "NOPE",
    "RTMIN-1",
    "RTMIN+31",
    "RTMAX+1",
  ]) {
    assert.is(signalNumber(text), null, text);
  }
});

test.run();
