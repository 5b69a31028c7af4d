/** Commands that enter a sandbox with a control group, from a session of a login: not what systemd delegates. */
import { readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { callersRunDirectory } from "../../../launch/facts/run-directory.js";
import { listSandboxes } from "../../../launch/life/records.js";
import { busyboxRootfs } from "../../support/rootfs.js";
import { sbx } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("exec in the guest");
const needs = ["laptop guest", "busybox"] as const;

/** A sandbox in the background; `act` gets its control group. */
async function withSandbox(
  name: string,
  options: readonly string[],
  act: (group: string) => Promise<void>,
): Promise<void> {
  const words = ["run", "-d", "--network=none", "--name", name, "-m", "64m", ...options];
  const { code, stderr } = await sbx([...words, busyboxRootfs(), "sleep", "1000"]);
  assert.is(code, 0, stderr);
  try {
    const all = await listSandboxes(callersRunDirectory(process.env));
    await act(all.find((each) => each.name === name)?.cgroup ?? "");
  } finally {
    await sbx(["rm", "-f", name]);
  }
}

test.needs(needs, "a command is born in the sandbox's group, with its limits", async () => {
  assert.match(readFileSync("/proc/self/cgroup", "utf8"), /\/session-\w+\.scope$/m);
  await withSandbox("entered", ["--pids-limit=9"], async (group) => {
    const script = "cat /proc/self/cgroup; for i in 1 2 3 4 5 6 7 8; do sleep 1 & done";
    const bounded = await sbx(["exec", "entered", "sh", "-c", script]);
    assert.is(bounded.stdout, "0::/\n", bounded.stderr);
    assert.match(bounded.stderr, "can't fork: Resource temporarily unavailable");

    writeFileSync(`${group}/pids.max`, "2");
    const refused = await sbx(["exec", "entered", "true"]);
    assert.is(refused.code, 125);
    assert.match(refused.stderr, /\(EAGAIN\)\. A limit of processes is reached: .*--pids-limit/);

    writeFileSync(`${group}/cgroup.freeze`, "1");
    const paused = await sbx(["exec", "entered", "true"]);
    assert.is(paused.code, 125);
    assert.match(paused.stderr, "the sandbox is paused. Let it go on first: sbx unpause entered");
  });
});

test.needs(needs, "a group that was divided from inside is entered below", async () => {
  await withSandbox("divided", ["--cgroup-writable"], async (group) => {
    writeFileSync(`${group}/cgroup.subtree_control`, "+memory");
    const { stdout, stderr } = await sbx(["exec", "divided", "cat", "/proc/self/cgroup"]);
    assert.is(stdout, "0::/init.scope\n", stderr);
  });
});

test.run();
