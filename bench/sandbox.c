/*
 * What the compiled program does that is isolated as bubblewrap (bench/isolation.ts), written by hand: the same
 * system calls in the same order, and no more. Usage: sandbox ROOTFS RECORDS COMMAND [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY = 1, EXITED = 3, NETWORK = 10, GO = 11, RECORD = 12 };

/* glibc's sys/mount.h cannot be had together with linux/mount.h. */
enum { BIND = 4096, MOVE = 8192, REC = 16384, PRIVATE = 1 << 18, STRICTATIME = 1 << 24, DETACH = 2 };

static long must(long result, const char *what) {
  if (result >= 0) return result;
  perror(what);
  exit(125);
}
#define MUST(call) must((long)(call), #call)

static void attach(const char *from, const char *to, const char *type, unsigned long flags, const char *data) {
  must(syscall(SYS_mount, from, to, type, flags, data), to);
}

static int rootFd, control[2], release[2], started[2];
static sigset_t all, callers;

static void writeProc(const char *path, const char *text) {
  struct statfs fs;
  int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
  MUST(fstatfs(fd, &fs));
  if (fs.f_type != PROC_SUPER_MAGIC) exit(125);
  MUST(write(fd, text, strlen(text)));
  MUST(close(fd));
}

/* Two words, and a fd unless that is -1. */
static void tell(int to, uint64_t kind, uint64_t value, int fd) {
  uint64_t words[] = {kind, value};
  union {
    char bytes[CMSG_SPACE(sizeof fd)];
    struct cmsghdr header;
  } passed = {.header = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}};
  struct iovec text = {words, sizeof words};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
  if (fd >= 0) {
    memcpy(CMSG_DATA(&passed.header), &fd, sizeof fd);
    message.msg_control = &passed;
    message.msg_controllen = sizeof passed;
  }
  sendmsg(to, &message, MSG_NOSIGNAL);
}

/* Gives the kind of a message, 0 at the end; with it come its value and its fd. */
static uint64_t hear(int from, int flags, uint64_t *value, int *fd) {
  uint64_t words[2];
  union {
    char bytes[CMSG_SPACE(sizeof *fd)];
    struct cmsghdr header;
  } passed;
  struct iovec text = {words, sizeof words};
  struct msghdr message = {
      .msg_iov = &text, .msg_iovlen = 1, .msg_control = &passed, .msg_controllen = sizeof passed};
  if (recvmsg(from, &message, flags | MSG_CMSG_CLOEXEC) != sizeof words) return 0;
  *value = words[1];
  if (message.msg_controllen > 0) memcpy(fd, CMSG_DATA(&passed.header), sizeof *fd);
  return words[0];
}

