/** Sandboxes in the background on a host with little: one id, no control group, no layers over the home. */
import * as assert from "uvu/assert";
import { sbx } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("life on the old guest");

async function said(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await sbx(words);
  assert.is(code, 0, stderr);
  return stdout;
}

test.needs("old guest", "they are started, entered, read and stopped", async () => {
  const run = ["run", "-d", "--name=old", "--network=none", "--read-only", "/"];
  await said(...run, "sh", "-c", "echo hello; exec sleep 1000");
  assert.is(await said("exec", "old", "sh", "-c", "id -u; cat /proc/1/comm"), "0\nsbx-init\n");
  assert.is(await said("logs", "old"), "hello\n");
  assert.is(await said("stop", "old"), "old\n");
});

test.needs("old guest", "where layers cannot be had, the error says why", async () => {
  const { code, stderr } = await sbx(["run", "-d", "/srv/sbx", "true"]);
  assert.is(code, 125);
  assert.match(
    stderr,
    /the upper directory .* is on a tmpfs, which has no user xattrs before Linux 6\.6/,
  );
});

test.run();
