/**
 * Processes that are signalled and waited for from outside. A pid is only a number, which another process may
 * have by now: it is opened first (a pidfd; before Linux 5.3 the time of its start stands for that), and
 * looked at after that. Loads koffi: import it on demand.
 */
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import koffi from "koffi";
import { fail } from "../../spec/error.js";
import { errnoNumbers, errnoTexts, syscallNumbers } from "../../spec/linux.js";
import { statOf } from "./processes.js";

/** A process, and no other that gets its pid. */
export interface OpenProcess {
  readonly pid: number;
  /** Of pidfd_open(2), which has the close-on-exec flag; null where the kernel has none. */
  readonly fd: number | null;
  /** In ticks since the boot. */
  readonly startTicks: string;
}

// asm-generic/siginfo.h, as 64-bit architectures have it.
const SI_QUEUE = -1;
const siginfo = { signal: 0, code: 8, pid: 16, uid: 20, value: 24, size: 128 };
// poll(2): struct pollfd.
const pollfd = { events: 4, size: 8 };
const POLLIN = 1;

/** A wait takes a thread of libuv's for no longer than this at once. */
const turnMs = 100;
/** Node's timers go no further. */
const longestTimerMs = 2 ** 31 - 1;

// The same on all architectures.
const { pidfd_open = 0, pidfd_send_signal = 0 } = syscallNumbers.x86_64;
const self = koffi.load(null);
const calls = {
  pidfdOpen: self.func("syscall", "long", ["long", "int", "unsigned int"]),
  pidfdSendSignal: self.func("syscall", "long", ["long", "int", "int", "const void *", "int"]),
  sigqueue: self.func("int sigqueue(int pid, int signal, intptr_t value)"),
  poll: self.func("int poll(void *fds, unsigned long count, int timeoutMs)"),
};
const pollLater = promisify(calls.poll.async) as (
  fds: Buffer,
  count: number,
  timeoutMs: number,
) => Promise<number>;

/** Null where there is none of that pid. `closeProcess` lets go of it. */
export function openProcess(pid: number): OpenProcess | null {
  const fd: number = calls.pidfdOpen(pidfd_open, pid, 0);
  const code = fd < 0 ? errorCode() : null;
  if (code === "ESRCH") return null;
  if (code !== null && code !== "ENOSYS") refuse(`open the process ${pid}`, code);
  const startTicks = statOf(pid)?.startTicks;
  if (startTicks !== undefined) return { pid, fd: code === null ? fd : null, startTicks };
  if (code === null) fs.closeSync(fd);
  return null;
}

export function closeProcess({ fd }: OpenProcess): void {
  if (fd !== null) fs.closeSync(fd);
}

/**
 * Sends a signal as sigqueue(3) does, with a value that its receiver can look at. False where the process has
 * ended.
 */
export function send(process: OpenProcess, signal: number, value: number): boolean {
  const { pid, fd } = process;
  const isSent =
    fd !== null
      ? calls.pidfdSendSignal(pidfd_send_signal, fd, signal, queued(signal, value), 0) === 0
      : hasStarted(process) && calls.sigqueue(pid, signal, value) === 0;
  if (isSent) return true;
  if (fd === null && !hasStarted(process)) return false;
  const code = errorCode();
  if (code === "ESRCH") return false;
  return refuse(`signal the process ${pid}`, code);
}

/** Before Linux 5.3: whether who has the pid is still the same. */
const hasStarted = ({ pid, startTicks }: OpenProcess) => statOf(pid)?.startTicks === startTicks;

function queued(signal: number, value: number): Buffer {
  const info = Buffer.alloc(siginfo.size);
  info.writeInt32LE(signal, siginfo.signal);
  info.writeInt32LE(SI_QUEUE, siginfo.code);
  info.writeInt32LE(process.pid, siginfo.pid);
  info.writeUInt32LE(process.getuid?.() ?? 0, siginfo.uid);
  info.writeInt32LE(value, siginfo.value);
  return info;
}

/** Waits for the process to end, so long: Infinity for no end. Whether it has. */
export function ended(process: OpenProcess, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const waiter = {
      process,
      tell: (hasEnded: boolean) => {
        clearTimeout(timer);
        waiters.delete(waiter);
        resolve(hasEnded);
      },
    };
    const isEndless = timeoutMs > longestTimerMs;
    const timer = isEndless ? undefined : setTimeout(() => waiter.tell(isOver(process)), timeoutMs);
    waiters.add(waiter);
    if (!isWatching) watch();
  });
}

const waiters = new Set<{ process: OpenProcess; tell: (hasEnded: boolean) => void }>();
let isWatching = false;

/** All are waited for together: a hundred at once would wait in turns for a thread each. */
async function watch(): Promise<void> {
  isWatching = true;
  while (waiters.size > 0) {
    const all = [...waiters];
    const fds = all.flatMap(({ process }) => process.fd ?? []);
    if (fds.length === 0) await sleep(20);
    else await pollLater(pollTable(fds), fds.length, fds.length < all.length ? 20 : turnMs);
    for (const waiter of all) if (isOver(waiter.process)) waiter.tell(true);
  }
  isWatching = false;
}

const isOver = (process: OpenProcess) =>
  process.fd === null ? !hasStarted(process) : calls.poll(pollTable([process.fd]), 1, 0) > 0;

function pollTable(fds: readonly number[]): Buffer {
  const table = Buffer.alloc(pollfd.size * fds.length);
  for (const [index, fd] of fds.entries()) {
    table.writeInt32LE(fd, pollfd.size * index);
    table.writeInt16LE(POLLIN, pollfd.size * index + pollfd.events);
  }
  return table;
}

function errorCode(): string {
  const errno = koffi.errno();
  return Object.entries(errnoNumbers).find(([, each]) => each === errno)?.[0] ?? `errno ${errno}`;
}

function refuse(what: string, code: string): never {
  return fail(what, `${errnoTexts[code] ?? "it failed"} (${code})`);
}