/* Opens the namespaces of the init, and writes a record as long as sbx's. */
static int keepRecord(const char *directory, int init, char *name, int fds[7]) {
  static const char *const files[] = {"user", "mnt", "pid", "ipc", "uts", "cgroup"};
  static char rest[1200];
  uint64_t random;
  char temporary[40], path[64], text[512];
  struct timespec now;
  MUST(getrandom(&random, sizeof random, 0));
  snprintf(name, 32, "%012llx", (unsigned long long)(random & 0xffffffffffff));
  snprintf(temporary, sizeof temporary, ".%s", name);
  snprintf(path, sizeof path, "/proc/%d/ns", init);
  int namespaces = MUST(open(path, O_PATH | O_CLOEXEC));
  for (int i = 0; i < 6; i++) fds[i] = MUST(openat(namespaces, files[i], O_RDONLY | O_CLOEXEC));
  MUST(close(namespaces));
  MUST(fcntl(fds[0], F_DUPFD_CLOEXEC, 3));
  fds[6] = MUST(fcntl(fds[0], F_DUPFD_CLOEXEC, 3));
  int records = MUST(open(directory, O_PATH | O_CLOEXEC));
  int fd = MUST(openat(records, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  MUST(flock(fd, LOCK_EX | LOCK_NB));
  MUST(clock_gettime(CLOCK_REALTIME, &now));
  for (int i = 0; i < 5; i++) MUST(write(fd, name, 12));
  int size = snprintf(text, sizeof text, "\",\"monitor\":%d,\"namespaces\":{\"user\":%d,\"mount\":%d,\"pid\":%d,"
                      "\"ipc\":%d,\"uts\":%d,\"cgroup\":%d,\"network\":%d},\"init\":%d,\"started\":%ld,", getpid(),
                      fds[0], fds[1], fds[2], fds[3], fds[4], fds[5], fds[6], init, (long)now.tv_sec);
  MUST(write(fd, text, size));
  memset(rest, ' ', sizeof rest);
  MUST(write(fd, rest, sizeof rest));
  MUST(syscall(SYS_renameat2, records, temporary, records, name, 1 /* RENAME_NOREPLACE */));
  return records;
}

static void makeDevices(void) {
  static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
  static const char *const links[][2] = {{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
                                         {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
                                         {"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"}};
  char from[32], to[64];
  for (int i = 0; i < 6; i++) {
    snprintf(from, sizeof from, "/dev/%s", devices[i]);
    snprintf(to, sizeof to, "/tmp/mounts/1/%s", devices[i]);
    MUST(mknod(to, S_IFREG | 0666, 0));
    attach(from, to, NULL, BIND, NULL);
  }
  for (int i = 0; i < 6; i++) {
    snprintf(to, sizeof to, "/tmp/mounts/1/%s", links[i][1]);
    MUST(symlink(links[i][0], to));
  }
}

static void moveInto(const char *staged, const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  struct statx status;
  char name[64];
  int fd = MUST(open(staged, O_PATH | O_CLOEXEC));
  MUST(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status));
  MUST(close(fd));
  fd = syscall(SYS_openat2, rootFd, path, &how, sizeof how);
  if (fd < 0) {
    /* Below a /dev that was just mounted: the one directory that is missing. */
    int parent = MUST(openat(rootFd, "dev", O_PATH | O_CLOEXEC | O_NOFOLLOW));
    MUST(mkdirat(parent, "pts", 0755));
    fd = MUST(openat(parent, "pts", O_PATH | O_CLOEXEC | O_NOFOLLOW));
    MUST(close(parent));
  }
  MUST(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status));
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  attach(staged, name, NULL, MOVE, NULL);
  MUST(close(fd));
}

static void setUpMounts(void) {
  struct mount_attr nodev = {.attr_set = MOUNT_ATTR_NODEV};
  struct statx status;
  struct statfs fs;
  attach("none", "/", NULL, REC | PRIVATE, NULL);
  attach("tmpfs", "/tmp", "tmpfs", 2 | 4, "mode=755");
  MUST(mkdir("/tmp/root", 0755));
  attach(".", "/tmp/root", NULL, BIND | REC, NULL);
  MUST(syscall(SYS_mount_setattr, AT_FDCWD, "/tmp/root", AT_RECURSIVE, &nodev, sizeof nodev));
  attach("none", "/tmp/root", NULL, REC | PRIVATE, NULL);
  rootFd = MUST(open("/tmp/root", O_PATH | O_CLOEXEC));
  int fd = MUST(open("/proc/self/fd", O_PATH | O_CLOEXEC));
  MUST(fstatfs(fd, &fs));
  MUST(close(fd));
  int null = MUST(open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW));
  MUST(statx(null, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status));
  MUST(mkdir("/tmp/mounts", 0700));
  MUST(mkdir("/tmp/mounts/0", 0755));
  attach("proc", "/tmp/mounts/0", "proc", 2 | 4 | 8, NULL);
  MUST(mkdir("/tmp/mounts/1", 0755));
  attach("tmpfs", "/tmp/mounts/1", "tmpfs", 2 | STRICTATIME, "mode=755,size=65536k");
  makeDevices();
  MUST(mkdir("/tmp/mounts/2", 0755));
  attach("devpts", "/tmp/mounts/2", "devpts", 2 | 8, "newinstance,ptmxmode=0666,mode=0620");
  moveInto("/tmp/mounts/0", "/proc");
  moveInto("/tmp/mounts/1", "/dev");
  moveInto("/tmp/mounts/2", "/dev/pts");
  tell(control[1], RECORD, 0, -1);
  MUST(chdir("/tmp/root"));
  MUST(syscall(SYS_pivot_root, ".", "."));
  MUST(syscall(SYS_umount2, ".", DETACH));
  MUST(chdir("/"));
}

static void raiseLoopback(int fd) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
  } request = {{sizeof request, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 0, 0},
               {.ifi_index = 1, .ifi_flags = 1, .ifi_change = 1}};
  char answer[512];
  MUST(send(fd, &request, sizeof request, 0));
  MUST(recv(fd, answer, sizeof answer, 0));
}

static void makeNetwork(void) {
  MUST(unshare(CLONE_NEWNET));
  int fd = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  int network = MUST(ioctl(fd, SIOCGSKNS));
  tell(started[1], NETWORK, 0, network);
  MUST(close(network));
  raiseLoopback(fd);
  MUST(close(fd));
}

