/** `sbx events`: what monitors and commands tell of sandboxes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("events of sandboxes");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("events");
process.env.XDG_DATA_HOME = temporaryDirectory("events-data");
const options = ["--userns=single", "--network=none"];

const begin = (name: string, script: string, ...more: string[]) =>
  sbx(["run", "-d", ...options, `--name=${name}`, ...more, busyboxRootfs(), "sh", "-c", script]);

/** `ACTION NAME` of each line, and what else it says. */
const said = (lines: string) =>
  lines
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^\S+Z (\S+) [0-9a-f]{12} \((.*)name=(.*)\)$/, "$1 $3 $2").trim());

test.needs(needs, "a life, as it is told while it goes on and afterwards", async () => {
  const follower = spawn(command, ["events"]);
  let told = "";
  follower.stdout.on("data", (chunk) => {
    told += chunk;
  });
  // It tells what comes from now on.
  const run = join(process.env.XDG_RUNTIME_DIR ?? "", "sbx");
  await until("it follows", () => fs.existsSync(run));
  await begin("web", "sleep 60", "--restart=always");
  await sbx(["exec", "web", "true"]);
  await sbx(["kill", "-s", "USR1", "web"]);
  const lived = (lines: string) => said(lines).filter((line) => !line.startsWith("create"));
  const all = async () => lived((await sbx(["events", "--no-stream"])).stdout);
  const starts = async () => (await all()).filter((line) => line === "start web").length;
  await until("it has started again", async () => (await starts()) === 2);
  await sbx(["stop", "web"]);
  await begin("gone", "exit 3", "--rm");
  const wanted = [
    "start web",
    "exec web",
    "kill web signal=10,",
    "die web exitCode=138,",
    "start web",
    "die web exitCode=143,",
    "stop web",
    "start gone",
    "die gone exitCode=3,",
  ];
  await until("all is told of", async () => (await all()).length >= wanted.length);
  // The command may have ended before the signal that ended it is told of.
  assert.equal((await all()).sort(), [...wanted].sort());
  await until("all is told of to who follows", () => lived(told).length >= wanted.length);
  follower.kill("SIGINT");
  await once(follower, "exit");
  assert.equal(lived(told).sort(), [...wanted].sort());
});

test.needs(needs, "filters, times and JSON", async () => {
  const events = async (...words: string[]) =>
    (await sbx(["events", "--no-stream", ...words])).stdout;
  assert.equal(said(await events("-f", "event=stop", "-f", "event=kill")).sort(), [
    "kill web signal=10,",
    "stop web",
  ]);
  assert.equal(said(await events("--filter", "sandbox=gone", "--filter", "event=die")), [
    "die gone exitCode=3,",
  ]);
  const [line = ""] = (
    await events("--json", "--filter", "container=gone", "--filter=event=die")
  ).split("\n");
  const { timeMs, id, ...rest } = JSON.parse(line);
  assert.ok(Math.abs(Date.now() - timeMs) < 60_000);
  assert.match(id, /^[0-9a-f]{12}$/);
  assert.equal(rest, { action: "die", name: "gone", attributes: { exitCode: 3 } });
  assert.equal(
    said(await events("--filter", `sandbox=${id.slice(0, 6)}`, "--filter", "event=start")),
    ["start gone"],
  );
  assert.is(await events("--until", "1h"), "");
  assert.is(await events("--since", `${Math.ceil(Date.now() / 1000) + 5}`), "");
  // With an end, it ends by itself.
  const since = await sbx(["events", "--since=1h", "--until=0s"]);
  assert.is(since.code, 0);
  assert.is(said(since.stdout).at(-1), "die gone exitCode=3,");
});

test.needs(needs, "what is told after a new name has that", async () => {
  await begin("old", "sleep 60");
  await sbx(["rename", "old", "new"]);
  await sbx(["stop", "-t", "0", "new"]);
  const { stdout } = await sbx(["events", "--no-stream", "--filter=sandbox=new"]);
  assert.equal(said(stdout), ["rename new oldName=old,", "die new exitCode=143,", "stop new"]);
});

test("what is no filter, no event, no time", async () => {
  for (const [words, pattern] of [
    [
      ["--filter", "odd"],
      /events --filter odd: is no filter\. There are event=ACTION and sandbox=/,
    ],
    [["--filter", "event=odd"], /there is no such event\. There are create, start, die/],
    [["--since", "soon"], /--since soon: is no time/],
    [["web"], /events web: it takes options alone\. Choose by --filter sandbox=NAME/],
  ] as const) {
    const { code, stderr } = await sbx(["events", ...words]);
    assert.is(code, 125);
    assert.match(stderr, pattern);
  }
});

test.needs(needs, "what cannot be told of is done all the same", async () => {
  const events = join(process.env.XDG_RUNTIME_DIR ?? "", "sbx/events");
  fs.rmSync(events);
  fs.mkdirSync(events);
  await begin("untold", "sleep 60");
  const { code, stdout, stderr } = await sbx(["stop", "untold"]);
  assert.equal([code, stdout], [0, "untold\n"]);
  assert.match(stderr, /^sbx: tell of stop untold in .*\/events: EISDIR/);
});

test.run();
