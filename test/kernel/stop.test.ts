/** How running sandboxes are signalled and ended by `sbx kill` and `sbx stop`, without a control group. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { callersRunDirectory } from "../../launch/facts/run-directory.js";
import { signal, stop } from "../../launch/life/ending.js";
import { firstChildOf, statOf } from "../../launch/life/processes.js";
import { listSandboxes } from "../../launch/life/records.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, patienceMs, processesNaming, sbx } from "../support/sandbox.js";
import { childrenOf, started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("stop and kill");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
// The sandboxes of other tests would be stopped by --all.
process.env.XDG_RUNTIME_DIR = temporaryDirectory("stop");
const options = ["--userns=single", "--network=none"];
const patient = "echo ready; while :; do sleep 0.05; done";

/** A sandbox with this script, on which the words of a command of sbx are tried once it is ready. */
async function whileRunning(
  script: string,
  words: readonly string[],
  more: readonly string[] = [],
): Promise<{ result: Awaited<ReturnType<typeof sbx>>; code: number | null; out: string }> {
  let result: Awaited<ReturnType<typeof sbx>> | undefined;
  const { code, out } = await started([...options, "--name=it", ...more], script, async () => {
    result = await sbx(words);
  });
  assert.ok(result);
  return { result, code, out };
}

test.needs(needs, "stop: the command may end by itself", async () => {
  const { result, code, out } = await whileRunning(`trap "echo bye; exit 3" TERM; ${patient}`, [
    "stop",
    "it",
  ]);
  assert.equal([result.code, result.stdout, result.stderr], [0, "it\n", ""]);
  assert.equal([code, out], [3, "ready\nbye\n"]);
});

test.needs(needs, "stop: who does not end in time is killed", async () => {
  const begun = performance.now();
  const words = ["stop", "-t", "1", "it"];
  const { result, code } = await whileRunning(`trap "" TERM; ${patient}`, words);
  assert.equal([result.code, result.stdout, code], [0, "it\n", 137]);
  assert.ok(performance.now() - begun > 1000);
});

test.needs(needs, "stop: by another signal, at once, without an init", async () => {
  const script = `trap "exit 4" USR1; trap "exit 5" TERM; ${patient}`;
  assert.is((await whileRunning(script, ["stop", "-s", "usr1", "it"])).code, 4);
  assert.is((await whileRunning(script, ["stop", "-s", "SIGUSR1", "it"], ["--no-init"])).code, 4);
  assert.is((await whileRunning(`trap "" TERM; ${patient}`, ["stop", "--time=0", "it"])).code, 137);
});

test.needs(
  needs,
  "kill: all inside, in a session of its own or not, with and without an init",
  async () => {
    const mark = `87${process.pid}.5`;
    const script = `trap "" TERM; (setsid sleep ${mark} &); sleep ${mark} & ${patient}`;
    for (const more of [[], ["--no-init"]]) {
      const { result, code } = await whileRunning(script, ["kill", "it"], more);
      assert.equal([result.code, result.stdout, result.stderr, code], [0, "it\n", "", 137]);
      assert.equal(processesNaming(mark), []);
    }
  },
);

test.needs(needs, "kill: a monitor that somebody has stopped ends as well", async () => {
  const begun = performance.now();
  const { code } = await started([...options, "--name=it"], patient, async (monitor) => {
    process.kill(monitor, "SIGSTOP");
    const { code, stderr } = await sbx(["kill", "it"]);
    assert.equal([code, stderr], [0, ""]);
  });
  assert.is(code, 137);
  assert.ok(performance.now() - begun < 10_000);
});

test.needs(needs, "kill: with the host's pids it is the command", async () => {
  assert.is((await whileRunning(patient, ["kill", "it"], ["--pid=host"])).code, 137);
});

test.needs(needs, "kill -s: every signal reaches the command", async () => {
  const script = (name: string) => `trap "echo ${name}; exit 6" ${name}; ${patient}`;
  for (const name of ["HUP", "PIPE", "CHLD", "TTIN", "TTOU", "WINCH", "URG", "CONT", "RTMIN+1"]) {
    const number = name === "RTMIN+1" ? "35" : name;
    const { code, out } = await whileRunning(script(number), ["kill", "-s", name, "it"]);
    assert.is(code, 6, name);
    // A hang-up is the whole job's, whose sleep is told of by the shell.
    assert.ok(out.endsWith(`\n${number}\n`), name);
  }
});

