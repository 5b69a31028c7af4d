/**
 * How running sandboxes are signalled and ended from outside. Whoever is signalled is opened first, and then seen
 * to be who is meant: the monitor by the lock that it holds on its record, the init by being the monitor's child.
 */
import { fail } from "../../spec/error.js";
import { signalNumbers } from "../../spec/linux.js";
import { signalNumber } from "../../spec/signal.js";
import type { Spec } from "../../spec/spec.js";
import { callersRunDirectory } from "../facts/run-directory.js";
import { freeze, isPaused, killAll } from "./control-group.js";
import { isRunning } from "./locks.js";
import { firstChildOf, parentOf, statOf } from "./processes.js";
import { listSandboxes } from "./records.js";
import type { Sandbox } from "./sandbox.js";
import { closeProcess, ended, type OpenProcess, openProcess, send } from "./signal.js";

/** What a monitor is told with a signal (`ssi_int` of signalfd(2)), where `ssi_code` is SI_QUEUE. */
const asked = {
  /** To pass the signal on, as any other. */
  signal: 0,
  /** The same, and not to start the sandbox again when it ends. */
  stop: 1,
  /** Not to start it again: the init is about to be killed. The signal is none. */
  kill: 2,
} as const;

const { SIGCONT = 0, SIGKILL = 0, SIGURG = 0 } = signalNumbers;

/** Signals that the monitor cannot take, or that say something to it or the init: the command gets them directly. */
const direct = new Set(
  ["SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGTTIN", "SIGTTOU", "SIGWINCH"].map((n) => signalNumbers[n]),
);

/** How long what was killed may take to be gone, and when is looked whether there is another init by now. */
const killedMs = 10_000;
const againMs = 200;

/** What `stop` sends. */
export const stopSignalOf = ({ sbx }: Spec) => signalNumber(sbx.life?.stopSignal ?? "TERM") ?? 15;
/** Until `stop` kills, in ms; Infinity for never. */
export function stopTimeoutMsOf({ sbx }: Spec): number {
  const seconds = sbx.life?.stopTimeoutSeconds ?? 10;
  return seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000;
}

/**
 * Ends the sandbox: by the signal, then by SIGKILL; nothing of it is left when this returns. One that has
 * ended meanwhile is no failure.
 */
export async function stop(sandbox: Sandbox, signal: number, timeoutMs: number): Promise<void> {
  await withMonitor(sandbox, async (monitor) => {
    if (signal !== SIGKILL) {
      send(monitor, signal, asked.stop);
      // What is paused, or stopped as a job of a shell's, takes no signal.
      if (statOf(monitor.pid)?.state === "T") send(monitor, SIGCONT, asked.stop);
      if (isPaused(sandbox)) await freeze(sandbox, false);
      if (await ended(monitor, timeoutMs)) return;
    }
    await kill(sandbox, monitor);
  });
}

/** Sends a signal to the sandbox's command; SIGKILL ends all of it. Fails where it has ended. */
export async function signal(sandbox: Sandbox, number: number): Promise<void> {
  const isThere = await withMonitor(sandbox, async (monitor) => {
    if (number === SIGKILL) await kill(sandbox, monitor);
    else if (direct.has(number)) signalCommand(sandbox, number);
    else {
      const isStop = number === stopSignalOf(sandbox.spec);
      send(monitor, number, isStop ? asked.stop : asked.signal);
    }
    return true;
  });
  if (isThere === null) fail(`kill ${sandbox.name}`, "it has ended");
}

/** Does something with the opened monitor; null where it has ended. */
async function withMonitor<T>(
  sandbox: Sandbox,
  act: (monitor: OpenProcess) => Promise<T>,
): Promise<T | null> {
  const monitor = openProcess(sandbox.monitor);
  if (monitor === null) return null;
  try {
    return isRunning(sandbox) ? await act(monitor) : null;
  } finally {
    closeProcess(monitor);
  }
}

/**
 * PID 1, and with it all inside. Without a PID namespace of its own that is the command alone, and the control group, if
 * there is one, tells who else there is.
 */
async function kill(sandbox: Sandbox, monitor: OpenProcess): Promise<void> {
  send(monitor, SIGURG, asked.kill);
  // A monitor that somebody has stopped would not see the end.
  if (statOf(monitor.pid)?.state === "T") send(monitor, SIGCONT, asked.kill);
  const isOwn = sandbox.spec.linux.namespaces.some(({ type }) => type === "pid");
  if (!isOwn && sandbox.cgroup !== undefined) killAll(sandbox);
  let { init } = sandbox;
  const deadline = performance.now() + killedMs;
  do {
    withChild(init, sandbox.monitor, (opened) => send(opened, SIGKILL, 0));
    if (await ended(monitor, againMs)) return;
    // It was being started again as it was told not to be.
    const records = await listSandboxes(callersRunDirectory(process.env));
    init = records.find((each) => each.monitor === sandbox.monitor)?.init ?? init;
  } while (performance.now() < deadline);
  const why = `it has not ended within ${killedMs / 1000} s of SIGKILL`;
  fail(
    `kill ${sandbox.name}`,
    why,
    "A process inside is in a system call that nothing interrupts, as on a dead NFS server",
  );
}

/** The command is the first child that the init has had: whom the init inherits has started later. */
function signalCommand({ monitor, init, spec }: Sandbox, number: number): void {
  withChild(init, monitor, (opened) => {
    if (!spec.sbx.init) send(opened, number, 0);
    else withChild(firstChildOf(init), init, (command) => send(command, number, 0));
  });
}

/** Opens a process, and does something with it if it is a child of that one. */
function withChild(pid: number | null, parent: number, act: (child: OpenProcess) => void): void {
  const child = pid === null ? null : openProcess(pid);
  if (child === null) return;
  try {
    if (parentOf(child.pid) === parent) act(child);
  } finally {
    closeProcess(child);
  }
}
