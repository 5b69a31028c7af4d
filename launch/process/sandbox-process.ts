/**
 * A compiled program as a child of this Node: its streams, what it says of the set-up and of its end on the
 * status fd, and the ways to end it. Loads koffi: import it on demand.
 */
import { EventEmitter } from "node:events";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { parentOf } from "../life/processes.js";
import { closeProcess, openProcess, send } from "../life/signal.js";
import { closeFd } from "../native/native.js";
import { type End, makePipe, reap, spawnProgram } from "../native/posix-spawn.js";
import { readablePipe, writablePipe } from "./pipe-streams.js";

/** What one of the standard streams is: a pipe to this Node, /dev/null, this Node's own, or one of its fds. */
export type Stdio = "pipe" | "ignore" | "inherit" | number;

/** Why a sandbox ended. */
export type ExitReason =
  /** The command ended by itself, with `code`. */
  | "exited"
  /** `signal` ended the command. */
  | "signalled"
  /** `timeoutMs` was over. */
  | "timed out"
  /** The `AbortSignal` fired. */
  | "aborted"
  /** The kernel killed the command, or a part of it, for want of memory. */
  | "out of memory"
  /** The command never ran: `step` could not be done. */
  | "set-up failed";

export interface Exit {
  /** The command's; null where a signal ended it. With "set-up failed" 125, 126 or 127, as `sbx run` has it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly reason: ExitReason;
  /** What could not be done, and why; only with "set-up failed". */
  readonly step?: string;
  readonly why?: string;
}

/** Resembles a ChildProcess of node:child_process, and emits `exit` (code, signal) as that does. */
export interface SandboxCommand extends EventEmitter {
  /** Of the monitor: the process of ours that stays outside. */
  readonly pid: number;
  /** Null where it is no pipe. What nobody has begun to read when `exit` resolves is thrown away. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Resolves when nothing of the sandbox is left. Never rejects. */
  readonly exit: Promise<Exit>;
  /**
   * Sends a signal to the command, to all of the sandbox with SIGKILL unless it was entered. False where it has
   * ended.
   */
  kill(signal?: NodeJS.Signals | number): boolean;
}

export interface Started {
  readonly child: SandboxCommand;
  /** Resolves when the command has been executed, to false where it never was. */
  readonly ready: Promise<boolean>;
}

export interface Start {
  /** The program's file. It tells of itself on fd 3. */
  readonly path: string;
  /** The command's words. */
  readonly command: readonly string[];
  /** `K=V` settings that the program finds. */
  readonly environment: readonly string[];
  readonly stdio: readonly [Stdio, Stdio, Stdio];
  /** Milliseconds until it is killed. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** It enters a sandbox: what is out here reaps its command once its monitor is gone, and must not be killed. */
  readonly enters?: boolean;
}

/** A line of the status fd: docs/sbx.1.md, "Status". */
interface StatusEvent {
  readonly event: string;
  readonly pid?: number;
  readonly step?: string;
  readonly why?: string;
  readonly exitCode?: number;
  readonly signal?: number;
}

/** Throws an `SbxError` where the program cannot be started. */
export function startProcess(start: Start): Started {
  const { path, command, environment, stdio } = start;
  const [ours, theirs]: [number[], number[]] = [[], []];
  const openPipe = (isInput: boolean): Ends => {
    const { read, write } = makePipe();
    const ends = isInput ? { ours: write, theirs: read } : { ours: read, theirs: write };
    ours.push(ends.ours);
    theirs.push(ends.theirs);
    return ends;
  };
  let started: { pid: number; pipes: (Ends | null)[]; status: number };
  try {
    const pipes = stdio.map((kind, at) => (kind === "pipe" ? openPipe(at === 0) : null));
    const status = openPipe(false);
    const given = stdio.map((kind, at) => {
      if (kind === "ignore") return null;
      return pipes[at]?.theirs ?? (typeof kind === "number" ? kind : at);
    });
    const fds = [...given, status.theirs];
    const pid = spawnProgram(path, ["sbx", ...command], environment, fds);
    started = { pid, pipes, status: status.ours };
  } catch (error) {
    for (const fd of ours) closeFd(fd);
    throw error;
  } finally {
    for (const fd of theirs) closeFd(fd);
  }
  return watch(started.pid, start, started.pipes, started.status);
}