test.needs(needs, "kill -s STOP stops the command, CONT and stop let it go on", async () => {
  const script = `trap "exit 7" TERM; ${patient}`;
  const { code } = await started([...options, "--name=it"], script, async (monitor) => {
    const [init = 0] = childrenOf(monitor);
    const inside = firstChildOf(init) ?? 0;
    const isStopped = () => statOf(inside)?.state === "T";
    const becomes = async (name: "STOP" | "CONT") => {
      assert.is((await sbx(["kill", "-s", name, "it"])).code, 0);
      await until(() => isStopped() === (name === "STOP"));
    };
    await becomes("STOP");
    await becomes("CONT");
    // The monitor is told of both at once: that the command was stopped, and that it is to go on.
    process.kill(monitor, "SIGSTOP");
    process.kill(inside, "SIGSTOP");
    await sleep(100);
    await becomes("CONT");
    // As ^Z does: the monitor stops with its command.
    await becomes("STOP");
    process.kill(monitor, "SIGSTOP");
    assert.is((await sbx(["kill", "-s", "TERM", "it"])).code, 0);
    assert.is((await sbx(["stop", "it"])).code, 0);
  });
  assert.is(code, 7);
});

test.needs(
  [...needs, "bash"],
  "a command that is continued from inside is left alone",
  async () => {
    // A shell that ends while its job is stopped has the kernel continue it.
    const script = 'set -m; "$@" & while sleep 0.1 && kill -0 $!; do :; done';
    const words = [command, "run", ...options, "--name=it", busyboxRootfs(), "sh", "-c"];
    const job = spawn("bash", ["-c", script, "bash", ...words, "sleep 100 & echo ready; wait"]);
    await once(job.stdout, "data");
    const [it] = await listSandboxes(callersRunDirectory(process.env));
    assert.ok(it);
    try {
      const inside = firstChildOf(it.init) ?? 0;
      const [other = 0] = childrenOf(inside);
      for (const pid of [other, inside]) process.kill(pid, "SIGSTOP");
      await until(() => statOf(it.monitor)?.state === "T");
      process.kill(inside, "SIGCONT");
      await until(() => statOf(it.monitor)?.state !== "T");
      await sleep(100);
      assert.is(statOf(other)?.state, "T");
    } finally {
      process.kill(it.monitor, "SIGKILL");
    }
  },
);

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + patienceMs; !isSo(); await sleep(10)) {
    assert.ok(performance.now() < deadline);
  }
}

test.needs(needs, "several at once, some of which are not there", async () => {
  const script = `trap "sleep 1; exit 8" TERM; ${patient}`;
  await started([...options, "--name=one"], script, async () => {
    await started([...options, "--name=two"], script, async () => {
      const { code, stdout, stderr } = await sbx(["stop", "none", "one", "two"]);
      assert.is(code, 1);
      assert.equal(stdout.trim().split("\n").sort(), ["one", "two"]);
      assert.match(stderr, /^sbx: find the sandbox none: there is none of that name or ID/);
    });
  });
  const all = await sbx(["stop", "--all"]);
  assert.equal([all.code, all.stdout], [0, ""]);
});

test.needs(needs, "a record that names the pid of another is not followed", async () => {
  await started([...options, "--name=it"], patient, async (monitor) => {
    const [sandbox] = await listSandboxes(callersRunDirectory(process.env));
    assert.ok(sandbox);
    // Who has the pid has not the lock; whose the init's pid is, is not the monitor's child.
    for (const lie of [{ monitor: process.pid }, { inode: 1 }]) {
      await stop({ ...sandbox, ...lie }, 15, 0);
      const told = await signal({ ...sandbox, ...lie }, 9).then(String, String);
      assert.match(told, /kill it: it has ended/);
    }
    // Another init is looked for, as of one that was started again.
    await signal({ ...sandbox, init: process.pid }, 9);
    assert.not.ok(fs.existsSync(`/proc/${monitor}/exe`));
  });
});

test("what is no signal, no time, and no name", async () => {
  for (const [words, pattern] of [
    [["stop"], /stop: no sandbox is named\. The form is sbx stop NAME…/],
    [["kill", "-s", "NOPE", "x"], /kill --signal NOPE: there is no such signal/],
    [["stop", "-s", "0", "x"], /stop --signal 0: there is no such signal/],
    [["stop", "-t", "soon", "x"], /stop --time soon: must be a number of seconds, or -1/],
    [["stop", "-a", "x"], /stop --all: names are given too/],
  ] as const) {
    const { code, stderr } = await sbx(words);
    assert.is(code, 125);
    assert.match(stderr, pattern);
  }
});

test.run();
