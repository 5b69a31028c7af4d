/**
 * Executes a program from memory in place of this Node, for hosts where no place is executable.
 * Loads koffi (10 ms): import it on demand.
 */
import { readFileSync } from "node:fs";
import koffi from "koffi";
import { fail } from "../../spec/error.js";
import { errnoName, pointerVector } from "./native.js";

/** What Node takes from the program it is replaced by, and the launcher has noted down before. */
export interface Inherited {
  /** A bit for each signal, SIGHUP being the lowest, as SigIgn and SigBlk of proc_pid_status(5). */
  readonly ignoredSignals: bigint;
  readonly blockedSignals: bigint;
  /** The soft RLIMIT_NOFILE. */
  readonly nofileSoft: number | "unlimited";
  /** The descriptors from 3 on that the caller left open for us. */
  readonly fds: readonly number[];
}

/** The launcher's second call. */
export interface HandOver {
  readonly inherited: Inherited;
  /** `K=V` settings that were kept from this Node and belong into the program's environment. */
  readonly environment: readonly string[];
  /** The arguments of `sbx` itself, from the command name on. */
  readonly arguments: readonly string[];
}

/**
 * Reads `--memfd STATE [NODE_…=V]… ARGUMENT…` as cmd/sbx writes it, without the program's own two
 * first words. STATE is the soft limit in a line, then grep's lines `FILE:KEY:\tVALUE`.
 */
export function readHandOver(argv: readonly string[]): HandOver {
  const [state = "", ...rest] = argv.slice(1);
  const [limit = "", ...lines] = state.split("\n");
  const mask = (key: string) => {
    const digits = lines
      .find((line) => line.startsWith(`/proc/self/status:${key}:`))
      ?.split("\t")[1];
    if (digits === undefined) fail("hand over to the program", `${key} is missing`, "Mount /proc");
    return BigInt(`0x${digits}`);
  };
  const open = lines.flatMap((line) => /^\/proc\/self\/fdinfo\/(\d+):flags:/.exec(line)?.[1] ?? []);
  const first = rest.findIndex((word) => !word.startsWith("NODE_"));
  return {
    inherited: {
      ignoredSignals: mask("SigIgn"),
      blockedSignals: mask("SigBlk"),
      nofileSoft: limit === "unlimited" ? limit : Number.parseInt(limit, 10),
      fds: open.map(Number).filter((fd) => fd > 2),
    },
    environment: rest.slice(0, first),
    arguments: rest.slice(first),
  };
}

/** The last `count` arguments that this process was given, byte for byte: argv may be no UTF-8. */
export function lastArguments(count: number): Uint8Array[] {
  return count === 0 ? [] : nulTerminated(readFileSync("/proc/self/cmdline")).slice(-count);
}

/** The environment that this process was given, byte for byte, as `K=V`. */
export function callerEnvironment(): Uint8Array[] {
  return nulTerminated(readFileSync("/proc/self/environ"));
}

