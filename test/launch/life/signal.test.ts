import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { closeProcess, ended, openProcess, send } from "../../../launch/life/signal.js";
import { start } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("signals from outside");
const root = join(import.meta.dirname, "../../..");

test("a process is opened, waited for, signalled, and waited for again", async () => {
  const child = spawn("sleep", ["100"]);
  const opened = openProcess(child.pid ?? 0);
  assert.ok(opened);
  assert.is(await ended(opened, 150), false);
  const waiting = ended(opened, Number.POSITIVE_INFINITY);
  assert.ok(send(opened, 15, 0));
  assert.ok(await waiting);
  if (child.signalCode === null) await once(child, "exit");
  assert.is(child.signalCode, "SIGTERM");
  assert.not.ok(send(opened, 15, 0));
  closeProcess(opened);
});

test("many are waited for at the same time", async () => {
  const children = Array.from({ length: 20 }, () => spawn("sleep", ["0.5"]));
  const opened = children.map(({ pid }) => openProcess(pid ?? 0));
  const begun = performance.now();
  for (const end of await Promise.all(opened.map((each) => each === null || ended(each, 20_000)))) {
    assert.ok(end);
  }
  // In turns of the four threads of libuv it would be five times that.
  assert.ok(performance.now() - begun < 10_000);
  for (const each of opened) if (each !== null) closeProcess(each);
});

test("no process, and one that may not be signalled", () => {
  assert.is(openProcess(4_194_304), null);
  const init = openProcess(1);
  assert.ok(init);
  if (process.getuid?.() !== 0) {
    assert.throws(
      () => send(init, 15, 0),
      /signal the process 1: Operation not permitted \(EPERM\)/,
    );
  }
  closeProcess(init);
});

test.needs("user namespaces", "who has got the pid of another is not signalled", async () => {
  const unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
  const script = join(root, "test/support/recycled-pid.ts");
  const { stdout, stderr } = await start([...unshare, "node", "--import", "tsx", script], {
    cwd: root,
  });
  assert.is(stderr, "");
  assert.equal(JSON.parse(stdout), {
    living: [false, false],
    told: [false, false],
    dead: [true, true],
    survived: true,
    toldFresh: true,
    signal: "SIGTERM",
  });
});

test.run();
