/** Sandboxes in the background: how they start and end, what stays, and how they are started again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { callersRunDirectory } from "../../launch/facts/run-directory.js";
import { statOf } from "../../launch/life/processes.js";
import { listSandboxes } from "../../launch/life/records.js";
import { type Background, background } from "../support/background.js";
import { temporaryDirectory } from "../support/inside.js";
import { start } from "../support/sandbox.js";
import { childrenOf } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("in the background");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("detach");
const run = callersRunDirectory(process.env);

const recordOf = async ({ id }: Background) =>
  (await listSandboxes(run)).find((sandbox) => sandbox.id === id);
/** Not as a zombie, which whoever inherits it may leave for a while. */
const isThere = (pid: number) => statOf(pid) !== null;
const gone = (...pids: number[]) => until("they are gone", () => !pids.some(isThere));
/** As long as nobody asks it to end. */
const tillTold = (script: string) => `trap 'exit 3' USR1; ${script}; while :; do sleep 0.05; done`;

/** A signal with a number, as `sbx stop` sends it: rt_sigqueueinfo(2) by way of python. */
async function queue(pid: number, signal: number, value: number): Promise<void> {
  const script = `import ctypes,sys
pid, sig, value = map(int, sys.argv[1:])
class Value(ctypes.Union): _fields_ = [("i", ctypes.c_int), ("p", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(libc.sigqueue(pid, sig, Value(i=value)))`;
  const { code, stderr } = await start([
    "python3",
    "-c",
    script,
    `${pid}`,
    `${signal}`,
    `${value}`,
  ]);
  assert.is(code, 0, stderr);
}

test.needs(needs, "ignores and blocks no signal, whatever its caller does", async () => {
  const sandbox = await background("grep -E '^Sig(Blk|Ign)' /proc/self/status; echo");
  const script = "trap '' INT QUIT PIPE; exec \"$0\"";
  assert.is((await start(["sh", "-c", script, sandbox.program])).code, 0);
  await sandbox.ended();
  assert.match(sandbox.output().stdout, /^SigBlk:\t0+\nSigIgn:\t0+\n$/m);
});

test.needs(needs, "says its id once it runs, and tells what became of it", async () => {
  const sandbox = await background(tillTold("echo out; echo err >&2; read line <&0 || echo empty"));
  const { code, stdout, stderr } = await sandbox.start({ input: "from the caller" });
  assert.equal([code, stdout, stderr], [0, `${sandbox.id}\n`, ""]);
  assert.is(sandbox.state()?.status, "running");
  const record = await recordOf(sandbox);
  assert.is(record?.id, sandbox.id);
  await until("it has read", () => sandbox.output().stdout.endsWith("empty\n"));
  await sleep(250);
  process.kill(record?.monitor ?? 0, "SIGUSR1");
  const { startedMs, finishedMs, ...end } = await sandbox.ended();
  assert.equal(end, {
    status: "exited",
    exitCode: 3,
    signal: null,
    oom: false,
    error: null,
    restarts: 0,
  });
  assert.ok(Math.abs(Date.now() - (startedMs ?? 0)) < 60_000, `${startedMs}`);
  assert.ok((finishedMs ?? 0) >= (startedMs ?? 0) + 250, `${finishedMs} ${startedMs}`);
  assert.equal(sandbox.output(), { stdout: "out\nempty\n", stderr: "err\n" });
  assert.is(await recordOf(sandbox), undefined);
});

test.needs(needs, "one that is killed by a signal, and one that ends at once", async () => {
  const killed = await background("kill -9 $$");
  assert.is((await killed.start()).code, 0);
  const { exitCode, signal } = await killed.ended();
  assert.equal([exitCode, signal], [137, 9]);
  const short = await background("exit 7");
  assert.is((await short.start()).code, 0);
  assert.is((await short.ended()).exitCode, 7);
});

