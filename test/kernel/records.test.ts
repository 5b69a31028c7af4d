/** Running sandboxes are found by their records, and only they. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { freeze, killAll } from "../../launch/life/control-group.js";
import { listSandboxes } from "../../launch/life/records.js";
import type { Sandbox } from "../../launch/life/sandbox.js";
import { callersPlaces, findRunning } from "../../launch/life/sandboxes.js";
import { tryLock } from "../../launch/native/file-calls.js";
import { defaultSpec } from "../../spec/default.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { sbx } from "../support/sandbox.js";
import { childrenOf, started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("records");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
// The sandboxes of other test files are not to be found here.
process.env.XDG_RUNTIME_DIR = temporaryDirectory("records");
const places = callersPlaces(process.env);
const { run } = places;
const records = join(run.path ?? "", "sandboxes");

async function failureOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => "it did not fail",
    (error: Error) => error.message,
  );
}

test.needs(needs, "a sandbox is found as long as it runs", async () => {
  const before = Math.floor(Date.now() / 1000);
  await started(["--name", "web"], "echo ready; exec sleep 20", async (pid) => {
    const [sandbox, ...others] = await listSandboxes(run);
    assert.equal(others, []);
    assert.is(sandbox?.name, "web");
    assert.is(sandbox?.monitor, pid);
    assert.equal([sandbox?.init], childrenOf(pid));
    assert.ok((sandbox?.started ?? 0) >= before && (sandbox?.started ?? 0) <= Date.now() / 1000);
    assert.is(sandbox?.spec.root.path, busyboxRootfs());
    assert.equal(sandbox?.uidMappings[0]?.hostID, process.getuid?.());
    assert.is(fs.statSync(join(records, "web")).mode & 0o777, 0o600);
    assert.is(fs.statSync(records).mode & 0o777, 0o700);
    process.kill(pid, "SIGTERM");
  });
  assert.equal(await listSandboxes(run), []);
  assert.equal(fs.readdirSync(records), []);
});

test.needs(
  needs,
  "without --name the name is twelve digits, and its beginning is enough",
  async () => {
    await started([], "echo ready; exec sleep 20", async (pid) => {
      const [{ name } = { name: "" }] = await listSandboxes(run);
      assert.match(name, /^[0-9a-f]{12}$/);
      assert.is((await findRunning(places, name.slice(0, 3))).monitor, pid);
      assert.match(
        await failureOf(findRunning(places, "zz")),
        /zz: there is none of that name or ID/,
      );
      process.kill(pid, "SIGTERM");
    });
  },
);

test.needs(needs, "a name is one sandbox's at a time", async () => {
  await started(["--name", "db"], "echo ready; exec sleep 20", async (pid) => {
    const second = await sbx(["run", "--name", "db", busyboxRootfs(), "echo", "ran"]);
    assert.equal([second.code, second.stdout], [125, ""]);
    assert.match(
      second.stderr,
      /sandboxes\/db: a sandbox of that name is running\. Choose another/,
    );
    assert.equal(fs.readdirSync(records), ["db"]);
    assert.is((await findRunning(places, "db")).monitor, pid);
    process.kill(pid, "SIGTERM");
  });
  const { code } = await sbx(["run", "--name", "db", busyboxRootfs(), "true"]);
  assert.is(code, 0);
});

test.needs(needs, "what a killed monitor leaves behind is nobody's, and removed", async () => {
  const kill = () =>
    started(["--name", "gone"], "echo ready; exec sleep 20", (pid) => {
      process.kill(pid, "SIGKILL");
    });
  await kill();
  assert.equal(fs.readdirSync(records), ["gone"]);
  assert.equal(await listSandboxes(run), []);
  assert.equal(fs.readdirSync(records), []);
  await kill();
  await started(["--name", "gone"], "echo ready; exec sleep 20", async (pid) => {
    assert.is((await findRunning(places, "gone")).monitor, pid);
    process.kill(pid, "SIGTERM");
  });
});

test.needs(needs, "half a record that is left behind is removed in time", async () => {
  const half = join(records, ".0123456789ab");
  fs.writeFileSync(half, '{"ver');
  assert.equal(await listSandboxes(run), []);
  assert.ok(fs.existsSync(half), "somebody may be about to lock it");
  fs.utimesSync(half, 0, 0);
  assert.equal(await listSandboxes(run), []);
  assert.not.ok(fs.existsSync(half));
});

test.needs(needs, "two that begin alike are not mixed up", async () => {
  await started(["--name", "web"], "echo ready; exec sleep 20", async (first) => {
    await started(["--name", "web2"], "echo ready; exec sleep 20", async (second) => {
      assert.is((await findRunning(places, "web")).monitor, first);
      assert.match(
        await failureOf(findRunning(places, "we")),
        /several names or IDs begin so\. There are web .*, web2 /,
      );
      process.kill(second, "SIGTERM");
    });
    process.kill(first, "SIGTERM");
  });
});

test.needs(needs, "a record that cannot be written is an error for who gave a name", async () => {
  const env = { XDG_RUNTIME_DIR: temporaryDirectory("records-full") };
  fs.mkdirSync(join(env.XDG_RUNTIME_DIR, "sbx"));
  fs.mkdirSync(join(env.XDG_RUNTIME_DIR, "sbx/sandboxes"), { mode: 0o500 });
  const named = await sbx(["run", "--name", "x", busyboxRootfs(), "true"], { env });
  assert.is(named.code, 125);
  assert.match(
    named.stderr,
    /^sbx: write the record .*\/x: Permission denied \(EACCES\)\. Make room/,
  );
  const unnamed = await sbx(["run", busyboxRootfs(), "echo", "runs"], { env });
  assert.is(unnamed.code, 0);
  assert.is(unnamed.stdout, "runs\n");
  assert.match(unnamed.stderr, /EACCES\)\. It runs, but other commands will not find it\n$/);
});

test.needs(needs, "where there is no place for records, only names are refused", async () => {
  const env = { XDG_RUNTIME_DIR: undefined, XDG_STATE_HOME: "/nonexistent" };
  const named = await sbx(["run", "--name", "x", busyboxRootfs(), "true"], { env });
  assert.is(named.code, 125);
  assert.match(
    named.stderr,
    /name the sandbox x: there is no private directory .* \/ belongs to uid 0/,
  );
  const unnamed = await sbx(["run", busyboxRootfs(), "true"], { env });
  assert.equal([unnamed.code, unnamed.stderr], [0, ""]);
  const explained = await sbx(["explain", "run", busyboxRootfs(), "true"], { env });
  assert.match(explained.stdout, /other commands will not find it: \/ belongs to uid 0/);
});

test.needs(needs, "words of options and what is no name are refused", async () => {
  for (const name of ["host", "pasta", "-x", "a/b", ".x", "x".repeat(65)]) {
    const { code, stderr } = await sbx(["run", "--name", name, busyboxRootfs(), "true"]);
    assert.is(code, 125, name);
    assert.match(stderr, /^sbx: (sbx\.|--)name/, name);
  }
});

test("whatever lies among the records, those of sandboxes are found", async () => {
  fs.mkdirSync(join(records, "directory"), { recursive: true });
  fs.mkdirSync(join(records, ".old"));
  fs.utimesSync(join(records, ".old"), 0, 0);
  fs.symlinkSync("/etc/passwd", join(records, "link"));
  execFileSync("mkfifo", [join(records, "fifo")]);
  const server = net.createServer().listen(join(records, "socket"));
  const texts = ["", "hi", "null", '{"version":1', '{"version":1,"name":"other","monitor":1}'];
  for (const [index, text] of texts.entries()) fs.writeFileSync(join(records, `x${index}`), text);
  const lie = JSON.stringify({ version: 1, name: "locked", monitor: process.pid, spec: {} });
  fs.writeFileSync(join(records, "locked"), lie);
  const locked = fs.openSync(join(records, "locked"), "r");
  assert.ok(tryLock(locked));
  try {
    assert.equal(await listSandboxes(run), []);
    const left = [".old", "directory", "fifo", "link", "locked", "socket"];
    assert.equal(fs.readdirSync(records).sort(), left);
  } finally {
    fs.closeSync(locked);
    server.close();
    fs.rmSync(records, { recursive: true });
  }
});

test("nothing that is no control group is written to or removed for a record that says so", async () => {
  const cgroup = temporaryDirectory("group");
  const lie = { version: 1, name: "liar", monitor: 1, cgroup, spec: defaultSpec("/") };
  fs.mkdirSync(records, { recursive: true, mode: 0o700 });
  fs.writeFileSync(join(records, "liar"), JSON.stringify(lie));
  assert.equal(await listSandboxes(run), []);
  assert.ok(fs.existsSync(cgroup));
  for (const file of ["cgroup.kill", "cgroup.freeze"]) fs.writeFileSync(join(cgroup, file), "mine");
  const sandbox = lie as unknown as Sandbox;
  assert.throws(() => killAll(sandbox), /kill liar: its record names .* no control group/);
  assert.match(await failureOf(freeze(sandbox, true)), /pause liar: its record names/);
  for (const file of fs.readdirSync(cgroup)) {
    assert.is(fs.readFileSync(join(cgroup, file), "utf8"), "mine");
  }
});

test.run();
