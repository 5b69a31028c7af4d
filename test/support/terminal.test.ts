import * as assert from "uvu/assert";
import { processesNaming } from "./sandbox.js";
import { suite } from "./suite.js";
import { openTerminal } from "./terminal.js";
import { leftNaming } from "./until.js";

const test = suite("terminal");

test.needs("tmux", "types, reads and resizes", async () => {
  const terminal = await openTerminal(`stty size; printf '%s\\n' "$GIVEN"; cat; stty size`, {
    columns: 80,
    rows: 20,
    env: { GIVEN: "se t" },
  });
  try {
    assert.match(await terminal.waitFor("se t"), /^20 80\nse t$/);
    await terminal.enter("Enter; $x -l");
    await terminal.waitFor(/^Enter; \$x -l\nEnter; \$x -l$/m);
    await terminal.resize(90, 25);
    await terminal.press("C-d");
    await terminal.waitFor("25 90");
  } finally {
    await terminal.close();
  }
});

test.needs("tmux", "a resize reaches the command", async () => {
  const terminal = await openTerminal(
    `trap 'stty size' WINCH; echo on; while :; do sleep 0.1; done`,
  );
  try {
    await terminal.waitFor("on");
    await terminal.resize(91, 25);
    await terminal.waitFor("25 91");
  } finally {
    await terminal.close();
  }
});

test.needs(
  "tmux",
  "what is not seen is an error with the screen; nothing runs on after close",
  async () => {
    const mark = `sleep 99${process.pid}.5`;
    const terminal = await openTerminal(`echo here; ${mark}`);
    await terminal.waitFor("here");
    try {
      await terminal.waitFor("there", 200);
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /there not seen in 200 ms on this screen:\nhere/);
    }
    assert.ok(processesNaming(mark).length > 0);
    await terminal.close();
    assert.equal(await leftNaming(mark), []);
  },
);

test.run();