test.needs(needs, "holds nothing of the caller's, and has a session of its own", async () => {
  const sandbox = await background("sleep 60");
  // A pipe that somebody else held as well would not end.
  const { stdout } = await sandbox.start();
  assert.is(stdout, `${sandbox.id}\n`);
  const record = await recordOf(sandbox);
  const monitor = record?.monitor ?? 0;
  const stat = fs.readFileSync(`/proc/${monitor}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const [, , group, session, terminal] = stat;
  assert.equal([group, session, terminal], [`${monitor}`, `${monitor}`, "0"]);
  const open = fs.readdirSync(`/proc/${monitor}/fd`).map((fd) => {
    const path = fs.readlinkSync(`/proc/${monitor}/fd/${fd}`);
    return path.replace(/\d+/g, "N");
  });
  assert.equal(
    open.filter((path) => /^\/dev\/(tty|pts)/.test(path)),
    [],
  );
  process.kill(monitor, "SIGTERM");
  assert.equal((await sandbox.ended()).signal, 15);
  await gone(monitor);
});

test.needs(
  needs,
  "outlives the session that it was started in, and a starter that is killed",
  async () => {
    const sandbox = await background("echo on; sleep 60");
    await start(["setsid", "sh", "-c", `${sandbox.program}; kill -KILL 0`]);
    const record = await recordOf(sandbox);
    assert.ok(isThere(record?.monitor ?? 0));
    process.kill(record?.monitor ?? 0, "SIGTERM");
    await sandbox.ended();
    await gone(record?.monitor ?? 0);
    const first = sandbox.state()?.startedMs;
    const starter = spawn(sandbox.program, [], { stdio: "ignore" });
    const exit = once(starter, "exit");
    let monitor: number | undefined;
    while (monitor === undefined) monitor = monitorOf(sandbox.program);
    starter.kill("SIGKILL");
    await exit;
    await sandbox.until(({ startedMs }) => startedMs !== first);
    process.kill(monitor, "SIGTERM");
    await sandbox.ended();
  },
);

test.needs(needs, "cannot be started twice at a time, but again", async () => {
  const sandbox = await background("sleep 5");
  await sandbox.start();
  const { code, stderr } = await sandbox.start();
  assert.is(code, 125);
  assert.match(stderr, /^sbx: start the sandbox \d+ in the background: it is running already/);
  assert.is(sandbox.state()?.status, "running");
  await sandbox.ended();
  assert.is((await sandbox.start()).code, 0);
  assert.is((await sandbox.until(({ status }) => status === "exited")).exitCode, 0);
});

test.needs(needs, "one that cannot start says why, in the foreground and afterwards", async () => {
  const sandbox = await background("true", {
    options: ["--userns=single", "--network=none", '--workdir=/no"where\\'],
  });
  const { code, stdout, stderr } = await sandbox.start();
  assert.equal([code, stdout], [125, ""]);
  assert.match(stderr, /^sbx: change to the directory \/no"where\\: No such file or directory/);
  const { status, exitCode, error, startedMs } = await sandbox.ended();
  assert.equal([status, exitCode, startedMs], ["exited", 125, null]);
  assert.is(`sbx: ${error}\n`, stderr);
  assert.is(await recordOf(sandbox), undefined);
});

test.needs(needs, "of a new one that cannot start nothing is left", async () => {
  const sandbox = await background("true", {
    options: ["--userns=single", "--network=none", "--entrypoint=/no/such"],
    life: { start: { says: "new", isNew: true } },
  });
  assert.is((await sandbox.start()).code, 127);
  assert.not(fs.existsSync(sandbox.directory));
  assert.not(fs.existsSync(join(sandbox.directory, `../.${sandbox.id}`)));
});

test.needs(
  needs,
  "with --rm nothing is left of one that ran; with a pid file, its init's pid",
  async () => {
    const pidFile = join(temporaryDirectory("pid"), "pid");
    const sandbox = await background(tillTold("echo $$"), {
      life: { removeAtEnd: true, pidFile },
    });
    await sandbox.start();
    const record = await recordOf(sandbox);
    assert.is(fs.readFileSync(pidFile, "utf8"), `${record?.init}\n`);
    process.kill(record?.monitor ?? 0, "SIGUSR1");
    await gone(record?.monitor ?? 0);
    assert.not(fs.existsSync(sandbox.directory));
    assert.not(fs.existsSync(join(sandbox.directory, `../.${sandbox.id}`)));
  },
);

test.needs(needs, "a pid file that cannot be written is an error", async () => {
  const sandbox = await background("true", { life: { pidFile: "/no/such/directory/pid" } });
  const { code, stderr } = await sandbox.start();
  assert.is(code, 125);
  assert.match(
    stderr,
    /^sbx: write the pid to \/no\/such\/directory\/pid: No such file or directory/,
  );
});

test.needs(needs, "a terminal of its own, and what is written there", async () => {
  const sandbox = await background("tty; echo err >&2; test -t 0 && echo in", { terminal: true });
  await sandbox.start();
  await sandbox.ended();
  const { stdout, stderr } = sandbox.output();
  assert.equal([stdout, stderr], ["/dev/pts/0\r\nerr\r\nin\r\n", ""]);
});

test.needs(
  [...needs, "subids"],
  "its streams are the user's, who may open them by name",
  async () => {
    const sandbox = await background("echo a >/dev/stdout; echo b >/dev/stderr; exit 1", {
      options: ["--network=none", "--user=alice"],
      life: { restart: { name: "on-failure", maximumRetryCount: 1 } },
    });
    await sandbox.start();
    await sandbox.ended();
    assert.equal(sandbox.output(), { stdout: "a\na\n", stderr: "b\nb\n" });
  },
);

test.needs(
  needs,
  "started again on failure, so often as is allowed; the record stays",
  async () => {
    // Its own clock: when a line is read depends on how busy the machine is.
    const sandbox = await background("cut -d' ' -f1 /proc/uptime; sleep 0.2; exit 4", {
      life: { restart: { name: "on-failure", maximumRetryCount: 3 } },
    });
    await sandbox.start();
    const first = await recordOf(sandbox);
    let restarting = 0;
    while (sandbox.state()?.status !== "exited") {
      const now = sandbox.state()?.status;
      const record = await recordOf(sandbox);
      if (now === "restarting" && sandbox.state()?.status === now) restarting += 1;
      if (sandbox.state()?.status !== "exited") assert.is(record?.monitor, first?.monitor);
      await sleep(5);
    }
    assert.ok(restarting > 3, `${restarting}`);
    const { exitCode, restarts } = await sandbox.ended();
    assert.equal([exitCode, restarts], [4, 3]);
    const times = sandbox
      .output()
      .stdout.trim()
      .split("\n")
      .map((time) => 1000 * Number(time));
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    // 100, 200 and 400 ms between the end of one and the start of the next, which ran 200 ms; in hundredths.
    assert.is(pauses.length, 3);
    for (const [index, leastMs] of [300, 400, 600].entries()) {
      assert.ok((pauses[index] ?? 0) > leastMs - 11, `${pauses}`);
    }
    assert.is(await recordOf(sandbox), undefined);
  },
);

test.needs(needs, "on-failure leaves what succeeded, always starts it again", async () => {
  const done = await background("exit 0", { life: { restart: { name: "on-failure" } } });
  await done.start();
  const { status, restarts } = await done.ended();
  assert.equal([status, restarts], ["exited", 0]);
  const always = await background("exit 0", { life: { restart: { name: "always" } } });
  await always.start();
  await always.until(({ restarts }) => restarts >= 3);
  const monitor = (await recordOf(always))?.monitor ?? 0;
  process.kill(monitor, "SIGTERM");
  await always.ended();
  await gone(monitor);
});

test.needs(
  [...needs, "python3"],
  "asked to stop, it is not started again; told only, the payload hears nothing",
  async () => {
    const script =
      "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; trap 'echo urg' URG; echo on; while :; do sleep 0.1; done";
    const sandbox = await background(script, { life: { restart: { name: "always" } } });
    await sandbox.start();
    await until("it listens", () => sandbox.output().stdout.includes("on\n"));
    const { monitor = 0 } = (await recordOf(sandbox)) ?? {};
    await queue(monitor, 10, 0);
    await until("it was told", () => sandbox.output().stdout.includes("usr1\n"));
    await queue(monitor, 23, 2);
    await queue(monitor, 15, 1);
    const { exitCode, restarts } = await sandbox.ended();
    assert.equal([exitCode, restarts], [9, 0]);
    assert.is(sandbox.output().stdout, "on\nusr1\nterm\n");
  },
);

test.needs(needs, "whenever the monitor is killed, nothing is left but its directory", async () => {
  for (const delayMs of [0, 2, 5, 10, 20, 50]) {
    const sandbox = await background("sleep 60 & sleep 60", {
      life: { restart: { name: "always" } },
    });
    const starting = sandbox.start();
    let monitor = 0;
    for (; monitor === 0 && sandbox.state() === null; await sleep(1)) {
      monitor = monitorOf(sandbox.program) ?? 0;
    }
    if (delayMs === 50) await starting;
    await sleep(delayMs);
    monitor = monitorOf(sandbox.program) ?? 0;
    const inside = childrenOf(monitor);
    process.kill(monitor, "SIGKILL");
    const { code, stdout } = await starting;
    assert.equal([code, stdout], code === 0 ? [0, `${sandbox.id}\n`] : [125, ""]);
    // It may also have been killed after it had written the state, and before it told its starter.
    assert.ok(code !== 0 || sandbox.state() !== null);
    await gone(...inside);
    assert.is(await recordOf(sandbox), undefined);
    assert.is((await sandbox.start()).code, 0, "its lock is free");
    process.kill((await recordOf(sandbox))?.monitor ?? 0, "SIGTERM");
    await sandbox.ended();
  }
});

/** Of the processes that have executed the program, the one that has no parent among them but the starter. */
function monitorOf(program: string): number | undefined {
  const pids = fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const own = pids.filter((pid) => {
    try {
      return (
        fs.readFileSync(`/proc/${pid}/cmdline`, "utf8") === `${program}\0` && sessionOf(pid) === pid
      );
    } catch {
      return false;
    }
  });
  return own[0];
}

const sessionOf = (pid: number) =>
  Number(fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[3]);

test.run();
