/** Limits that the kernel keeps, and what is left when all is over. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { busyboxRootfs } from "../../support/rootfs.js";
import { sbx } from "../../support/sandbox.js";
import { started } from "../../support/started.js";
import { suite } from "../../support/suite.js";

const test = suite("limits in the guest");
// Other files run at the same time: what is looked for has names of this one's.
let runs = 0;
const run = (options: readonly string[], script: string) =>
  sbx(["run", `--name=limits-${runs++}`, ...options, busyboxRootfs(), "sh", "-c", script]);

/** The scopes and groups of sandboxes that the user's manager has. */
function groups(): string[] {
  const manager = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";
  return readdirSync(manager, { recursive: true, encoding: "utf8" }).filter((path) =>
    /(^|\/)sbx-limits-[^/]*$/.test(path),
  );
}

async function nothingIsLeft(): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (groups().length > 0 && performance.now() < deadline) await sleep(100);
  assert.equal(groups(), []);
}

test.needs(["laptop guest", "busybox"], "cpu.max holds within 10 % over some seconds", async () => {
  await started(
    ["--name=limits-busy", "--cpus=0.4"],
    "echo ready; while :; do :; done",
    async (pid) => {
      const record = `${process.env.XDG_RUNTIME_DIR}/sbx/sandboxes/limits-busy`;
      const { cgroup } = JSON.parse(readFileSync(record, "utf8"));
      const used = () =>
        Number(/^usage_usec (\d+)/.exec(readFileSync(`${cgroup}/cpu.stat`, "utf8"))?.[1]);
      const [from, startMs] = [used(), performance.now()];
      await sleep(5000);
      const share = (used() - from) / 1000 / (performance.now() - startMs);
      assert.ok(share > 0.36 && share < 0.44, `${share} of a CPU`);
      process.kill(pid, "SIGKILL");
    },
  );
  await nothingIsLeft();
});

test.needs(["laptop guest", "busybox"], "a fork bomb stops at pids.max", async () => {
  // RLIMIT_NPROC holds where pids.max would not: what is broken must not take the guest down.
  const options = ["--pids-limit=20", "--ulimit=nproc=300"];
  const script = "for i in $(seq 60); do sleep 30 & done; wait";
  const { code, stderr } = await run(options, `(${script}) 2>&1 | head -1 >&2; exit 4`);
  assert.match(stderr, /can't fork: Resource temporarily unavailable/);
  assert.is(code, 4);
  await nothingIsLeft();
});

test.needs(["laptop guest", "busybox"], "writes to the disk are as slow as asked", async () => {
  const write = "dd if=/dev/zero of=/data/f bs=1M count=6 conv=fsync 2>/dev/null";
  const begin = performance.now();
  const { code, stderr } = await run(
    ["--device-write-bps=/dev/vda:2mb", "-v", `${process.env.HOME}:/data`],
    `${write}; rm /data/f`,
  );
  assert.is(code, 0, stderr);
  assert.ok(performance.now() - begin > 2500, "6 MB at 2 MB a second");
});

test.needs(["laptop guest", "busybox"], "twenty at once have groups of their own", async () => {
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      run(["-m", `${16 + i}m`], "cat /proc/self/cgroup; sleep 5; cat /sys/fs/cgroup/memory.max"),
    ),
  );
  for (const [i, { code, stdout, stderr }] of all.entries()) {
    assert.is(code, 0, stderr);
    assert.is(stdout, `0::/\n${(16 + i) * 2 ** 20}\n`);
  }
  await nothingIsLeft();
});

test.run();
