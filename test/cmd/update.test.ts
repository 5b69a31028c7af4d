import * as assert from "uvu/assert";
import { update } from "../../cmd/update.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/update");

/** What a command line is refused for. */
async function refusal(...argv: string[]): Promise<string> {
  try {
    return `status ${await update(argv)}`;
  } catch (error) {
    return (error as Error).message;
  }
}

test("what is missing or contradicts itself is refused before any sandbox is touched", async () => {
  assert.match(await refusal("box"), /^sbx: update: no limit is given/);
  assert.match(await refusal("-m0", "box"), /no limit is given/);
  assert.match(await refusal("-m1g"), /no sandbox is named/);
  assert.match(await refusal("--cpus=1", "--cpu-quota=2000", "box"), /--cpus: cannot be given tog/);
  assert.match(await refusal("box", "--shm-size=1m"), /--shm-size: no such option/);
  assert.match(await refusal("box", "--kernel-memory=1m"), /no such limit\. Use --memory/);
  assert.match(await refusal("--cpuset-cpus=4096", "box"), /there is no CPU 4096/);
  assert.match(await refusal("--device-read-bps=/dev/null:1m", "box"), /it is no block device/);
});

test("a sandbox that does not run is one of the status", async () => {
  assert.is(await refusal("-m1g", "absent", "gone"), "status 1");
});

test.run();
