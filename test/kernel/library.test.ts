/** Sandboxes that this very process starts. */
import { getEventListeners } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import * as assert from "uvu/assert";
import { Sandbox, type SandboxOptions, SbxError, type SpawnOptions } from "../../cmd/library.js";
import { asNow, childrenOf } from "../support/held.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("library");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

const sandbox = (options: Partial<SandboxOptions> = {}) =>
  Sandbox.create({ rootfs: busyboxRootfs(), network: ["none"], ...options });

/** What a command says, and how it ends; the sandbox is disposed of. */
async function run(
  script: string,
  { input = "", ...options }: SpawnOptions & { input?: string } = {},
  own: Partial<SandboxOptions> = {},
) {
  const box = await sandbox(own);
  const child = await box.spawn("sh", ["-c", script], options);
  child.stdin?.end(input);
  const output = child.stdout && text(child.stdout);
  const errors = child.stderr && text(child.stderr);
  const result = { ...(await child.exit), stdout: await output, stderr: await errors };
  await box.dispose();
  return result;
}

/** The problem that an operation is refused with. */
async function refusal(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (error instanceof SbxError) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}

test.needs(needs, "streams, the exit code, variables and the working directory", async () => {
  const { stdout, stderr, ...exit } = await run("cat; echo $A; pwd >&2; exit 3", {
    input: "in\n",
    env: { A: "a b" },
    cwd: "/tmp",
  });
  assert.is(stdout, "in\na b\n");
  assert.is(stderr, "/tmp\n");
  assert.equal(exit, { code: 3, signal: null, reason: "exited" });
});

test.needs(
  needs,
  "of this process's variables those that were asked for, as they are then",
  async () => {
    const shown = async (options: object, env: Record<string, string> = {}) => {
      const { stdout } = await run("env | grep ^SBX_TEST | sort", { env }, options);
      return stdout;
    };
    process.env.SBX_TEST = "one";
    process.env.SBX_TEST_2 = "two";
    try {
      assert.is(await shown({}), "");
      assert.is(await shown({ env: ["SBX_TEST", "constructor"] }), "SBX_TEST=one\n");
      assert.is(await shown({ envHost: true }), "SBX_TEST=one\nSBX_TEST_2=two\n");
      const both = { SBX_TEST_2: "own", constructor: "x" };
      assert.is(await shown({ env: ["SBX_TEST"] }, both), "SBX_TEST=one\nSBX_TEST_2=own\n");
      assert.is(await shown({ envHost: true }, both), "SBX_TEST=one\nSBX_TEST_2=own\n");
    } finally {
      delete process.env.SBX_TEST;
      delete process.env.SBX_TEST_2;
    }
  },
);

test.needs(needs, "10 MB each way", async () => {
  const box = await sandbox();
  const child = await box.spawn("cat");
  const output = child.stdout && text(child.stdout);
  const bytes = "0123456789abcdef".repeat(655_360);
  child.stdin?.end(bytes);
  assert.ok((await output) === bytes);
  assert.is((await child.exit).code, 0);
  await box.dispose();
});

test.needs(needs, "why it ended", async () => {
  const ended = { code: null, signal: "SIGKILL" };
  const [own, late, aborted, unknown] = await Promise.all([
    run("kill -9 $$"),
    run("sleep 60", { timeoutMs: 300 }),
    abortedRun(),
    run("exec /nowhere", {}, { entrypoint: "/nowhere" }),
  ]);
  assert.equal([own.reason, own.code, own.signal], ["signalled", null, "SIGKILL"]);
  assert.equal([late.reason, late.code, late.signal], ["timed out", ...Object.values(ended)]);
  assert.equal([aborted.reason, aborted.signal], ["aborted", "SIGKILL"]);
  assert.equal([unknown.reason, unknown.code, unknown.step], ["set-up failed", 127, "run"]);
  assert.match(`${unknown.why}`, "ENOENT");
});

