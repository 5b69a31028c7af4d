/*
 * A hostile process inside a sandbox: stops every process that appears, and tries all ways to look into it
 * or take something of it, before it becomes the command that it was started for. A line for each:
 *   seen PID                what was stopped has not called execve yet: its argv[0] is WATCHED
 *   leak PID WHAT           a way in, into such a process
 * Ends when a file /end is there. With the number of a signal it sends that instead, to three of them, and ends.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char cmdline[4096];

static int read_file(int pid, const char *name, char *to, int size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  int n = read(fd, to, size - 1);
  close(fd);
  if (n >= 0) to[n] = 0;
  return n;
}

/* Of the process at hand. Told once it is known to be the same still: SIGSTOP takes effect behind an execve that has begun. */
static const char *leaks[32];
static int leaked;

static void leak(const char *what) { leaks[leaked++] = what; }

static void try_all(int pid) {
  char path[64], text[4096];
  const char *files[] = {"environ", "maps", "auxv", "mem", "stack", "syscall", "io", NULL};
  for (int i = 0; files[i]; i++) {
    /* The first page of mem is never there: that it opens is enough. */
    snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
    int fd = open(path, O_RDONLY);
    if (fd < 0) continue;
    if (!strcmp(files[i], "mem") || read(fd, text, sizeof text) > 0) leak(files[i]);
    close(fd);
  }
  const char *links[] = {"exe", "cwd", "root", "ns/mnt", NULL};
  for (int i = 0; links[i]; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", pid, links[i]);
    if (readlink(path, text, sizeof text) > 0 || open(path, O_RDONLY | O_PATH) >= 0) leak(links[i]);
  }
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *fds = opendir(path);
  if (fds) {
    if (readdir(fds)) leak("fd");
    closedir(fds);
  }
  struct iovec here = {text, 8}, there = {(void *)0x400000, 8};
  if (process_vm_readv(pid, &here, 1, &there, 1, 0) > 0) leak("process_vm_readv");
  int pidfd = syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0) {
    if (syscall(438 /* pidfd_getfd */, pidfd, 0, 0) >= 0) leak("pidfd_getfd");
    close(pidfd);
  }
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
    leak("ptrace");
    /* Else it would wait for us at each signal, for ever. */
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    waitpid(pid, NULL, __WALL);
    ptrace(PTRACE_DETACH, pid, 0, 0);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const char *watched = argv[1];
  int signal = argc > 2 ? atoi(argv[2]) : 0, signalled = 0;
  int last = getpid();
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (signalled < 3 && access("/end", F_OK)) {
    /* Pids are given in order: the next ones are tried, without a listing. */
    for (int pid = last + 1; pid < last + 6; pid++) {
      if (kill(pid, SIGSTOP)) continue;
      if (read_file(pid, "cmdline", cmdline, sizeof cmdline) > 0 && !strcmp(cmdline, watched)) {
        printf("seen %d\n", pid);
        if (signal == 0) {
          leaked = 0;
          try_all(pid);
          int isSame = read_file(pid, "cmdline", cmdline, sizeof cmdline) > 0 && !strcmp(cmdline, watched);
          for (int i = 0; isSame && i < leaked; i++) printf("leak %d %s\n", pid, leaks[i]);
        } else if (kill(pid, signal) == 0)
          signalled++;
      }
      kill(pid, SIGCONT);
      last = pid;
      break;
    }
  }
  return 0;
}
