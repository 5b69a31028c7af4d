import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type Guest, runInGuest } from "./guest.js";
import { childrenOf } from "./started.js";
import { suite } from "./suite.js";

const test = suite("guest");
const guest = { architecture: "aarch64", files: {} } as const;

async function failure(init: string, options: Partial<Guest> = {}): Promise<string> {
  try {
    return `no failure: ${await runInGuest({ ...guest, ...options, init })}`;
  } catch (error) {
    return (error as Error).message;
  }
}

test.needs("arm64 guest", "runs the init, with its files, on a root that can be left", async () => {
  const files = { "/some/where": "#!/bin/sh\necho $1\nexit 3\n" };
  const init = `
    uname -m; id -u; /some/where there || echo $?
    mkdir /new && mount -t tmpfs none /new && mkdir /new/old && pivot_root /new /new/old && ls /`;
  assert.is(await runInGuest({ ...guest, files, init }), "aarch64\n0\nthere\n3\nold\n");
});

test.needs("arm64 guest", "an init that fails is an error with all that was said", async () => {
  const message = await failure("echo so far; no-such-command");
  assert.match(message, /^the aarch64 guest failed/);
  assert.match(message, /^so far\n.*no-such-command: not found$/m);
});

test.needs("arm64 guest", "a guest that does not end is killed", async () => {
  const before = childrenOf(process.pid);
  assert.match(await failure("sleep 1000", { timeoutMs: 4000 }), "not done in 4000 ms");
  const deadline = performance.now() + 5000;
  while (childrenOf(process.pid).length > before.length && performance.now() < deadline) {
    await sleep(20);
  }
  assert.equal(childrenOf(process.pid), before);
});

test.run();
