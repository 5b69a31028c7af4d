/** Standard output that nobody reads, or that is full. */
import { spawnSync } from "node:child_process";
import * as assert from "uvu/assert";
import { command } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("print");
const script = (text: string) => spawnSync("bash", ["-c", text, command], { encoding: "utf8" });

test("a pipe that nobody reads is no failure", () => {
  for (const words of [
    "explain run / true",
    "volume ls",
    "check --json",
    "stats --json",
    "ps -a",
  ]) {
    const { stderr } = script(`{ sleep 0.1; "$0" ${words}; echo "ended $?" >&2; } | true`);
    assert.is(stderr, "ended 0\n", words);
  }
});

test("what cannot be written is told", () => {
  const { status, stderr } = script('exec "$0" volume ls --json >/dev/full');
  assert.is(status, 125);
  assert.match(stderr, /^sbx: write what is to be shown: .*ENOSPC[^\n]*\n$/);
});

test.run();