/** Of a pipe. */
interface Ends {
  readonly ours: number;
  readonly theirs: number;
}

function watch(
  pid: number,
  { timeoutMs, signal, enters = false }: Start,
  pipes: readonly (Ends | null)[],
  status: number,
): Started {
  const [input = null, output = null, errors = null] = pipes;
  const emitter = new EventEmitter();
  /** What was said last of each kind. */
  const said = new Map<string, StatusEvent>();
  let isOver = false;
  let stopped: "timed out" | "aborted" | null = null;

  const kill = (name: NodeJS.Signals | number = "SIGTERM") => {
    if (isOver) return false;
    const init = said.get("pid")?.pid;
    const isKill = name === "SIGKILL" || name === constants.signals.SIGKILL;
    // It is our child, and not waited for yet: nobody else can have that pid.
    if (!isKill || init === undefined || enters) return process.kill(pid, name);
    // The monitor cannot pass SIGKILL on; the init's end it sees, unless it is stopped, and cleans up after it.
    return killChild(init, pid) && process.kill(pid, "SIGCONT");
  };
  const stop = (why: typeof stopped) => {
    stopped ??= why;
    kill("SIGKILL");
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs, "timed out");
  const abort = () => stop("aborted");
  signal?.addEventListener("abort", abort, { once: true });

  let tellReady = (_isReady: boolean) => {};
  const ready = new Promise<boolean>((resolve) => {
    tellReady = resolve;
  });
  const exit = new Promise<Exit>((resolve) => {
    const events = readablePipe(status);
    let rest = "";
    events.setEncoding("utf8").on("data", (text: string) => {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event = JSON.parse(line) as StatusEvent;
        said.set(event.event, event);
        // Killed before it was known whom: the init is there now.
        if (event.event === "pid" && stopped !== null) kill("SIGKILL");
        if (event.event === "ready") tellReady(true);
      }
    });
    // It ends as the last process of ours that stays outside does.
    events.on("end", () => {
      const end = reap(pid);
      isOver = true;
      tellReady(false);
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve(exitOf(end, said, stopped));
    });
  });
  const stdin = input && writablePipe(input.ours);
  const stdout = output && readablePipe(output.ours);
  const stderr = errors && readablePipe(errors.ours);
  exit.then(({ code, signal: name }) => {
    emitter.emit("exit", code, name);
    // As with a ChildProcess: what nobody reads shall not stay open.
    stdin?.destroy();
    for (const each of [stdout, stderr]) if (each?.readableFlowing === null) each.resume();
  });
  return { child: Object.assign(emitter, { pid, stdin, stdout, stderr, exit, kill }), ready };
}

/** False where it has ended by now. */
function killChild(pid: number, parent: number): boolean {
  const child = openProcess(pid);
  if (child === null) return false;
  try {
    // The pid is its own as long as it is that parent's child.
    return parentOf(pid) === parent && send(child, constants.signals.SIGKILL, 0);
  } finally {
    closeProcess(child);
  }
}

function nameOf(number: number): NodeJS.Signals | null {
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return names.find(([, each]) => each === number)?.[0] ?? null;
}

function exitOf(
  end: End,
  said: ReadonlyMap<string, StatusEvent>,
  stopped: "timed out" | "aborted" | null,
): Exit {
  const error = said.get("error");
  const told = end.kind === "exited" ? end.code : null;
  const number = end.kind === "signalled" ? end.number : (said.get("exit")?.signal ?? null);
  const code = number === null ? told : null;
  const signal = number === null ? null : nameOf(number);
  if (stopped !== null) return { code, signal, reason: stopped };
  if (error !== undefined) {
    const { step = "", why = "" } = error;
    return { code, signal, reason: "set-up failed", step, why };
  }
  if (said.has("oom")) return { code, signal, reason: "out of memory" };
  return { code, signal, reason: signal === null ? "exited" : "signalled" };
}
