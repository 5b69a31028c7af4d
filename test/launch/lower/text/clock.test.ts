/** The dates that a program writes, against those of JavaScript. */
import * as assert from "uvu/assert";
import { context } from "../../../../launch/lower/context.js";
import { clockState, clockSubroutine, stampSize } from "../../../../launch/lower/text/clock.js";
import { compose, textSubroutines } from "../../../../launch/lower/text/text.js";
import { suite } from "../../../support/suite.js";
import { runProgram } from "../../programs.js";

const test = suite("launch/lower/clock");

/** Each time, as the program writes it after the one before. */
function written(timesMs: readonly number[]): string[] {
  const c = context({ steps: [], notes: [], warnings: [], init: false, statusFd: null });
  const { b, memory } = c;
  const stamp = b.buffer("stamp", stampSize + 1);
  clockState(c, stamp);
  // All of its subroutines have to be called.
  compose(c, [{ decimal: 0 }]);
  for (const timeMs of timesMs) {
    b.store(8, memory.scratch, 0, Math.floor(timeMs / 1000));
    b.store(8, memory.scratch, 8, (timeMs % 1000) * 1_000_000 + 7);
    b.call("clock.write");
    b.ignore("the test sees it", "write", [1, stamp, stampSize]);
  }
  b.call("clock.stamp");
  b.ignore("the test sees it", "write", [1, stamp, stampSize]);
  b.exit(0);
  clockSubroutine(c, stamp);
  textSubroutines(c);
  return runProgram(b.finish()).stdout.match(/.{30}/g) ?? [];
}

test("leap years, ends of months and days, and now", () => {
  const times = [
    "1970-01-01T00:00:00.000",
    "1972-02-29T23:59:59.999",
    "1999-12-31T23:59:59.001",
    "2000-02-29T12:00:00.000",
    "2000-03-01T00:00:00.000",
    "2026-11-21T19:47:08.123",
    "2027-12-31T09:05:00.000",
    "2028-02-29T00:00:00.000",
    "2028-12-31T00:00:00.000",
    "2100-02-28T23:00:00.000",
    "2100-03-01T00:00:00.000",
    "9999-12-31T23:59:59.999",
  ];
  const [now = "", ...others] = written(times.map((time) => Date.parse(`${time}Z`))).reverse();
  assert.equal(
    others.reverse(),
    times.map((time) => `${time}000007Z`),
  );
  assert.ok(Math.abs(Date.parse(now) - Date.now()) < 60_000, now);
});

test.run();
