/**
 * Writes spec/linux.ts from the kernel's user-space headers (Debian's linux-libc-dev, Fedora's
 * kernel-headers). With `--check` it writes nothing and exits 1 where the file differs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fail, SbxError } from "./error.js";

/** What a sandbox program may call, by names that x86-64 and arm64 share: of most, the *at form. */
const syscallNames =
  `read write writev close openat openat2 mkdirat symlinkat unlinkat linkat renameat2 mknodat readlinkat
  fchownat fchmodat faccessat faccessat2 newfstatat fstat statx fchown fchmod ftruncate utimensat
  getdents64 lseek fcntl ioctl flock ppoll pipe2 dup dup3 sendfile splice copy_file_range
  sync_file_range setxattr lsetxattr getxattr lgetxattr statfs fstatfs chdir fchdir getcwd umask
  socket socketpair bind getsockname connect listen accept4 sendto sendmsg recvmsg recvfrom getsockopt setsockopt shutdown
  clone clone3 sched_yield wait4 waitid kill tgkill rt_sigqueueinfo rt_sigpending rt_sigprocmask rt_sigtimedwait rt_sigaction
  signalfd4 getpid gettid getppid setsid setpgid getpgid execve execveat exit_group
  mount umount2 pivot_root mount_setattr open_tree move_mount fsopen fsconfig fsmount fspick
  unshare setns sethostname setdomainname uname personality
  setresuid setresgid setgroups setfsuid setfsgid getuid geteuid getgid getegid getgroups
  capget capset prctl prlimit64 seccomp keyctl
  landlock_create_ruleset landlock_add_rule landlock_restrict_self
  close_range pidfd_open pidfd_send_signal pidfd_getfd memfd_create mmap munmap madvise
  clock_gettime nanosleep timerfd_create timerfd_settime getrandom`.split(/\s+/);

/** Where glibc's strerror(3), which people know, has other words than the headers' comments. */
const familiarTexts: Readonly<Record<string, string>> = {
  EIO: "Input/output error",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EXDEV: "Invalid cross-device link",
  ENFILE: "Too many open files in system",
  ENOTTY: "Inappropriate ioctl for device",
  EDOM: "Numerical argument out of domain",
  ERANGE: "Numerical result out of range",
  EDEADLK: "Resource deadlock avoided",
  ENOLCK: "No locks available",
  ENOSYS: "Function not implemented",
  ELOOP: "Too many levels of symbolic links",
  EBADMSG: "Bad message",
  EILSEQ: "Invalid or incomplete multibyte or wide character",
  EOPNOTSUPP: "Operation not supported",
  ENETRESET: "Network dropped connection on reset",
  EDQUOT: "Disk quota exceeded",
  ECANCELED: "Operation canceled",
};

/** The text of the first of the given headers that exists. */
function header(...names: readonly string[]): string {
  const roots = ["/usr/include/", "/usr/include/x86_64-linux-gnu/"];
  for (const path of names.flatMap((name) => roots.map((root) => root + name))) {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return fail(
    `read the kernel header ${names.join(" or ")}`,
    "No such file or directory (ENOENT)",
    "Install linux-libc-dev (Debian, Ubuntu) or kernel-headers (Fedora) on an x86-64 machine",
  );
}

/** Syscall numbers that a header defines; `__NR3264_x` is what the 64-bit names are made from. */
function syscallTable(text: string): Map<string, number> {
  const defines = new Map<string, string>();
  for (const [, name = "", value = ""] of text.matchAll(/^#define\s+__NR(\w+)\s+(\w+)/gm)) {
    // asm-generic/unistd.h ends with the 64-bit names, then under #else those of 32 bits.
    if (!defines.has(name)) defines.set(name, value.replace(/^__NR/, ""));
  }
  const table = new Map<string, number>();
  for (const [name, value] of defines) {
    const number = Number(defines.get(value) ?? value);
    if (name.startsWith("_") && Number.isInteger(number)) table.set(name.slice(1), number);
  }
  return table;
}

function syscallEntries(text: string, architecture: string): [string, number][] {
  const table = syscallTable(text);
  return syscallNames.toSorted().map((name) => {
    const number = table.get(name);
    if (number === undefined) {
      return fail(`look up ${name} for ${architecture}`, "the headers have no such system call");
    }
    return [name, number];
  });
}

/** `#define NAME number`, the first name of each number (SIGABRT, not SIGIOT), with its comment. */
function defined(text: string, prefix: string): { name: string; number: number; text: string }[] {
  const pattern = new RegExp(
    `^#define\\s+(${prefix}\\w+)\\s+(\\d+)\\b(?:\\s*/\\*\\s*(.*?)\\s*\\*/)?`,
    "gm",
  );
  const seen = new Set<number>();
  return [...text.matchAll(pattern)].flatMap(([, name = "", digits, comment = ""]) => {
    const number = Number(digits);
    if (seen.has(number)) return [];
    seen.add(number);
    return [{ name, number, text: comment }];
  });
}

function record(entries: readonly (readonly [string, number | string])[], indent: string): string {
  const lines = entries.map(([key, value]) => `${indent}  ${key}: ${JSON.stringify(value)},\n`);
  return `{\n${lines.join("")}${indent}}`;
}

/** The whole text of spec/linux.ts. */
function generate(): string {
  const errnos = defined(header("asm-generic/errno-base.h") + header("asm-generic/errno.h"), "E");
  const signals = defined(header("asm-generic/signal.h"), "SIG").filter(
    ({ number }) => number < 32,
  );
  const x86 = syscallEntries(header("asm/unistd_64.h"), "x86_64");
  const arm = syscallEntries(header("asm-generic/unistd.h"), "aarch64");
  return `/**
 * Numbers of the Linux user-space interface. Written by spec/generate-linux.ts from the kernel's
 * headers asm/unistd_64.h, asm-generic/{unistd,errno-base,errno,signal}.h: not to be edited.
 */
import type { Architecture } from "./host.js";

/** System call numbers, of those that a program may use, under the names both architectures share. */
export const syscallNumbers: Readonly<Record<Architecture, Readonly<Record<string, number>>>> = {
  x86_64: ${record(x86, "  ")},
  aarch64: ${record(arm, "  ")},
};

/** Error numbers, the same on both architectures; EWOULDBLOCK is EAGAIN, ENOTSUP is EOPNOTSUPP. */
export const errnoNumbers: Readonly<Record<string, number>> = ${record(
    errnos.map(({ name, number }) => [name, number]),
    "",
  )};

/** What strerror(3) says of each error, by its name. */
export const errnoTexts: Readonly<Record<string, string>> = ${record(
    errnos.map(({ name, text }) => [name, familiarTexts[name] ?? text]),
    "",
  )};

/** Signals 1 to 31, the same on both architectures. */
export const signalNumbers: Readonly<Record<string, number>> = ${record(
    signals.map(({ name, number }) => [name, number]),
    "",
  )};
`;
}

function main(): void {
  const path = fileURLToPath(new URL("linux.ts", import.meta.url));
  const text = generate();
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    fail("check spec/linux.ts", "it differs from the headers", "Run spec/generate-linux.ts");
  }
}

try {
  main();
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
