/**
 * Numbers of the kernel's interface that are the same on x86-64 and arm64, by the names the manual
 * pages use. Sources: include/uapi/linux and include/uapi/asm-generic of Linux 6.18.
 */
import { errnoNumbers, signalNumbers } from "../../spec/linux.js";
import { constant } from "./builder.js";
import type { Constant } from "./ir.js";

const numbers = {
  // linux/sched.h
  CLONE_NEWTIME: 0x80,
  CLONE_VM: 0x100,
  CLONE_FILES: 0x400,
  CLONE_VFORK: 0x4000,
  CLONE_PARENT: 0x8000,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  CLONE_INTO_CGROUP: 0x200000000,
  // linux/mount.h
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_REMOUNT: 32,
  MS_NOATIME: 1024,
  MS_NODIRATIME: 2048,
  MS_BIND: 4096,
  MS_MOVE: 8192,
  MS_REC: 16384,
  MS_PRIVATE: 1 << 18,
  MS_SLAVE: 1 << 19,
  MS_SHARED: 1 << 20,
  MS_RELATIME: 1 << 21,
  MS_STRICTATIME: 1 << 24,
  MNT_DETACH: 2,
  OPEN_TREE_CLONE: 1,
  AT_RECURSIVE: 0x8000,
  // linux/fcntl.h, asm-generic/fcntl.h
  AT_FDCWD: -100,
  RENAME_NOREPLACE: 1,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_EMPTY_PATH: 0x1000,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_TRUNC: 0o1000,
  O_NOCTTY: 0o400,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_ASYNC: 0o20000,
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
  F_GETFD: 1,
  F_SETFD: 2,
  F_SETFL: 4,
  F_SETOWN: 8,
  F_GETOWN: 9,
  F_SETSIG: 10,
  F_DUPFD_CLOEXEC: 1030,
  F_ADD_SEALS: 1033,
  F_GET_SEALS: 1034,
  FD_CLOEXEC: 1,
  SEEK_SET: 0,
  SEEK_END: 2,
  LOCK_SH: 1,
  LOCK_EX: 2,
  LOCK_NB: 4,
  LOCK_UN: 8,
  // linux/memfd.h
  MFD_CLOEXEC: 1,
  MFD_ALLOW_SEALING: 2,
  MFD_EXEC: 0x10,
  // linux/prctl.h
  PR_SET_PDEATHSIG: 1,
  PR_SET_DUMPABLE: 4,
  PR_SET_KEEPCAPS: 8,
  PR_SET_NAME: 15,
  PR_CAPBSET_DROP: 24,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_CAP_AMBIENT: 47,
  PR_CAP_AMBIENT_RAISE: 2,
  PR_CAP_AMBIENT_CLEAR_ALL: 4,
  // linux/stat.h
  S_IFMT: 0o170000,
  S_IFCHR: 0o020000,
  S_IFDIR: 0o040000,
  S_IFREG: 0o100000,
  S_IFLNK: 0o120000,
  STATX_BASIC_STATS: 0x7ff,
  // linux/mount.h
  OPEN_TREE_CLOEXEC: 0o2000000,
  MOVE_MOUNT_F_EMPTY_PATH: 4,
  // linux/openat2.h
  RESOLVE_NO_MAGICLINKS: 2,
  RESOLVE_IN_ROOT: 16,
  // asm-generic/ioctls.h, linux/sockios.h
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCSPGRP: 0x5410,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
  SIOCGIFINDEX: 0x8933,
  SIOCGSKNS: 0x894c,
  // linux/socket.h, asm-generic/socket.h
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_SEQPACKET: 5,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_PEERCRED: 17,
  SO_RCVLOWAT: 18,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SHUT_WR: 1,
  SCM_RIGHTS: 1,
  MSG_PEEK: 2,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_WAITALL: 0x100,
  MSG_NOSIGNAL: 0x4000,
  MSG_CMSG_CLOEXEC: 0x40000000,
  // linux/in.h, linux/in6.h
  SOL_IP: 0,
  IP_PKTINFO: 8,
  IP_PKTOPTIONS: 9,
  IPPROTO_IPV6: 41,
  SOL_IPV6: 41,
  IPV6_2292PKTOPTIONS: 6,
  IPV6_V6ONLY: 26,
  IPV6_RECVPKTINFO: 49,
  // linux/wait.h
  WNOHANG: 1,
  WUNTRACED: 2,
  WCONTINUED: 8,
  // asm-generic/signal.h
  SIG_UNBLOCK: 1,
  SIG_SETMASK: 2,
  SFD_NONBLOCK: 0o4000,
  SFD_CLOEXEC: 0o2000000,
  // asm-generic/poll.h
  POLLIN: 1,
  POLLPRI: 2,
  POLLOUT: 4,
  POLLERR: 8,
  POLLHUP: 0x10,
  // asm-generic/mman-common.h, linux/mman.h
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_SHARED: 1,
  MAP_PRIVATE: 2,
  MAP_ANONYMOUS: 0x20,
  MADV_RANDOM: 1,
  MADV_DONTNEED: 4,
  // linux/capability.h
  _LINUX_CAPABILITY_VERSION_3: 0x20080522,
  // linux/seccomp.h
  SECCOMP_SET_MODE_FILTER: 1,
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_NEW_LISTENER: 8,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH: 16,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
  SECCOMP_USER_NOTIF_FLAG_CONTINUE: 1,
  SECCOMP_IOCTL_NOTIF_RECV: 0xc0502100,
  SECCOMP_IOCTL_NOTIF_SEND: 0xc0182101,
  // linux/nsfs.h
  NS_GET_USERNS: 0xb701,
  NS_GET_NSTYPE: 0xb703,
  // linux/keyctl.h
  KEYCTL_JOIN_SESSION_KEYRING: 1,
  CLOCK_REALTIME: 0,
  CLOCK_MONOTONIC: 1,
} as const;

export type ConstantName = keyof typeof numbers;

/** The constant of that name, or several ORed together, to be read as `A|B` in a listing. */
export function k(...names: ConstantName[]): Constant {
  return constant(
    names.length === 0 ? "0" : names.join("|"),
    names.reduce((sum, name) => sum | BigInt(numbers[name]), 0n),
  );
}

/** The same with O_NOFOLLOW, for which arch/arm64/include/uapi/asm/fcntl.h has a number of its own. */
export function noFollow(first: ConstantName, ...rest: ConstantName[]): Constant {
  const { value } = k(first, ...rest);
  return {
    kind: "constant",
    text: [first, "O_NOFOLLOW", ...rest].join("|"),
    value: value | 0o400000n,
    aarch64: value | 0o100000n,
  };
}

/** Opens the thing itself, be it a symbolic link. */
export const openLink = noFollow("O_PATH", "O_CLOEXEC");

/** A signal's number, see signal(7). */
export function signo(name: string): Constant {
  return constant(name, known(signalNumbers, name));
}

/** Flags of clone(2) for a child whose end is told by SIGCHLD. */
export function childFlags(...names: ConstantName[]): Constant {
  const [flags, signal] = [k(...names), signo("SIGCHLD")];
  return constant(`${flags.text}|${signal.text}`, flags.value | signal.value);
}

/** What a system call that fails with this errno returns. */
export function minus(errno: string): Constant {
  return constant(`-${errno}`, -known(errnoNumbers, errno));
}

function known(table: Readonly<Record<string, number>>, name: string): number {
  const number = table[name];
  if (number === undefined) throw new Error(`${name} is in no table`);
  return number;
}
