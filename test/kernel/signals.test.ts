/** Signals on their way from the caller to the payload, and those that the caller ignores. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { fields } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { childrenOf, started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("signals");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

/** `sbx run` with these words, started by a shell that first runs `before`. */
function after(before: string, ...words: string[]) {
  const script = `${before}; exec "$0" run "$@"`;
  return start(["sh", "-c", script, command, ...words]);
}

test.needs(needs, "signals to sbx reach the payload", async () => {
  for (const [name, number] of [
    ["SIGTERM", 15],
    ["SIGINT", 2],
    ["SIGHUP", 1],
    ["SIGQUIT", 3],
    ["SIGUSR1", 10],
    ["SIGUSR2", 12],
    ["SIGWINCH", 28],
    ["SIGURG", 23],
    ["SIGALRM", 14],
  ] as const) {
    const trap = `trap 'echo got; exit 3' ${number}; echo ready; while :; do sleep 0.05; done`;
    const end = await started([], trap, (pid) => void process.kill(pid, name));
    assert.is(end.code, 3, name);
    // A signal for the whole job ends the shell's `sleep` as well, which it may remark upon.
    assert.match(end.out, /^ready\n(\w+\n)?got\n(\w+\n)?$/);
  }
});

test.needs(needs, "a signal that the payload does not handle ends it", async () => {
  for (const options of [[], ["--pid=host"]]) {
    const end = await started(
      options,
      "echo ready; sleep 20",
      (pid) => void process.kill(pid, "SIGTERM"),
    );
    assert.equal([end.code, end.signal], [143, null]);
  }
  // PID 1 ignores signals without a handler, as pid_namespaces(7) says: so does a bare command.
  const bare = await started(
    ["--no-init"],
    "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done",
    (pid) => {
      process.kill(pid, "SIGTERM");
    },
  );
  assert.is(bare.code, 9);
});

test.needs(needs, "SIGTERM while it is being set up ends it too", async () => {
  const child = spawn(command, ["run", busyboxRootfs(), "sleep", "20"], { stdio: "ignore" });
  await sleep(30);
  child.kill("SIGTERM");
  const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
    child.on("close", (...end) => done(end)),
  );
  assert.ok(signal === "SIGTERM" || code === 143, `${code} ${signal}`);
});

test.needs(needs, "SIGTSTP stops the payload, SIGCONT lets it go on", async () => {
  const script = "echo ready; i=0; while [ $i -lt 30 ]; do i=$((i+1)); sleep 0.02; done; echo done";
  const end = await started([], script, async (pid) => {
    const [init = 0] = childrenOf(pid);
    const [payload = 0] = childrenOf(init);
    const isStopped = () => /\) T /.test(fs.readFileSync(`/proc/${payload}/stat`, "utf8"));
    process.kill(pid, "SIGTSTP");
    await until("it is stopped", isStopped);
    process.kill(pid, "SIGCONT");
  });
  assert.equal([end.code, end.out], [0, "ready\ndone\n"]);
});

test.needs(needs, "signal dispositions of the caller's stay: nohup", async () => {
  const look = ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"];
  const words = [busyboxRootfs(), ...look];
  const outside = await start(look);
  assert.is((await after(":", ...words)).stdout, outside.stdout);
  const ignored = await after("trap '' HUP USR1", ...words);
  const mask = BigInt(`0x${fields(ignored.stdout).SigIgn}`);
  assert.is(mask & 0b10_0000_0001n, 0b10_0000_0001n);
  assert.is(fields(ignored.stdout).SigBlk, fields(outside.stdout).SigBlk);
  const child = spawn(
    "nohup",
    [command, "run", busyboxRootfs(), "sh", "-c", "echo ready; sleep 0.4; echo done"],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  let out = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
    if (out === "ready\n") child.kill("SIGHUP");
  });
  const code = await new Promise((done) => child.on("close", done));
  assert.equal([code, out], [0, "ready\ndone\n"]);
});

test.run();
