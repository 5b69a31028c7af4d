/*
 * What nobody can do without: a process in namespaces of its own that becomes the command, waited for. No mount, no
 * root, no id is made or mapped; nothing is put in order, and no libc is started. Usage: namespaces COMMAND [ARGUMENT...]
 */
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d) {
  register long fourth __asm__("r10") = d;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
  return result;
}

__attribute__((used)) static void run(long *stack) {
  char **argv = (char **)(stack + 1), **environment = argv + stack[0] + 1;
  long flags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  int status = 125 << 8;
  long child = call(SYS_clone, flags | SIGCHLD, 0, 0, 0);
  if (child == 0) {
    call(SYS_execve, (long)argv[1], (long)(argv + 1), (long)environment, 0);
    call(SYS_exit_group, 127, 0, 0, 0);
  }
  call(SYS_wait4, child, (long)&status, 0, 0);
  call(SYS_exit_group, (status >> 8) & 0xff, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall run\n");
