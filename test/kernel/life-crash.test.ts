/**
 * Whatever is killed when, the next command finds a state that is true: commands that make, start, stop, rename and
 * remove a few sandboxes, and their monitors and inits, at random moments. And many at the same time.
 * SBX_CRASH_SECONDS is how long, SBX_CRASH_SANDBOXES how many.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { parentOf } from "../../launch/life/processes.js";
import {
  callersPlaces,
  listViews,
  type SandboxView,
  type Status,
} from "../../launch/life/sandboxes.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, mountPoints, patienceMs, processesNaming, sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("life under fire");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
let places = callersPlaces(process.env);
test.before.each(() => {
  process.env.XDG_RUNTIME_DIR = temporaryDirectory("life-crash");
  process.env.XDG_DATA_HOME = temporaryDirectory("life-crash-data");
  places = callersPlaces(process.env);
});
// A test that failed has left some that run.
test.after.each(async () => {
  await sbx(["stop", "-t", "0", "--all"]);
});
const seconds = Number(process.env.SBX_CRASH_SECONDS ?? 20);
const many = Number(process.env.SBX_CRASH_SANDBOXES ?? 40);
/** In the arguments of every payload, and of no other process. */
const marker = `88${process.pid}.5`;
const options = ["--userns=single", "--network=none"];
/** No beginnings of IDs, which are hexadecimal. */
const names = ["x", "y", "z"];

const one = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T;
const payload = () =>
  one([
    ["sleep", marker],
    ["sh", "-c", "exit 3"],
  ]);

/** The words of a command on one of the sandboxes. */
function anyCommand(): string[] {
  const name = one(names);
  const made = [...options, `--name=${name}`, busyboxRootfs(), ...payload()];
  return one([
    ["run", "-d", ...made],
    ["run", "-d", ...made],
    ["run", "-d", "--rm", ...made],
    ["run", "-d", "--restart=always", ...made],
    ["create", ...made],
    ["start", name],
    ["start", name],
    ["restart", "-t", "0", name],
    ["stop", "-t", "0", name],
    ["kill", name],
    ["rename", name, one(names)],
    ["rm", "-f", name],
    ["ps", "-a"],
  ]);
}

/** What commands may say that others are in the way of. */
const excuses = new RegExp(
  [
    "there is none of that name or ID",
    "a sandbox of (that|the) name.* is (there already|running)",
    "it is not running",
    "it has ended",
    "it is waiting for its next start",
    "it has that name already",
    "is running already|it runs already",
    "it is being started, or changed|another command",
    "its monitor was killed",
    "it has been removed meanwhile",
    "Somebody has removed it",
    "this program was removed meanwhile",
    // The shell's, where it was removed between its look at the program and execve(2).
    "/program: not found",
    "nothing of it is kept when it ends",
  ].join("|"),
);

/** The process groups of the commands: where the launcher alone was killed, the rest goes on. */
const groups = new Set<number>();
const areOver = () => !fs.readdirSync("/proc").some((name) => groups.has(groupOf(name) ?? 0));
/** Null for what has ended, zombies among it, and what is no process. */
function groupOf(pid: string): number | null {
  try {
    const [state, , group] =
      fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return state === "Z" ? null : Number(group);
  } catch {
    return null;
  }
}