static void runPayload(char **command) {
  static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                                      "HOSTNAME=sbx", NULL};
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  uint64_t value;
  MUST(setpgid(0, 0));
  MUST(mmap(NULL, 344, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  MUST(mmap(NULL, 32, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  MUST(prctl(PR_SET_DUMPABLE, 0));
  makeNetwork();
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++);
  if (hear(started[1], 0, &value, NULL) != GO) exit(125);
  MUST(chdir("/"));
  rootFd = MUST(open("/", O_PATH | O_CLOEXEC));
  MUST(syscall(SYS_setresgid, 0, 0, 0));
  MUST(syscall(SYS_setresuid, 0, 0, 0));
  MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
  umask(022);
  sigprocmask(SIG_SETMASK, &callers, NULL);
  MUST(syscall(SYS_setresgid, 0, 0, 0));
  MUST(syscall(SYS_setresuid, 0, 0, 0));
  MUST(fchdir(MUST(syscall(SYS_openat2, rootFd, "/", &how, sizeof how))));
  MUST(syscall(SYS_capget, &header, data));
  memset(data, 0, sizeof data);
  MUST(syscall(SYS_capset, &header, data));
  MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  execve(command[0], command, environment);
  perror(command[0]);
  exit(127);
}

static void runInit(char **command, const char *uidMap, const char *gidMap) {
  struct pollfd parent = {.fd = release[0]};
  struct timespec no = {0};
  uint64_t value;
  char byte;
  int status, signal, network = -1;
  MUST(close(control[0]));
  MUST(close(release[1]));
  umask(0);
  MUST(setsid());
  MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, started));
  pid_t payload = MUST(fork());
  if (payload == 0) runPayload(command);
  MUST(close(started[1]));
  writeProc("/proc/self/setgroups", "deny");
  writeProc("/proc/self/uid_map", uidMap);
  writeProc("/proc/self/gid_map", gidMap);
  MUST(syscall(SYS_setresgid, 0, 0, 0));
  MUST(syscall(SYS_setresuid, 0, 0, 0));
  MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
  if (ppoll(&parent, 1, &no, NULL) != 0) exit(125);
  setUpMounts();
  MUST(sethostname("sbx", 3));
  if (hear(started[0], 0, &value, &network) != NETWORK) exit(125);
  MUST(setns(network, CLONE_NEWNET));
  if (read(release[0], &byte, 1) != 1) exit(125);
  MUST(prctl(PR_SET_DUMPABLE, 0));
  tell(started[0], GO, 0, -1);
  MUST(close(rootFd));
  prctl(PR_SET_NAME, "sbx-init");
  if (read(started[0], &byte, 1) > 0) exit(125);
  MUST(close(started[0]));
  tell(control[1], READY, 0, network);
  MUST(close(network));
  for (;;) {
    signal = sigtimedwait(&all, NULL, &(struct timespec){.tv_nsec = 100000000});
    if (signal != SIGCHLD) {
      if (signal > 0) kill(payload, signal);
      continue;
    }
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != payload) continue;
      tell(control[1], EXITED, status, -1);
      exit(0);
    }
  }
}

int main(int argc, char **argv) {
  char uidMap[32], gidMap[32], name[32];
  struct signalfd_siginfo info;
  struct stat own, named;
  uint64_t value;
  int status = 0, ended = 0, passed, fds[7];
  if (argc < 4) return 125;
  MUST(stat("/proc/self/exe", &own));
  MUST(lstat(argv[0], &named));
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &callers);
  MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  for (int standard = 0; standard < 3; standard++) MUST(fcntl(standard, F_GETFD));
  MUST(close_range(3, ~0U, 0));
  MUST(chdir(argv[1]));
  MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control));
  MUST(pipe2(release, O_CLOEXEC));
  int signals = MUST(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  snprintf(uidMap, sizeof uidMap, "0 %d 1\n", geteuid());
  snprintf(gidMap, sizeof gidMap, "0 %d 1\n", getegid());
  pid_t init = MUST(syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                            CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
  if (init == 0) runInit(argv + 3, uidMap, gidMap);
  MUST(close(control[1]));
  MUST(close(release[0]));
  struct pollfd asked = {control[0], POLLIN, 0};
  ppoll(&asked, 1, NULL, NULL);
  if (hear(control[0], MSG_DONTWAIT, &value, &passed) != RECORD) return 125;
  int records = keepRecord(argv[2], init, name, fds);
  MUST(write(release[1], "!", 1));
  while (!ended) {
    struct pollfd polled[] = {{signals, POLLIN, 0}, {control[0], POLLIN, 0}};
    ppoll(polled, 2, NULL, NULL);
    if (polled[1].revents) switch (hear(control[0], MSG_DONTWAIT, &value, &passed)) {
      case READY:
        MUST(dup3(passed, fds[6], O_CLOEXEC));
        MUST(close(passed));
        break;
      case EXITED:
        status = value;
    }
    if (!polled[0].revents) continue;
    MUST(read(signals, &info, sizeof info));
    if (info.ssi_signo == SIGCHLD) ended = waitpid(init, &(int){0}, WNOHANG) == init;
    else kill(init, info.ssi_signo);
  }
  while (hear(control[0], MSG_DONTWAIT, &value, &passed) == EXITED) status = value;
  MUST(close(fds[1]));
  unlinkat(records, name, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
