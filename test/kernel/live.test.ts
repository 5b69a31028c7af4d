/** Commands for running sandboxes, of those that have no control group. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { callersRunDirectory } from "../../launch/facts/run-directory.js";
import { sampleOf } from "../../launch/life/control-group.js";
import { processesOf } from "../../launch/life/processes.js";
import { listSandboxes } from "../../launch/life/records.js";
import type { Sandbox } from "../../launch/life/sandbox.js";
import { temporaryDirectory } from "../support/inside.js";
import { command, sbx } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("live");
// Sandboxes of other tests would be among those that errors name.
process.env.XDG_RUNTIME_DIR = temporaryDirectory("live");
const needed = ["busybox", "subids", "overlay"] as const;

/** The record of a sandbox of that name whose shell waits until `look` is done. */
async function whileRunning(name: string, look: (sandbox: Sandbox) => Promise<void>) {
  await started([`--name=${name}`], "echo ready; exec sleep 1000", async (monitor) => {
    try {
      const all = await listSandboxes(callersRunDirectory(process.env));
      const sandbox = all.find((each) => each.name === name);
      assert.ok(sandbox);
      await look(sandbox);
    } finally {
      process.kill(monitor, "SIGKILL");
    }
  });
}

test.needs(needed, "top shows what ps knows of the processes inside, and no others", async () => {
  await whileRunning("shown", async (sandbox) => {
    const pids = processesOf(sandbox);
    assert.is(pids[0], sandbox.init);
    const { stdout } = await sbx(["top", "shown", "pid", "comm"]);
    const lines = stdout.trim().split("\n");
    assert.is(lines.length, 1 + pids.length);
    for (const pid of pids) assert.ok(lines.some((line) => line.trim().startsWith(`${pid} `)));
    assert.match(stdout, /^ *\d+ sbx-init$/m);
    const listed = JSON.parse((await sbx(["top", "shown", "--json", "comm,pid", "args"])).stdout);
    assert.equal(
      listed.map(({ pid }: { pid: string }) => Number(pid)),
      pids,
    );
    assert.equal(listed[0], { comm: "sbx-init", pid: `${pids[0]}`, args: "sbx-init" });
    const wrong = await sbx(["top", "shown", "no-such-field"]);
    assert.is(wrong.code, 125);
    assert.match(wrong.stderr, /^sbx: top shown: ps: .*no-such-field.*\. Fields are those of ps/);
    // The pid of an init that has ended may be anybody's.
    assert.equal(processesOf({ ...sandbox, monitor: 1 }), []);
  });
});

test.needs(needed, "top shows commands of exec as well, but not those of who joins", async () => {
  await whileRunning("entered", async () => {
    const shown = async (name: string) =>
      (await sbx(["top", name, "comm"])).stdout.trim().split("\n").slice(1).sort();
    const script = "sleep 100 & echo up; wait";
    const child = spawn(command, ["exec", "entered", "sh", "-c", script]);
    await once(child.stdout, "data");
    const joins = ["--name=joined", "--pid=container:entered"];
    await started(joins, "echo ready; exec tail -f /dev/null", async (monitor) => {
      // They are shells until they are what these execute.
      for (const [name, all] of [
        ["entered", "sbx-init,sh,sleep,sleep"],
        ["joined", "sbx-init,tail"],
      ] as const) {
        await until(`${all} are shown`, async () => (await shown(name)).join() === all);
      }
      process.kill(monitor, "SIGKILL");
    });
    child.kill();
    await once(child, "exit");
  });
});

test.needs(needed, "without a control group there is an error with its mend", async () => {
  await whileRunning("bare", async () => {
    const limit = ["update", "-m", "64m"];
    for (const words of [["pause"], ["unpause"], ["stats", "--no-stream"], limit]) {
      const { code, stdout, stderr } = await sbx([...words, "absent", "bare"]);
      assert.is(code, 1);
      assert.is(stdout, "");
      assert.is(
        stderr,
        `sbx: find the sandbox absent: there is none of that name or ID. There are bare\nsbx: ${words[0]} bare: it has no control group. Start it with a limit, or with --cgroup-manager=auto\n`,
      );
    }
    const all = await sbx(["stats", "--no-stream"]);
    assert.match(all.stdout, /^NAME .*\nbare +-- +-- /);
    const [reading] = JSON.parse((await sbx(["stats", "--json"])).stdout);
    assert.equal(reading, { name: "bare", cpuPercent: null });
  });
});

test.needs(needed, "the bytes of links are those of the sandbox's own network", async () => {
  const group = mkdtempSync(join(temporaryDirectory("group"), "g."));
  writeFileSync(join(group, "cpu.stat"), "usage_usec 5\n");
  await whileRunning("linked", async (sandbox) => {
    const sample = sampleOf({ ...sandbox, cgroup: group });
    assert.type(sample?.receivedBytes, "number");
    assert.is(sampleOf({ ...sandbox, cgroup: group, monitor: 1 })?.receivedBytes, null);
    assert.is(sampleOf({ ...sandbox, cgroup: join(group, "gone") }), null);
  });
});

test("no name is an error where one is needed", async () => {
  for (const command of ["top", "pause", "unpause", "kill"]) {
    const { code, stderr } = await sbx([command]);
    assert.is(code, 125);
    assert.match(stderr, new RegExp(`^sbx: ${command}: no sandbox is named. The form is sbx`));
  }
});

test.run();
