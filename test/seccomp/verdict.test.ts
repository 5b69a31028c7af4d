import * as assert from "uvu/assert";
import { actions, describeVerdict } from "../../seccomp/verdict.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/verdict");

test("verdicts are said as people know them", () => {
  const said = Object.values(actions).map((verdict) => describeVerdict(verdict));
  const expected = "KILL_PROCESS KILL_THREAD KILL_THREAD TRAP ERRNO(0) NOTIFY TRACE(0) LOG ALLOW";
  assert.is(said.join(" "), expected);
  assert.is(describeVerdict(0x00050026), "ERRNO(ENOSYS)");
  assert.is(describeVerdict(0x00050ffe), "ERRNO(4094)");
  assert.is(describeVerdict(0x7ff00001), "TRACE(1)");
});

test.run();
