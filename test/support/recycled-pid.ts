/**
 * Run as root of a PID namespace of its own: what becomes of a process that was opened when another one has its pid.
 * Prints JSON.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ended, openProcess, send } from "../../launch/life/signal.js";

const first = spawn("sleep", ["100"]);
const pid = first.pid ?? 0;
const opened = openProcess(pid);
if (opened === null) throw new Error("it is not there");
// As it is known before Linux 5.3.
const byTime = { ...opened, fd: null };
const living = [await ended(opened, 0), await ended(byTime, 0)];
first.kill("SIGKILL");
await once(first, "exit");

/** Threads of Node's take pids as well. */
async function another(): Promise<ChildProcess> {
  for (let tries = 0; tries < 100; tries++) {
    writeFileSync("/proc/sys/kernel/ns_last_pid", `${pid - 1}`);
    const child = spawn("sleep", ["100"]);
    if (child.pid === pid) return child;
    child.kill("SIGKILL");
  }
  throw new Error(`nobody got the pid ${pid} again`);
}

// So that it has not started in the same tick.
await sleep(50);
const second = await another();
const told = [send(opened, 9, 0), send(byTime, 9, 0)];
const dead = [await ended(opened, 0), await ended(byTime, 0)];
await sleep(100);
const survived = second.exitCode === null && second.signalCode === null;
const fresh = openProcess(pid);
const toldFresh = fresh !== null && send({ ...fresh, fd: null }, 15, 0);
const [, signal] = await once(second, "exit");
process.stdout.write(JSON.stringify({ living, told, dead, survived, toldFresh, signal }));
