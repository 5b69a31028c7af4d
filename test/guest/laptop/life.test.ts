/** Sandboxes in the background with control groups: limits, starts anew, and what is left. */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { callersPlaces, listViews } from "../../../launch/life/sandboxes.js";
import { busyboxRootfs } from "../../support/rootfs.js";
import { command, type SbxResult, sbx, start } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("life in the guest");
const needs = ["laptop guest", "busybox"] as const;

const words = (name: string, options: readonly string[], script: string) => [
  ...["run", "-d", "--name", `life-${name}`, ...options],
  ...[busyboxRootfs(), "sh", "-c", script],
];

async function endOf(name: string, started: SbxResult) {
  assert.is(started.code, 0, started.stderr);
  for (const deadline = performance.now() + 180_000; performance.now() < deadline; ) {
    const { views } = await listViews(callersPlaces(process.env));
    const view = views.find((each) => each.name === `life-${name}`);
    if (view?.status === "exited") return view;
    await sleep(100);
  }
  throw new Error(`${name} has not ended`);
}

/** The scopes and groups of sandboxes of this file that the user's manager has. */
function groups(): string[] {
  const manager = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";
  return readdirSync(manager, { recursive: true, encoding: "utf8" }).filter((path) =>
    /(^|\/)sbx-life-[^/]*$/.test(path),
  );
}

async function nothingIsLeft(): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (groups().length > 0 && performance.now() < deadline) await sleep(100);
  assert.equal(groups(), []);
}

test.needs(needs, "each start has a group of its own; out of memory is told", async () => {
  const script = "sleep 0.5; exec tail /dev/zero";
  const policy = "--restart=on-failure:2";
  const started = await sbx(words("hog", ["-m", "16m", "--memory-swap=16m", policy], script));
  const { exitCode, oom, restarts } = await endOf("hog", started);
  assert.equal([exitCode, oom, restarts], [137, true, 2]);
  const { stderr } = await sbx(["logs", "life-hog"]);
  assert.is(stderr.match(/^sbx: killed: out of memory, limit 16 MiB/gm)?.length, 3);
  const shown = await sbx(["inspect", "--format", "{{.State.OOMKilled}}", "life-hog"]);
  assert.is(shown.stdout, "true\n", shown.stderr);
  const { stdout } = await sbx(["events", "--no-stream", "--filter=event=oom"]);
  assert.is(stdout.match(/ oom .*life-hog/g)?.length, 3, stdout);
  await nothingIsLeft();
});

test.needs(needs, "in a group that is delegated to the caller", async () => {
  const around = "systemd-run --user --scope --quiet -p Delegate=yes";
  const own = words("own", ["-m", "32m", "--restart=on-failure:1"], "sleep 0.5; exit 3");
  const { exitCode, restarts } = await endOf(
    "own",
    await start([...around.split(" "), command, ...own]),
  );
  assert.equal([exitCode, restarts], [3, 1]);
  await nothingIsLeft();
});

test.run();
