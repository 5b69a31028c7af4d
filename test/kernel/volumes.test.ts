/** Named and anonymous volumes: what they keep, and for how long. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { inside, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, entriesOf, sbx } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("volumes");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const data = temporaryDirectory("volumes");
process.env.XDG_DATA_HOME = data;
const store = join(data, "sbx/volumes");
// Other test files have theirs in the cache of all.
process.env.XDG_CACHE_HOME += "/volumes";
const uppers = join(process.env.XDG_CACHE_HOME ?? "", "sbx/uppers");

const volume = (...words: string[]) => sbx(["volume", ...words]);
const names = async () => (await volume("ls", "-q")).stdout;

test.needs(needs, "a named volume is made on first use, and keeps what is written", async () => {
  assert.is(await inside(["-v", "kept:/d"], "echo x >/d/x; stat -c %u /d"), "0\n");
  assert.is(await inside(["--mount=src=kept,dst=/d,ro"], "cat /d/x"), "x\n");
  assert.is(await names(), "kept\n");
  assert.is(fs.statSync(store).mode & 0o777, 0o700);
  await sbx(["explain", "run", "-v", "explained:/d", busyboxRootfs()]);
  assert.is(await names(), "kept\n");
});

test.needs(
  needs,
  "a volume that cannot be made is an error, also where mkdir(2) never can",
  async () => {
    for (const [place, why] of [
      ["/proc", "ENOENT"],
      ["/root", "EACCES"],
    ] as const) {
      const words = ["run", "-v", "none:/d", busyboxRootfs(), "true"];
      const { code, stderr } = await sbx(words, { env: { ...process.env, XDG_DATA_HOME: place } });
      assert.is(code, 125);
      assert.match(
        stderr,
        new RegExp(`^sbx: make the volume none in ${place}/.*${why}.*XDG_DATA_HOME`),
      );
    }
  },
);

test.needs(needs, "create, inspect, ls and rm", async () => {
  assert.is((await volume("create", "made")).stdout, "made\n");
  assert.match((await volume("create", "made")).stderr, "there is one of that name");
  const [found] = JSON.parse((await volume("inspect", "made")).stdout);
  assert.is(found.Mountpoint, join(store, "made/_data"));
  assert.equal(
    JSON.parse((await volume("ls", "--json")).stdout).map(({ Name }: { Name: string }) => Name),
    ["kept", "made"],
  );
  assert.is((await volume("rm", "made")).stdout, "made\n");
  assert.is((await volume("rm", "made")).code, 125);
  assert.is((await volume("rm", "-f", "made")).code, 0);
  assert.match((await volume("rm", "../x")).stderr, "is no name of a volume");
});

test.needs([...needs, "subids"], "rm takes files of every id in the sandbox", async () => {
  const script = "mkdir -m 700 /d/e; touch /d/e/f; chown -R alice /d/e /d; chmod 0 /d/e";
  await inside(["-v", "foreign:/d"], script);
  assert.is((await volume("rm", "foreign")).stdout, "foreign\n");
  assert.not.ok(fs.existsSync(join(store, "foreign")));
});

test.needs(needs, "rm refuses and prune passes over what is in use", async () => {
  for (const options of [[], ["--no-init"]]) {
    const script = "echo ready; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    await started(["-v", "used:/d", ...options], script, async (pid) => {
      const { stderr, code } = await volume("rm", "used");
      assert.is(code, 1);
      assert.match(stderr, /remove the volume used: a sandbox uses it\. End that first/);
      assert.is((await volume("prune", "-f")).code, 0);
      assert.match(await names(), "used");
      process.kill(pid, "SIGTERM");
    });
    assert.is((await volume("rm", "used")).code, 0);
  }
});

test.needs(needs, "what a kept sandbox has is not removed, though it does not run", async () => {
  await sbx(["create", "--name=owner", "-v", "owned:/d", busyboxRootfs(), "true"]);
  const { code, stderr } = await volume("rm", "owned");
  assert.is(code, 1);
  assert.match(stderr, /remove the volume owned: the sandbox owner, .* has it\. .* sbx rm owner/);
  await volume("prune", "-f");
  assert.match(await names(), "owned");
  await sbx(["rm", "owner"]);
  assert.is((await volume("rm", "owned")).code, 0);
});

test.needs(
  needs,
  "the lock is nothing that the payload holds, and ends with the monitor",
  async () => {
    // A process that the payload leaves behind outlives a sandbox that shares the host's pids.
    const script =
      "ls /proc/self/fd | wc -l; setsid sleep 3 >/dev/null 2>&1 </dev/null & sleep 0.1";
    assert.is(await inside(["--pid=host", "-v", "left:/d"], script), "4\n");
    assert.is((await volume("rm", "left")).code, 0);
    const child = spawn(command, ["run", "-v", "killed:/d", busyboxRootfs(), "sleep", "20"]);
    await until("it has the volume", () => fs.existsSync(join(store, "killed")));
    await sleep(300);
    child.kill("SIGKILL");
    await once(child, "close");
    assert.is((await volume("rm", "killed")).code, 0);
  },
);

test.needs(needs, "an anonymous volume is on disk, and gone with its sandbox", async () => {
  const script = "echo x >/d/x; cat /d/x; grep ' /d ' /proc/self/mountinfo | grep -c tmpfs || true";
  const before = await names();
  assert.is(await inside(["-v", "/d", "--tmpfs", "/t"], script), "x\n0\n");
  assert.equal(entriesOf(uppers), []);
  assert.is(await names(), before);
  await started(["-v", "/d"], "echo x >/d/x; echo ready; sleep 20", (pid) => {
    assert.is(entriesOf(uppers).length, 1);
    process.kill(pid, "SIGKILL");
  });
  await until("nothing of it is left", () => entriesOf(uppers).length === 0);
});

test.run();