function nulTerminated(bytes: Uint8Array): Uint8Array[] {
  const items: Uint8Array[] = [];
  for (let start = 0, end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
    items.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return items;
}

// linux/memfd.h, linux/fcntl.h, bits/resource.h; the same on x86-64 and arm64.
const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
/** Kernel 6.3. */
const MFD_EXEC = 0x10;
const F_SETFD = 2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. */
const ALL_SEALS = 0xf;
const RLIMIT_NOFILE = 7;
const RLIM_INFINITY = 2n ** 64n - 1n;
const SIG_SETMASK = 2;
const SIG_DFL = 0;
const SIG_IGN = 1;
const uncatchable = new Set([9, 19]);

/**
 * Replaces this process by the program. Gives an `SbxError` where the kernel forbids it; standard
 * input, output and error must not have been touched through `process` before.
 *
 * @param argv the whole of it, argv[0] first; strings become UTF-8.
 * @param env `K=V` settings.
 */
export function execFromMemory(
  program: Uint8Array,
  argv: readonly (string | Uint8Array)[],
  env: readonly (string | Uint8Array)[],
  inherited: Inherited,
): never {
  const libc = openLibc();
  const fd = sealedMemory(libc, program);
  // libuv has marked all descriptors close-on-exec. One that the caller had closed gives EBADF.
  for (const kept of [0, 1, 2, ...inherited.fds]) libc.fcntl(kept, F_SETFD, 0);
  restoreLimit(libc, inherited.nofileSoft);
  restoreSignals(libc, inherited);
  const arguments_ = pointerVector(argv);
  const environment = pointerVector(env);
  libc.execve(`/proc/self/fd/${fd}`, arguments_.pointers, environment.pointers);
  refused("execute the program from memory", arguments_, environment);
}

/** An fd of the program, sealed and close-on-exec: `/proc/self/fd/N` can be executed. */
export function programInMemory(program: Uint8Array): number {
  return sealedMemory(openLibc(), program);
}

function openLibc() {
  const self = koffi.load(null);
  return {
    memfd_create: self.func("int memfd_create(const char *name, unsigned int flags)"),
    write: self.func("intptr_t write(int fd, const void *buffer, size_t count)"),
    fcntl: self.func("int fcntl(int fd, int command, long argument)"),
    getrlimit: self.func("int getrlimit(int resource, void *limit)"),
    setrlimit: self.func("int setrlimit(int resource, const void *limit)"),
    signal: self.func("intptr_t signal(int number, intptr_t handler)"),
    sigprocmask: self.func("int sigprocmask(int how, const void *set, void *old)"),
    execve: self.func("int execve(const char *path, const void *argv, const void *envp)"),
  };
}

type Libc = ReturnType<typeof openLibc>;

function sealedMemory(libc: Libc, program: Uint8Array): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd: number = libc.memfd_create("sbx", flags | MFD_EXEC);
  if (fd === -1 && koffi.errno() === koffi.os.errno.EINVAL) fd = libc.memfd_create("sbx", flags);
  if (fd === -1) refused("make executable memory (memfd_create)");
  for (let done = 0; done < program.length; ) {
    const count: number = libc.write(fd, program.subarray(done), program.length - done);
    if (count <= 0) refused("write the program to memory");
    done += count;
  }
  // Sealed, so that a payload that reaches it through /proc cannot change it (CVE-2019-5736).
  if (libc.fcntl(fd, F_ADD_SEALS, ALL_SEALS) === -1) refused("seal the program in memory");
  return fd;
}

function restoreLimit(libc: Libc, soft: Inherited["nofileSoft"]): void {
  const limit = new BigUint64Array(2);
  if (libc.getrlimit(RLIMIT_NOFILE, limit) === -1) refused("read RLIMIT_NOFILE");
  limit[0] = soft === "unlimited" ? RLIM_INFINITY : BigInt(soft);
  if (libc.setrlimit(RLIMIT_NOFILE, limit) === -1) refused("restore RLIMIT_NOFILE");
}

function restoreSignals(libc: Libc, { ignoredSignals, blockedSignals }: Inherited): void {
  for (let number = 1; number <= 64; number++) {
    // libc keeps 32 and 33 to itself and refuses them; no shell or Node touches them either.
    if (uncatchable.has(number) || number === 32 || number === 33) continue;
    const ignored = ((ignoredSignals >> BigInt(number - 1)) & 1n) === 1n;
    if (libc.signal(number, ignored ? SIG_IGN : SIG_DFL) === -1)
      refused(`restore signal ${number}`);
  }
  // A sigset_t of libc has 1024 bits.
  const mask = new BigUint64Array(16);
  mask[0] = blockedSignals;
  if (libc.sigprocmask(SIG_SETMASK, mask, null) === -1) refused("restore the signal mask");
}

/** Fails with the errno of the call before. `_alive` keeps from the garbage collector what the call used. */
function refused(what: string, ..._alive: unknown[]): never {
  const name = errnoName();
  fail(what, name, memfdHint(name));
}

function memfdHint(errno: string): string {
  return errno === "EACCES" || errno === "EPERM"
    ? "vm.memfd_noexec=2 forbids it: set that sysctl to 1, or give sbx a place that can execute with XDG_CACHE_HOME"
    : "Give sbx a place that can execute with XDG_CACHE_HOME";
}
