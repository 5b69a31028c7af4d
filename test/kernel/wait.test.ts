/** `sbx wait`: exit codes of sandboxes that end, have ended, are removed or killed; and their other states. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as assert from "uvu/assert";
import { removeKept } from "../../launch/life/kept-remove.js";
import { callersPlaces, listViews } from "../../launch/life/sandboxes.js";
import { awaitCondition } from "../../launch/life/waiting.js";
import { opensOf } from "../support/held.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, processesNaming, type SbxResult, sbx } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("wait");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("wait");
process.env.XDG_DATA_HOME = temporaryDirectory("wait-data");
const options = ["--userns=single", "--network=none", "--name=it"];
const tillTold = "echo ready; read word";

/** Those that have ended. */
async function removeAll(): Promise<void> {
  const { data } = callersPlaces(process.env);
  const { views } = await listViews(callersPlaces(process.env));
  await removeKept(
    data,
    views.flatMap(({ kept }) => kept ?? []),
  );
}

/** One in the background, with a shell that runs the script. */
async function inBackground(script: string, ...more: string[]): Promise<void> {
  const words = ["run", "-d", ...options, ...more, busyboxRootfs(), "sh", "-c", script];
  const { code, stderr } = await sbx(words);
  assert.is(code, 0, stderr);
}

/** The only one there is. */
async function found() {
  const places = callersPlaces(process.env);
  const [view] = (await listViews(places)).views;
  if (view === undefined) throw new Error("there is none");
  return { view, places };
}

/** Those who wait for one called `it` to end have opened its monitor. */
const thoseWhoWait = () =>
  processesNaming(" wait ").filter(
    ({ pid, commandLine }) =>
      commandLine.endsWith(" it") && opensOf(pid).some((link) => link.includes("pidfd")),
  );

const outcome = ({ code, stdout, stderr }: SbxResult) => [code, stdout, stderr];

test.needs(needs, "the exit code of one in the foreground, for each who waits", async () => {
  const child = spawn(command, [
    "run",
    ...options,
    busyboxRootfs(),
    "sh",
    "-c",
    `${tillTold}; exit 5`,
  ]);
  await once(child.stdout, "data");
  const both = [sbx(["wait", "it"]), sbx(["wait", "--condition=removed", "it"])];
  await until("both wait", () => thoseWhoWait().length === 2);
  child.stdin.end("\n");
  for (const result of await Promise.all(both)) assert.equal(outcome(result), [0, "5\n", ""]);
});

test.needs(needs, "137 where the command, or the monitor, is killed", async () => {
  for (const [script, victim] of [
    ["trap 'kill -9 $$' USR1; echo ready; while :; do sleep 0.05; done", "command"],
    ["echo ready; sleep 60", "monitor"],
  ] as const) {
    let end: Promise<SbxResult> | undefined;
    await started(options, script, async (monitor) => {
      end = sbx(["wait", "it"]);
      await until("it is waited for", () => thoseWhoWait().length === 1);
      process.kill(monitor, victim === "monitor" ? "SIGKILL" : "SIGUSR1");
    });
    assert.equal(outcome((await end) as SbxResult), [0, "137\n", ""], script);
  }
});

test.needs(needs, "one in the background, while it runs and afterwards", async () => {
  await inBackground("sleep 2; exit 6");
  assert.equal(outcome(await sbx(["wait", "it"])), [0, "6\n", ""]);
  assert.equal(outcome(await sbx(["wait", "it", "it"])), [0, "6\n6\n", ""]);
  const { stdout } = await sbx(["wait", "--json", "--ignore", "it", "absent"]);
  assert.equal(JSON.parse(stdout), [
    { sandbox: "it", exitCode: 6 },
    { sandbox: "absent", exitCode: null },
  ]);
  // Nothing shows when the command has found it.
  const { view, places } = await found();
  const removed = awaitCondition(places, view, ["removed"]);
  await removeAll();
  assert.is(await removed, 6);
});

test.needs(needs, "one that is removed at its end", async () => {
  await inBackground("trap 'exit 7' USR1; while :; do sleep 0.05; done", "--rm");
  const { view, places } = await found();
  const end = sbx(["wait", "it"]);
  await until("it is waited for", () => thoseWhoWait().length === 1);
  process.kill(view.record?.monitor ?? 0, "SIGUSR1");
  assert.equal(outcome(await end), [0, "7\n", ""]);
  assert.equal((await listViews(places)).views, []);
  // It may end just as somebody is about to wait.
  assert.is(await awaitCondition(places, view, ["exited"]), 7);
});

test.needs(needs, "a start is waited for, and starts after an end are passed over", async () => {
  await inBackground("sleep 0.3; exit 8", "--restart=on-failure:1");
  assert.equal(outcome(await sbx(["wait", "it"])), [0, "8\n", ""]);
  const [view] = (await listViews(callersPlaces(process.env))).views;
  assert.is(view?.restarts, 1);
  await removeAll();
});

test.needs(needs, "who was asked to stop is not started again, by whatever signal", async () => {
  for (const words of [["stop"], ["kill"], ["kill", "-s", "TERM"]]) {
    await inBackground("sleep 60", "--restart=always");
    assert.is((await sbx([...words, "it"])).code, 0);
    const { stdout } = await sbx(["wait", "it"]);
    assert.is(stdout, words.length === 1 && words[0] === "kill" ? "137\n" : "143\n");
    await removeAll();
  }
});

test.needs(needs, "what is stopped while it waits for its next start stays so", async () => {
  await inBackground("exit 9", "--restart=always");
  assert.equal(outcome(await sbx(["wait", "--condition=restarting", "it"])), [0, "-1\n", ""]);
  assert.is((await sbx(["stop", "it"])).code, 0);
  assert.is((await sbx(["wait", "it"])).stdout, "9\n");
  assert.equal(outcome(await sbx(["stop", "it"])), [0, "it\n", ""]);
  await removeAll();
});

test("what is not there, and what is no state", async () => {
  assert.equal(outcome(await sbx(["wait", "--ignore", "absent"])), [0, "-1\n", ""]);
  const absent = await sbx(["wait", "absent"]);
  assert.is(absent.code, 1);
  assert.match(absent.stderr, /find the sandbox absent: there is none of that name or ID/);
  const odd = await sbx(["wait", "--condition=odd", "x"]);
  assert.is(odd.code, 125);
  assert.match(odd.stderr, /wait --condition odd: there is no such state\. There are created,/);
  assert.match((await sbx(["wait"])).stderr, /wait: no sandbox is named/);
});

test.run();