async function abortedRun() {
  const box = await sandbox();
  const control = new AbortController();
  const child = await box.spawn("sleep", ["60"], { signal: control.signal });
  setTimeout(() => control.abort(), 100);
  const exit = await child.exit;
  const late = box.spawn("true", [], { signal: control.signal });
  assert.is(await late.catch(({ name }) => name), "AbortError");
  await box.dispose();
  return exit;
}

test.needs(needs, "kill reaches the command, and all of the sandbox with SIGKILL", async () => {
  const box = await sandbox();
  const child = await box.spawn("sh", ["-c", "trap 'exit 7' TERM; echo; sleep 60 & wait"]);
  await new Promise((ready) => child.stdout?.once("data", ready));
  const told = new Promise((tell) => child.once("exit", (...words) => tell(words)));
  assert.ok(child.kill());
  assert.equal(await child.exit, { code: 7, signal: null, reason: "exited" });
  assert.equal(await told, [7, null]);
  assert.not(child.kill("SIGKILL"));
  await box.dispose();
});

test.needs(needs, "a sandbox that cannot be had is refused, with what is wrong", async () => {
  const missing = await sandbox({ rootfs: "/nowhere/at/all" });
  assert.match(await refusal(() => missing.spawn("true")), /\/nowhere\/at\/all.*ENOENT/);
  const wrong = { nettwork: ["none"] } as Partial<SandboxOptions>;
  assert.match(await refusal(() => sandbox(wrong)), "the option nettwork: there is no such option");
  const number = { volume: 3 } as unknown as Partial<SandboxOptions>;
  assert.match(await refusal(() => sandbox(number)), "the option volume: must be an array");
  assert.match(await refusal(() => sandbox({ ulimit: ["nofile=x"] })), "the option ulimit");
});

test.needs(needs, "what it keeps is told, and gone when it is disposed of", async () => {
  const box = await sandbox({ keepChanges: true });
  assert.equal(await box.diff(), []);
  const script = "echo x >/new; rm /etc/group";
  assert.is((await (await box.spawn("sh", ["-c", script])).exit).code, 0);
  assert.is((await (await box.spawn("cat", ["/new"])).exit).code, 0);
  const changes = (await box.diff()).map(({ path, change }) => `${change} ${path}`);
  assert.equal(changes, ["deleted /etc/group", "added /new"]);
  await box.dispose();
  assert.match(await refusal(() => box.spawn("true")), "the sandbox is disposed of");
});

test.needs(needs, "dispose ends what runs, and waits for it", async () => {
  const box = await sandbox();
  const children = await Promise.all([1, 2, 3].map(() => box.spawn("sleep", ["60"])));
  await box.dispose();
  for (const child of children) assert.is((await child.exit).signal, "SIGKILL");
  assert.not(children.some(({ pid }) => childrenOf(process.pid).includes(pid)));
});

test.needs(needs, "launches leave no fd, no child and no listener", async () => {
  const box = await sandbox();
  const { signal } = new AbortController();
  const launch = async () => {
    const child = await box.spawn("true", [], { stdin: "ignore", signal });
    child.stdout?.resume();
    child.stderr?.resume();
    assert.is((await child.exit).code, 0);
  };
  await launch();
  const leaveNothing = asNow();
  const launches = Number(process.env.SBX_LAUNCHES ?? 200);
  for (let left = launches; left > 0; left -= 4) await Promise.all([1, 2, 3, 4].map(launch));
  await until("they leave nothing", leaveNothing);
  assert.equal(getEventListeners(signal, "abort"), []);
  await box.dispose();
});

test.needs(needs, "a program does not get what else this process has open", async () => {
  const { stdout } = await run("ls /proc/self/fd");
  // 3 is the directory that ls reads.
  assert.is(stdout, "0\n1\n2\n3\n");
});

test("the types are those of the options", async () => {
  const { sandboxOptions } = await import("../../cmd/generate-options.js");
  assert.is(readFileSync("cmd/sandbox-options.ts", "utf8"), sandboxOptions());
});

test.run();
