/**
 * Starts programs from a running Node without a fork: posix_spawn(3) shares the memory with the child until
 * its execve, where libuv copies the page tables of all that this Node holds. Loads koffi: import it on demand.
 */
import koffi from "koffi";
import { fail } from "../../spec/error.js";
import { closeFd, errnoName } from "./native.js";

const self = koffi.load(null);
const libc = {
  pipe2: self.func("int pipe2(void *fds, int flags)"),
  fcntl: self.func("int fcntl(int fd, int command, long argument)"),
  waitpid: self.func("int waitpid(int pid, void *status, int options)"),
  spawn: self.func(
    "int posix_spawn(void *pid, const char *path, const void *actions, const void *attributes, const char **argv, const char **envp)",
  ),
  initActions: self.func("int posix_spawn_file_actions_init(void *actions)"),
  addDup2: self.func("int posix_spawn_file_actions_adddup2(void *actions, int from, int to)"),
  addOpen: self.func(
    "int posix_spawn_file_actions_addopen(void *actions, int to, const char *path, int flags, uint mode)",
  ),
  freeActions: self.func("int posix_spawn_file_actions_destroy(void *actions)"),
  initAttributes: self.func("int posix_spawnattr_init(void *attributes)"),
  setDefaults: self.func("int posix_spawnattr_setsigdefault(void *attributes, const void *set)"),
  setMask: self.func("int posix_spawnattr_setsigmask(void *attributes, const void *set)"),
  setFlags: self.func("int posix_spawnattr_setflags(void *attributes, short flags)"),
};

// linux/fcntl.h, spawn.h of glibc and musl; the same on x86-64 and arm64.
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;

/** Of more than posix_spawn_file_actions_t (80) and posix_spawnattr_t (336) of glibc need, in bytes. */
const opaqueBytes = 1024;

/** All signals as they are by default, none blocked: Node ignores SIGPIPE, and the child shall not. */
const attributes = (() => {
  const bytes = Buffer.alloc(opaqueBytes);
  libc.initAttributes(bytes);
  libc.setDefaults(bytes, Buffer.alloc(128, 0xff));
  libc.setMask(bytes, Buffer.alloc(128));
  libc.setFlags(bytes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  return bytes;
})();

/** A pipe's two ends, which no program that is executed inherits. */
export function makePipe(): { read: number; write: number } {
  const fds = new Int32Array(2);
  if (libc.pipe2(fds, O_CLOEXEC) === -1) refuse("make a pipe", koffi.errno());
  return { read: fds[0] as number, write: fds[1] as number };
}

/**
 * Starts the program with `fds[N]` as its fd N and no other, /dev/null where that is null, and gives its pid.
 * It is to be waited for with `reap`.
 *
 * @param argv the whole of it, argv[0] first.
 * @param environment `K=V` settings.
 */
export function spawnProgram(
  path: string,
  argv: readonly string[],
  environment: readonly string[],
  fds: readonly (number | null)[],
): number {
  const what = `start the program ${path}`;
  const actions = Buffer.alloc(opaqueBytes);
  libc.initActions(actions);
  const copies: number[] = [];
  try {
    for (const [to, fd] of fds.entries()) {
      if (fd === null) {
        addNothing(actions, to, what);
        continue;
      }
      const from = fd === to || fd >= fds.length ? fd : copyAbove(fd, fds.length);
      if (from !== fd) copies.push(from);
      // Of the same number, dup2 takes close-on-exec away here: posix_spawn_file_actions_adddup2(3).
      const errno: number = libc.addDup2(actions, from, to);
      if (errno !== 0) refuse(what, errno);
    }
    const pid = new Int32Array(1);
    const [words, settings] = [
      [...argv, null],
      [...environment, null],
    ];
    const errno: number = libc.spawn(pid, path, actions, attributes, words, settings);
    if (errno !== 0) refuse(what, errno);
    return pid[0] as number;
  } finally {
    libc.freeActions(actions);
    for (const fd of copies) closeFd(fd);
  }
}

/** Opened by the child: it takes no fd here. */
function addNothing(actions: Buffer, to: number, what: string): void {
  const errno: number = libc.addOpen(actions, to, "/dev/null", O_RDWR, 0);
  if (errno !== 0) refuse(what, errno);
}

/** How a program ended: see wait(2). */
export type End =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly number: number };

/** Waits for a program that has closed all its fds, and so ends within microseconds. */
export function reap(pid: number): End {
  const status = new Int32Array(1);
  if (libc.waitpid(pid, status, 0) === -1) refuse(`wait for process ${pid}`, koffi.errno());
  const word = status[0] as number;
  const number = word & 0x7f;
  return number === 0
    ? { kind: "exited", code: (word >> 8) & 0xff }
    : { kind: "signalled", number };
}

/** So that no fd which is yet to be given away takes the place of another. */
function copyAbove(fd: number, least: number): number {
  const copy: number = libc.fcntl(fd, F_DUPFD_CLOEXEC, least);
  if (copy === -1) refuse(`use fd ${fd}`, koffi.errno());
  return copy;
}

function refuse(what: string, errno: number): never {
  const name = errnoName(errno);
  const hint = hints[name];
  fail(what, name, hint ?? "See posix_spawn(3) for what that means");
}

const hints: Readonly<Record<string, string>> = {
  EMFILE: "Too many files are open here: raise ulimit -n, or run fewer sandboxes at once",
  EAGAIN:
    "The user has as many processes as may be: raise ulimit -u, or run fewer sandboxes at once",
  ENOMEM: "There is no memory left",
  EBADF: "The fd is not open",
};