/** Runs commands until then; gives what those said that were not killed, and that nothing excuses. */
async function worker(untilMs: number): Promise<string[]> {
  const said: string[] = [];
  while (performance.now() < untilMs) {
    const words = anyCommand();
    const child = spawn(command, words, { detached: true, stdio: ["ignore", "ignore", "pipe"] });
    groups.add(child.pid ?? 0);
    const stderr = text(child.stderr);
    const isDoomed = Math.random() < 0.5;
    if (isDoomed) {
      await sleep(Math.random() * 600);
      try {
        // The launcher alone, or all of the command.
        process.kill(Math.random() < 0.3 ? (child.pid ?? 0) : -(child.pid ?? 0), "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    const lines = (await stderr).trim();
    if (!isDoomed && lines.split("\n").some((line) => line !== "" && !excuses.test(line))) {
      said.push(`sbx ${words.join(" ")}: ${lines}`);
    }
  }
  return said;
}

/** Kills monitors and inits at random, of those that run. */
async function killer(untilMs: number): Promise<void> {
  while (performance.now() < untilMs) {
    await sleep(Math.random() * 400);
    const running = (await listViews(places)).views.flatMap(({ record }) => record ?? []);
    if (running.length === 0) continue;
    const { monitor, init } = one(running);
    const victim = one([monitor, monitor, init]);
    // As near to the look as can be: pids are not taken again so soon.
    if (victim === init && parentOf(init) !== monitor) continue;
    try {
      process.kill(victim, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await reached()) && performance.now() < deadline) await sleep(50);
}

const entries = (...path: string[]) => {
  const directory = join(...path);
  return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
};

/** What is told of sandboxes and is not so, and monitors that nothing is told of. */
async function lies(): Promise<string[]> {
  const { views, damaged } = await listViews(places);
  const isTrue = ({ status, record, kept }: SandboxView) =>
    record === null
      ? kept !== null && ["created", "exited", "restarting"].includes(status)
      : fs.existsSync(`/proc/${record.monitor}`) &&
        (status !== "running" || parentOf(record.init) === record.monitor);
  const known = views.flatMap(({ record }) => record?.monitor ?? []);
  return [
    ...damaged.map((each) => JSON.stringify(each)),
    ...views.filter((view) => !isTrue(view)).map(({ name, status }) => `${name} is ${status}`),
    ...processesNaming(process.env.XDG_DATA_HOME ?? "")
      .filter(({ pid }) => !known.includes(pid))
      .map(({ pid, commandLine }) => `${pid}: ${commandLine}`),
  ];
}

test.needs(needs, "state, processes, mounts and directories agree after every crash", async () => {
  const mounts = mountPoints();
  const untilMs = performance.now() + seconds * 1000;
  const working = [worker(untilMs), worker(untilMs), worker(untilMs), worker(untilMs)];
  const [said] = await Promise.all([Promise.all(working), killer(untilMs)]);
  assert.equal(said.flat(), []);

  await until(areOver);
  // Some are just being started, as sandboxes are that failed.
  let told: string[] = [];
  await until(async () => {
    told = await lies();
    return told.length === 0;
  });
  assert.equal(told, []);
  const stopped = await sbx(["stop", "-t", "0", "--all"]);
  assert.equal([stopped.code, stopped.stderr], [0, ""]);
  await until(() => processesNaming(marker).length === 0);
  assert.equal(processesNaming(marker), []);
  assert.equal(processesNaming(process.env.XDG_DATA_HOME ?? ""), []);

  const left = (await listViews(places)).views.map(({ id }) => id);
  if (left.length > 0) {
    const removed = await sbx(["rm", "-f", ...left]);
    assert.equal([removed.code, removed.stderr], [0, ""]);
  }
  // What was being made or removed when it was killed is swept once it is a minute old.
  for (const directory of [
    join(places.data, "sandboxes"),
    join(places.run.path ?? "", "sandboxes"),
    join(places.data, "names"),
  ]) {
    for (const name of entries(directory)) fs.lutimesSync(join(directory, name), 0, 0);
  }
  assert.equal((await listViews(places)).views, []);
  assert.equal(entries(places.data, "sandboxes"), []);
  assert.equal(entries(places.data, "names"), [".lock"]);
  assert.equal(entries(places.run.path ?? "", "sandboxes"), []);
  assert.equal(mountPoints(), mounts);
});

async function areAll(status: Status): Promise<void> {
  const { views } = await listViews(places);
  const found = views.filter(({ name }) => name.startsWith("many-"));
  assert.equal(
    found.map((view) => view.status),
    Array.from({ length: many }, () => status),
  );
}

/** `count` commands, ten at the same time; all go well. */
async function inParallel(count: number, words: (index: number) => readonly string[]) {
  const indices = Array.from({ length: count }, (_, index) => index).values();
  const work = async () => {
    for (const index of indices) {
      const { code, stderr } = await sbx(words(index), { timeoutMs: 4 * patienceMs });
      assert.equal([code, stderr], [0, ""], words(index).join(" "));
    }
  };
  await Promise.all(Array.from({ length: 10 }, work));
}

test.needs(
  needs,
  "many are started, listed, stopped and removed by commands in parallel",
  async () => {
    const mounts = mountPoints();
    const isListed = { now: true };
    const list = async () => {
      while (isListed.now) {
        const { code, stderr } = await sbx(["ps", "-aq"], { timeoutMs: 4 * patienceMs });
        assert.equal([code, stderr], [0, ""]);
      }
    };
    const startAndStop = async () => {
      await inParallel(many, (index) => [
        ...["run", "-d", ...options, `--name=many-${index}`],
        ...[busyboxRootfs(), "sleep", marker],
      ]);
      await areAll("running");
      // Each by two commands.
      await inParallel(many / 5, (index) => {
        const first = Math.floor(index / 2) * 10;
        const ten = Array.from({ length: 10 }, (_, each) => `many-${first + each}`);
        return ["stop", "-t", "0", ...ten];
      });
      await areAll("exited");
    };
    const stopListing = () => {
      isListed.now = false;
    };
    await Promise.all([list(), list(), startAndStop().finally(stopListing)]);
    await inParallel(many / 10, (index) => {
      const first = index * 10;
      return ["rm", ...Array.from({ length: 10 }, (_, each) => `many-${first + each}`)];
    });
    assert.equal(processesNaming(marker), []);
    assert.equal(processesNaming(process.env.XDG_DATA_HOME ?? ""), []);
    assert.equal(entries(places.data, "sandboxes"), []);
    assert.equal(entries(places.data, "names"), [".lock"]);
    assert.equal(entries(places.run.path ?? "", "sandboxes"), []);
    assert.equal(mountPoints(), mounts);
  },
);

test.run();
