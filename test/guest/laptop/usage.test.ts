/** What is told of running sandboxes, and done to them as a whole, where they have a control group. */
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type SbxResult, sbx } from "../../support/sandbox.js";
import { started } from "../../support/started.js";
import { suite } from "../../support/suite.js";

const test = suite("usage in the guest");
const call = (...words: string[]) => sbx(words);

async function succeeds(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await call(...words);
  assert.is(code, 0, stderr);
  return stdout;
}

const group = (name: string) => {
  const path = `${process.env.XDG_RUNTIME_DIR}/sbx/sandboxes/${name}`;
  return JSON.parse(readFileSync(path, "utf8")).cgroup as string;
};
const cpuUsec = (directory: string) =>
  Number(/^usage_usec (\d+)/.exec(readFileSync(`${directory}/cpu.stat`, "utf8"))?.[1]);

test.needs(["laptop guest", "busybox"], "stats tell what a loop takes, and of limits", async () => {
  const { code } = await started(
    ["--name=loop", "-m", "64m", "--pids-limit=9", "--cpus=0.5"],
    "echo ready; while :; do :; done",
    async () => {
      const [reading] = JSON.parse(await succeeds("stats", "--json", "loop"));
      assert.is(reading.name, "loop");
      assert.ok(reading.cpuPercent > 40 && reading.cpuPercent < 60, `${reading.cpuPercent} %`);
      assert.ok(reading.memoryBytes > 0 && reading.memoryBytes < 64 * 2 ** 20);
      assert.is(reading.memoryLimitBytes, 64 * 2 ** 20);
      assert.is(reading.pidsLimit, 9);
      assert.is(reading.pids, 2);
      assert.ok(reading.pressure.cpu > 0, "who is throttled waits for a CPU");
      assert.type(reading.receivedBytes, "number");
      const table = await succeeds("stats", "--no-stream");
      assert.match(table, /^NAME +CPU % +MEM USAGE \/ LIMIT.*\nloop +\d+\.\d\d% .* \/ 64MiB /);
      assert.match(await succeeds("top", "loop", "pid", "args"), /sbx-init\n.*while :/);
      assert.is(await succeeds("kill", "loop"), "loop\n");
    },
  );
  assert.is(code, 137);
});

test.needs(
  ["laptop guest", "busybox"],
  "pause stops the clock of a loop, twice is an error",
  async () => {
    const { code } = await started(
      ["--name=clock", "--cgroup-manager=auto"],
      "echo ready; while :; do :; done",
      async () => {
        const directory = group("clock");
        assert.is(await succeeds("pause", "clock"), "clock\n");
        const at = cpuUsec(directory);
        await sleep(1000);
        assert.is(cpuUsec(directory), at);
        const again = await call("pause", "clock");
        assert.match(again.stderr, "pause clock: it is paused already");
        assert.is(again.code, 1);
        assert.is(await succeeds("unpause", "clock"), "clock\n");
        await sleep(500);
        assert.ok(cpuUsec(directory) > at);
        assert.match((await call("unpause", "clock")).stderr, "unpause clock: it is not paused");
        await succeeds("pause", "clock");
        await succeeds("kill", "clock");
      },
    );
    assert.is(code, 137, "a paused one is killed as well");
    assert.not.ok(existsSync(`${process.env.XDG_RUNTIME_DIR}/sbx/sandboxes/clock`));
  },
);

test.needs(
  ["laptop guest", "busybox"],
  "a signal to a paused sandbox takes effect later",
  async () => {
    const { code, out } = await started(
      ["--name=later", "--cgroup-manager=auto"],
      "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done",
      async (monitor) => {
        await succeeds("pause", "later");
        process.kill(monitor, "SIGTERM");
        await sleep(500);
        await succeeds("unpause", "later");
      },
    );
    assert.is(out, "ready\ngot\n");
    assert.is(code, 3);
  },
);

test.needs(["laptop guest", "busybox"], "of several targets all are tried", async () => {
  const script = "echo ready; sleep 1000";
  await started(["--name=with", "--cgroup-manager=auto"], script, async () => {
    await started(["--name=without"], script, async () => {
      const failing = (result: SbxResult) => {
        assert.is(result.code, 1);
        return [result.stdout, ...result.stderr.trim().split("\n")];
      };
      const told = failing(await call("pause", "absent", "without", "with"));
      assert.is(told[0], "with\n");
      assert.match(told[1] ?? "", "find the sandbox absent: there is none of that name or ID");
      assert.match(told[2] ?? "", "pause without: it has no control group. Start it with a limit");
      const measured = failing(await call("stats", "--no-stream", "without", "with"));
      assert.match(measured[0] ?? "", /^NAME.*\nwith +0\.00%[^\n]*\n$/);
      assert.match(measured[1] ?? "", "stats without: it has no control group");
      assert.match(await succeeds("stats", "--no-stream"), /^without +-- +--/m);
      assert.match(await succeeds("top", "without", "comm"), /sleep/);
      await succeeds("kill", "with");
      process.kill(Number(/\d+/.exec(await succeeds("top", "without", "ppid"))?.[0]), "SIGKILL");
    });
  });
});

test.run();
