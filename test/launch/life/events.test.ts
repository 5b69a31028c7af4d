import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import {
  appendEvent,
  closeEvents,
  openEvents,
  readEvents,
  type SandboxEvent,
} from "../../../launch/life/events.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("events");
const event = (timeMs: number, text = ""): SandboxEvent => ({
  timeMs,
  action: "kill",
  id: "0123456789ab",
  name: "web",
  attributes: { signal: 9, ...(text === "" ? {} : { text }) },
});
const freshRun = () => join(temporaryDirectory("events"), "sbx");

/** All that there are. */
function eventsIn(run: string): SandboxEvent[] {
  const log = openEvents(run);
  const events = readEvents(log);
  closeEvents(log);
  return events;
}

test("what is appended is read, once", async () => {
  const run = freshRun();
  const log = openEvents(run);
  assert.equal(readEvents(log), []);
  await appendEvent(run, event(1));
  assert.equal(readEvents(log), [event(1)]);
  assert.is(fs.statSync(join(run, "events")).mode & 0o777, 0o600);
  await appendEvent(run, event(2));
  assert.equal(readEvents(log), [event(2)]);
  assert.equal(readEvents(log), []);
  closeEvents(log);
});

test("the states that monitors tell", () => {
  const run = freshRun();
  fs.mkdirSync(run);
  const head = '"id":"0123456789ab","name":"web","startedMs":5';
  const lines = [
    `{"status":"running",${head}}`,
    `{"status":"restarting",${head},"finishedMs":6,"exitCode":1,"oom":0}`,
    `{"status":"exited",${head},"finishedMs":7,"exitCode":137,"oom":1}`,
  ];
  fs.writeFileSync(join(run, "events"), `${lines.join("\n")}\n`);
  const told = eventsIn(run).map(({ timeMs, action, attributes }) => [
    timeMs,
    action,
    attributes.exitCode,
  ]);
  assert.equal(told, [
    [5, "start", undefined],
    [6, "die", 1],
    [7, "oom", undefined],
    [7, "die", 137],
  ]);
});

test("a line that is being written is left for the next time; what is no event is passed over", () => {
  const run = freshRun();
  fs.mkdirSync(run);
  const file = join(run, "events");
  const lies = [
    "",
    "null",
    "[1]",
    "{",
    '{"id":1}',
    '{"id":"a","name":"b","action":"odd","timeMs":1}',
    `{"a":"${"x".repeat(5000)}"}`,
  ];
  fs.writeFileSync(file, `${lies.join("\n")}\n{"timeMs":3,"action":"stop","id":"i","name"`);
  const log = openEvents(run);
  assert.equal(readEvents(log), []);
  fs.appendFileSync(file, ':"n"}\n');
  assert.equal(readEvents(log), [
    { timeMs: 3, action: "stop", id: "i", name: "n", attributes: {} },
  ]);
});

test("who reads too seldom is told so", async () => {
  const run = freshRun();
  await appendEvent(run, event(1));
  const log = openEvents(run);
  readEvents(log);
  for (const name of ["events.1", "events"]) {
    fs.writeFileSync(join(run, `new-${name}`), "");
    fs.renameSync(join(run, `new-${name}`), join(run, name));
  }
  readEvents(log);
  assert.ok(log.isTorn);
  closeEvents(log);
});

test("links, fifos and files of others are not followed, nor waited for", async () => {
  for (const make of [
    (path: string) => fs.symlinkSync("/etc/passwd", path),
    (path: string) => execFileSync("mkfifo", [path]),
    (path: string) => fs.mkdirSync(path),
  ]) {
    const run = freshRun();
    fs.mkdirSync(run);
    make(join(run, "events"));
    assert.equal(eventsIn(run), []);
    const told = await appendEvent(run, event(1)).then(
      () => "it went well",
      (error) => error.code,
    );
    assert.match(told, /^(ELOOP|ENXIO|EISDIR)$/);
  }
});

test("many who write at once, over several rotations: each line is whole, and none is lost to who reads on", async () => {
  const run = freshRun();
  const script = `
    import { appendEvent } from ${JSON.stringify(join(import.meta.dirname, "../../../launch/life/events.ts"))};
    for (let count = 0; count < 1500; count++) {
      if (count % 50 === 0) await new Promise((done) => setTimeout(done, 50));
      const attributes = { writer: process.argv[1], count, text: "x".repeat(400) };
      await appendEvent(${JSON.stringify(run)}, { timeMs: 1, action: "kill", id: "i", name: "n", attributes });
    }`;
  const writers = ["a", "b", "c"].map((name) => {
    const words = ["--import", "tsx", "--input-type=module", "-e", script, name];
    return once(spawn(process.execPath, words, { stdio: "inherit" }), "exit");
  });
  const seen = new Map<string, number[]>();
  const log = openEvents(run);
  const look = () => {
    for (const { attributes } of readEvents(log)) {
      const counts = seen.get(`${attributes.writer}`) ?? [];
      seen.set(`${attributes.writer}`, [...counts, Number(attributes.count)]);
    }
  };
  const timer = setInterval(look, 5);
  for (const [code] of await Promise.all(writers)) assert.is(code, 0);
  clearInterval(timer);
  look();
  closeEvents(log);
  for (const name of ["a", "b", "c"]) {
    assert.equal(
      seen.get(name)?.sort((a, b) => a - b),
      Array.from({ length: 1500 }, (_, index) => index),
    );
  }
  assert.ok(fs.existsSync(join(run, "events.1")));
  assert.ok(fs.statSync(join(run, "events")).size < 2 ** 20 + 4096);
});

test.run();
