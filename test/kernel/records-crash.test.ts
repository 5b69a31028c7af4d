/**
 * Records tell what lives, whatever is killed when: monitors and commands at random moments, many
 * sandboxes at once under few names, readers all the time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { callersRunDirectory } from "../../launch/facts/run-directory.js";
import { listSandboxes } from "../../launch/life/records.js";
import { compileTo, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { childrenOf, killIfThere } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("records under fire");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const directory = temporaryDirectory("records-crash");
// The sandboxes of other test files are not to be found here.
process.env.XDG_RUNTIME_DIR = directory;
const run = callersRunDirectory(process.env);
const records = join(run.path ?? "", "sandboxes");
const options = ["--userns=single", "--network=none"];

const program = (name: string | null) =>
  compileTo(join(directory, name ?? "unnamed"), [
    ...options,
    ...(name === null ? [] : ["--name", name]),
    busyboxRootfs(),
  ]);
const begin = (path: string) =>
  spawn(path, ["sleep", "60"], { stdio: ["ignore", "ignore", "pipe"] });
const ended = (child: ChildProcess) =>
  child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve();

/** Does something while as many readers as that read records. */
async function whileRead(readers: number, work: () => Promise<void>): Promise<void> {
  let isOver = false;
  const read = async () => {
    while (!isOver) {
      await listSandboxes(run);
      await sleep(5);
    }
  };
  const reading = Promise.all(Array.from({ length: readers }, read));
  await work().finally(() => {
    isOver = true;
  });
  await reading;
}

test.needs(needs, "50 at once, with four readers: each is found, then none", async () => {
  const path = await program(null);
  await whileRead(4, async () => {
    const children = Array.from({ length: 50 }, () => begin(path));
    const monitors = () => children.map(({ pid }) => pid ?? 0).sort((a, b) => a - b);
    const found = async () => (await listSandboxes(run)).map(({ monitor }) => monitor);
    await until("all are there", async () => (await found()).length === 50);
    assert.equal(
      (await found()).sort((a, b) => a - b),
      monitors(),
    );
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map(ended));
    assert.equal(fs.readdirSync(records), []);
  });
});

test.needs(
  needs,
  "monitors are killed at random: the records that stay are of those that live",
  async () => {
    const paths = await Promise.all(["a", "b", "c"].map(program));
    const untilMs = performance.now() + Number(process.env.SBX_CRASH_SECONDS ?? 8) * 1000;
    const taken: string[] = [];
    const worker = async (index: number) => {
      while (performance.now() < untilMs) {
        const child = begin(paths[(index + Math.floor(Math.random() * 2)) % 3] ?? "");
        let said = "";
        child.stderr?.on("data", (chunk) => {
          said += chunk;
        });
        await sleep(Math.random() * 30);
        const isThere = child.exitCode === null && child.signalCode === null;
        const [init] = isThere ? childrenOf(child.pid ?? 0) : [];
        const kill = Math.random();
        const isInit = kill >= 0.6 && kill < 0.8 && init !== undefined;
        if (isInit) killIfThere(init);
        else child.kill(kill < 0.6 ? "SIGKILL" : "SIGTERM");
        await ended(child);
        // Without its init a set-up fails at any step.
        if (said !== "" && !isInit) taken.push(said);
      }
    };
    await whileRead(2, async () => void (await Promise.all([0, 1, 2, 3].map(worker))));
    for (const said of taken) assert.match(said, /a sandbox of that name is running/, said);
    const living = paths.map(begin);
    await until("all are there", async () => (await listSandboxes(run)).length === 3);
    const pids = (await listSandboxes(run)).map(({ name, monitor }) => [name, monitor]).sort();
    assert.equal(
      pids,
      living.map(({ pid }, index) => ["abc"[index], pid]),
    );
    for (const child of living) child.kill("SIGTERM");
    await Promise.all(living.map(ended));
    assert.equal(
      fs.readdirSync(records).filter((name) => !name.startsWith(".")),
      [],
    );
  },
);

test.run();
