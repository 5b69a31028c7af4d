/** More commands in a sandbox that this very process has started. */
import { text } from "node:stream/consumers";
import * as assert from "uvu/assert";
import {
  type ExecOptions,
  Sandbox,
  type SandboxProcess,
  type SpawnOptions,
} from "../../cmd/library.js";
import { asNow } from "../support/held.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("library: exec");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

/** A sandbox whose command waits, until the test is over. */
async function inside(
  check: (child: SandboxProcess) => Promise<void>,
  options: SpawnOptions = {},
): Promise<void> {
  await using box = await Sandbox.create({ rootfs: busyboxRootfs(), network: ["none"] });
  await check(await box.spawn("sleep", ["60"], { stdin: "ignore", ...options }));
}

async function outputOf(child: SandboxProcess, script: string, options: ExecOptions = {}) {
  const command = await child.exec("sh", ["-c", script], options);
  const output = command.stdout && text(command.stdout);
  return { ...(await command.exit), stdout: await output };
}

test.needs(needs, "it sees what the first command does, and has settings of its own", () =>
  inside(
    async (child) => {
      const script = "echo $A $B; pwd; id -u; pidof sleep >/new; exit 3";
      const first = await outputOf(child, script, { cwd: "/tmp", env: { B: "b" }, user: "0" });
      assert.equal(first, { code: 3, signal: null, reason: "exited", stdout: "a b\n/tmp\n0\n" });
      assert.match(`${(await outputOf(child, "cat /new")).stdout}`, /^\d+\n$/);
    },
    { env: { A: "a" } },
  ),
);

test.needs(needs, "signals, time-outs, and what cannot be executed", () =>
  inside(async (child) => {
    const trapping = await child.exec("sh", ["-c", "trap 'exit 7' TERM; sleep 50 & echo; wait"]);
    await new Promise((ready) => trapping.stdout?.once("data", ready));
    assert.ok(trapping.kill());
    assert.is((await trapping.exit).code, 7);
    const late = await child.exec("sleep", ["50"], { timeoutMs: 200 });
    assert.equal(await late.exit, { code: null, signal: "SIGKILL", reason: "timed out" });
    const nowhere = await (await child.exec("/nowhere")).exit;
    assert.equal([nowhere.reason, nowhere.code, nowhere.step], ["set-up failed", 127, "run"]);
    // Besides the first command's: the one that was left in the background, not the one that was killed.
    const sleepers = async () => (await outputOf(child, "pidof sleep | wc -w")).stdout;
    await until("the one that was killed is gone", async () => (await sleepers()) === "2\n");
  }),
);

test.needs(needs, "it ends with its sandbox, in which nothing can be started then", () =>
  inside(async (child) => {
    const command = await child.exec("sh", ["-c", "echo; sleep 50"]);
    await new Promise((ready) => command.stdout?.once("data", ready));
    child.kill("SIGKILL");
    assert.is((await command.exit).signal, "SIGKILL");
    await child.exit;
    const late = child.exec("true");
    assert.match(await late.then(String, String), "enter the sandbox: it has ended");
  }),
);

test.needs(needs, "a hundred leave no fd, no child and no listener", () =>
  inside(async (child) => {
    const { signal } = new AbortController();
    const once = async () => {
      const command = await child.exec("true", [], { stdin: "ignore", signal });
      assert.is((await command.exit).code, 0);
    };
    await once();
    const leaveNothing = asNow();
    for (let left = 100; left > 0; left -= 4) await Promise.all([1, 2, 3, 4].map(once));
    await until("they leave nothing", leaveNothing);
  }),
);

test.run();
