/** Sandboxes of the library's whose Node ends, or is out of something, or is asked for nonsense. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Sandbox, SbxError, type SpawnOptions } from "../../cmd/library.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { patienceMs } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("library: life");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const sandbox = () => Sandbox.create({ rootfs: busyboxRootfs(), network: ["none"] });
const library = join(import.meta.dirname, "../../cmd/library.ts");

/** Another Node, which begins with a sandbox as `box`. */
function node(script: string) {
  const words = `import { Sandbox } from ${JSON.stringify(library)};
    const box = await Sandbox.create({ rootfs: ${JSON.stringify(busyboxRootfs())}, network: ["none"] });
    ${script}`;
  const flags = ["--import", "tsx", "--input-type=module", "-e", words];
  return spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
}

/** Zombies have ended, too. */
const isThere = (pid: number) => {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

async function ended(pid: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while (isThere(pid) && performance.now() < deadline) await sleep(20);
  return !isThere(pid);
}

test.needs(
  needs,
  "they end with the Node that started them, also where that is killed",
  async () => {
    const other = node(`
    const child = await box.spawn("sleep", ["60"], { stdin: "ignore" });
    const more = await child.exec("sh", ["-c", "echo; sleep 60"]);
    more.stdout.once("data", () => console.log(child.pid, more.pid));`);
    const [line] = await once(other.stdout, "data");
    const pids = `${line}`.trim().split(" ").map(Number);
    assert.is(pids.length, 2);
    for (const pid of pids) assert.ok(isThere(pid));
    other.kill("SIGKILL");
    for (const pid of pids) assert.ok(await ended(pid), `${pid} goes on`);
  },
);

test.needs(needs, "a worker's end with the worker, and Node has nothing to warn of", async () => {
  // tsx does not reach into workers.
  const built = join(import.meta.dirname, "../../dist/library.js");
  const words = `
    import { parentPort } from "node:worker_threads";
    import(${JSON.stringify(built)}).then(async ({ Sandbox }) => {
      const box = await Sandbox.create({ rootfs: ${JSON.stringify(busyboxRootfs())}, network: ["none"] });
      await (await box.spawn("true")).exit;
      const { pid } = await box.spawn("sleep", ["60"]);
      parentPort.postMessage(pid);
    });`;
  const other = node(`
    import { Worker } from "node:worker_threads";
    process.on("warning", ({ message }) => console.log(message));
    const worker = new Worker(${JSON.stringify(words)}, { eval: true });
    worker.once("message", async (pid) => {
      await worker.terminate();
      console.log(pid);
      setTimeout(() => {}, 10_000);
    });`);
  const [line] = await once(other.stdout, "data");
  assert.match(`${line}`, /^\d+\n$/);
  assert.ok(await ended(Number(line)));
  other.kill();
});

test.needs(needs, "what is stopped is ended, too", async () => {
  const box = await sandbox();
  const child = await box.spawn("sleep", ["60"]);
  child.kill("SIGSTOP");
  await Promise.all([box.dispose(), box.dispose()]);
  assert.is((await child.exit).signal, "SIGKILL");
});

test.needs(needs, "a monitor that is killed takes all with it", async () => {
  await using box = await sandbox();
  const child = await box.spawn("sh", ["-c", "echo; sleep 60"]);
  await once(child.stdout ?? child, "data");
  process.kill(child.pid, "SIGKILL");
  assert.equal(await child.exit, { code: null, signal: "SIGKILL", reason: "signalled" });
});

test.needs(needs, "dispose during a start", async () => {
  const box = await sandbox();
  const started = box.spawn("sleep", ["60"]).then(
    () => "started",
    (error) => `${error}`,
  );
  await box.dispose();
  assert.match(await started, "the sandbox is disposed of");
});

test.needs(needs, "numbers of fds that collide, and streams that are closed", async () => {
  const box = await sandbox();
  const swapped = node(`
    const child = await box.spawn("sh", ["-c", "echo out; echo err >&2; cat"], {
      stdin: 1, stdout: 2, stderr: 1,
    }).catch(console.log);
    await child?.kill("SIGKILL");`);
  assert.is((await text(swapped.stdout)).trim().split("\n").length, 1);
  const child = await box.spawn("sh", ["-c", "while :; do echo y; done"]);
  await once(child.stdout ?? child, "data");
  child.stdout?.destroy();
  assert.equal(await child.exit, { code: null, signal: "SIGPIPE", reason: "signalled" });
  await box.dispose();
});

test.needs(needs, "what no caller with types would give is refused", async () => {
  await using box = await sandbox();
  const refusal = async (options: object, words: unknown[] = ["true"]) => {
    const [command, ...args] = words as string[];
    const started = box.spawn(command as string, args, options as SpawnOptions);
    return started.then(
      () => "started",
      (error) => (error instanceof SbxError ? error.message : `${error.stack}`),
    );
  };
  assert.match(await refusal({ stdin: "pip" }), "sbx: the option stdin: must be");
  assert.match(await refusal({ stdout: -1 }), "sbx: the option stdout: must be");
  assert.match(await refusal({ stderr: 1000 }), /sbx: .*EBADF/);
  for (const timeoutMs of [-1, Number.NaN, 2 ** 31, "1"]) {
    assert.match(await refusal({ timeoutMs }), "sbx: the option timeoutMs: must be");
  }
  assert.match(await refusal({ env: { "A=": "" } }), "sbx: the option env: no variable");
  assert.match(await refusal({ env: { A: "a\0" } }), "sbx: the variable A: has a NUL");
  assert.match(await refusal({}, ["a\0b"]), "sbx: the command: has a NUL");
  assert.match(await refusal({}, [undefined]), "sbx: the command: must be");
  assert.match(await refusal({ memry: "1g" }), "sbx: the option memry: there is no such option");
  const never = await box.spawn("true", [], { timeoutMs: 0 });
  assert.is((await never.exit).reason, "exited");
});

test.needs(
  needs,
  "changes that a killed Node kept go with the next sandbox that keeps some",
  async () => {
    const { XDG_CACHE_HOME } = process.env;
    const cache = temporaryDirectory("changes");
    const options = { rootfs: busyboxRootfs(), network: ["none"], keepChanges: true };
    const other = node(`
    process.env.XDG_CACHE_HOME = ${JSON.stringify(cache)};
    const own = await Sandbox.create(${JSON.stringify(options)});
    await (await own.spawn("sh", ["-c", "mkdir /x; chown -R 5:5 /x"])).exit;
    console.log("ready");
    setTimeout(() => {}, 60_000);`);
    await once(other.stdout, "data");
    const kept = () =>
      readdirSync(join(cache, "sbx")).filter((name) => name.startsWith("changes-"));
    const [first] = kept();
    const use = async () => {
      const box = await Sandbox.create(options);
      const { length } = kept();
      await Promise.all([box.dispose(), box.dispose()]);
      return [length, kept()];
    };
    process.env.XDG_CACHE_HOME = cache;
    try {
      assert.equal(await use(), [2, [first]]);
      other.kill("SIGKILL");
      await once(other, "exit");
      assert.equal(await use(), [1, []]);
    } finally {
      if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
    }
  },
);

test.needs(
  needs,
  "a start that lacks fds or processes says so, and leaves no fd behind",
  async () => {
    const other = node(`
    import { execFileSync } from "node:child_process";
    import { openSync, closeSync, readdirSync } from "node:fs";
    await (await box.spawn("true")).exit;
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = readdirSync("/proc/self/fd").length;
    const most = [];
    try { for (;;) most.push(openSync("/dev/null")); } catch {}
    for (let free = 0; free < 8; free += 1) {
      await box.spawn("true").then(({ exit }) => exit).catch(({ message }) => console.log(message));
      await new Promise((resolve) => setTimeout(resolve, 20));
      closeSync(most.pop());
    }
    for (const fd of most) closeSync(fd);
    execFileSync("prlimit", ["--pid", String(process.pid), "--nproc=1:"]);
    await box.spawn("true").catch(({ message }) => console.log(message));
    const left = () => Math.max(0, readdirSync("/proc/self/fd").length - before);
    for (let tries = 0; left() > 0 && tries < 300; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    console.log(left());
    await box.dispose();`);
    const lines = (await text(other.stdout)).trim().split("\n");
    assert.is(lines.at(-1), "0");
    assert.match(`${lines.at(-2)}`, /^sbx: .*EAGAIN.*ulimit -u/);
    assert.ok(lines.length > 3);
    for (const line of lines.slice(0, -2)) assert.match(line, /^sbx: .*EMFILE.*ulimit -n/);
  },
);

test.run();
