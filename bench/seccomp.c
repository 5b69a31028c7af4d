/*
 * What filters cost:
 *   seccomp ROUNDS REPETITIONS FILTER...
 * A filter is a file of struct sock_filter, an empty one no filter at all. Each round starts a process
 * for each of them, which loads it and makes each of three calls so many times: one that is always
 * allowed, one that is by its argument, and one that no kernel has, which a filter refuses. Prints a
 * line a process: the index of the filter, and the nanoseconds that it took to load it, and that each
 * of the calls took.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(int ok, const char *what) {
  if (ok) return;
  perror(what);
  _exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static double call(long number, long argument, int repetitions) {
  double start = now();
  for (int i = 0; i < repetitions; i++) syscall(number, argument);
  return (now() - start) / repetitions;
}

static void measure(int index, const char *path, int repetitions) {
  static struct sock_filter instructions[BPF_MAXINSNS];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  check(fd >= 0, path);
  ssize_t size = read(fd, instructions, sizeof instructions);
  check(size >= 0, path);
  struct sock_fprog program = {size / sizeof *instructions, instructions};
  double load = 0;
  check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  if (size > 0) {
    double start = now();
    check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
    load = now() - start;
  }
  double allowed = call(SYS_getppid, 0, repetitions);
  double checked = call(SYS_personality, 0xffffffff, repetitions);
  double refused = call(SYS_vserver, 0, repetitions);
  dprintf(1, "%d %.0f %.2f %.2f %.2f\n", index, load, allowed, checked, refused);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc < 4) return 1;
  int rounds = atoi(argv[1]);
  int filters = argc - 3;
  for (int run = 0; run < rounds * filters; run++) {
    /* Each round begins with the next one, so that none always follows the same. */
    int index = (run + run / filters) % filters;
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) measure(index, argv[3 + index], atoi(argv[2]));
    int status;
    check(waitpid(pid, &status, 0) == pid, "waitpid");
    if (status != 0) return 1;
  }
  return 0;
}
