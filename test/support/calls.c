/*
 * Makes system calls under a filter, and tells what became of each. It does without a libc, so that
 * a compiler is all that an architecture needs. calls.ts compiles it, and speaks with it.
 *
 * Standard input, in words of 64 bits: the count of instructions, and these; the count of calls, and
 * for each its way in (0: the program's own, 1: int $0x80), its number and six arguments.
 *
 * Standard output, a line for each call, with three hexadecimal numbers at its end:
 *     returned      the result
 *     trapped       from siginfo_t: errno, number, architecture
 *     thread gone   and its process was not
 *     process gone  the status, as wait4(2) has it
 *     late          nothing happened any more
 * or, alone, `refused` and an errno where the kernel did not take the filter.
 *
 * Three are at work in one memory. The judge starts the others, and is under no filter. The process
 * is what a verdict may kill. Its second thread installs the filter and makes the calls in a row; it
 * never ends by itself, since a filter need not let it. After a call that the two do not survive the
 * judge starts two more, for the calls that are left.
 */

typedef unsigned long word;
typedef unsigned long long u64;

enum {
  maxInstructions = 4096,
  maxCalls = 16384,
  lineBytes = 80,
  stackWords = 8192,
  pollNs = 100000,
  maxPolls = 10000, /* without a sign of life */
};

/* The number and six arguments. Finds where to return to on the stack, as begin() needs it. */
long call(const word *words);

#if defined __x86_64__
long call_i386(const word *words);
__asm__("call: mov 16(%rdi), %rsi; mov 24(%rdi), %rdx; mov 32(%rdi), %r10;"
        "mov 40(%rdi), %r8; mov 48(%rdi), %r9; mov (%rdi), %rax; mov 8(%rdi), %rdi;"
        "syscall; ret\n"
        "call_i386: push %rbx; push %rbp; mov 8(%rdi), %ebx; mov 16(%rdi), %ecx;"
        "mov 24(%rdi), %edx; mov 32(%rdi), %esi; mov 48(%rdi), %ebp; mov (%rdi), %eax; mov 40(%rdi), %edi;"
        "int $0x80; cltq; pop %rbp; pop %rbx; ret");
#elif defined __i386__
__asm__("call: push %ebx; push %esi; push %edi; push %ebp; mov 20(%esp), %eax; mov 4(%eax), %ebx;"
        "mov 8(%eax), %ecx; mov 12(%eax), %edx; mov 16(%eax), %esi; mov 20(%eax), %edi;"
        "mov 24(%eax), %ebp; mov (%eax), %eax; int $0x80;"
        "pop %ebp; pop %edi; pop %esi; pop %ebx; ret");
#elif defined __aarch64__
__asm__("call: stp x29, x30, [sp, #-16]!; mov x9, x0; ldp x8, x0, [x9]; ldp x1, x2, [x9, #16];"
        "ldp x3, x4, [x9, #32]; ldr x5, [x9, #48]; svc #0; ldp x29, x30, [sp], #16; ret");
#elif defined __arm__
__asm__("call: push {r4, r5, r7, lr}; mov ip, r0; ldr r7, [ip], #4;"
        "ldm ip, {r0, r1, r2, r3, r4, r5}; svc #0; pop {r4, r5, r7, pc}");
#endif

#ifndef __x86_64__
#define call_i386 call
#endif
#define CALL(...) call((const word[7]){__VA_ARGS__})

static struct request {
  u64 way, words[7];
} *requests;
static u64 input[2 + maxInstructions + 8 * maxCalls];
static struct {
  unsigned short length;
  u64 *instructions;
} program;
static u64 count;
static char output[maxCalls * lineBytes];
static word outputLength;

static volatile struct {
  const char *what;
  u64 numbers[3];
} outcomes[maxCalls];
static volatile u64 current;
static volatile long refused;
static volatile int over, threadId;

static void settle(const char *what, u64 first, u64 second, u64 third) {
  outcomes[current].what = what;
  outcomes[current].numbers[0] = first;
  outcomes[current].numbers[1] = second;
  outcomes[current].numbers[2] = third;
  current++;
}

static void sleep(long seconds, long ns) {
  const long time[2] = {seconds, ns};
  CALL(NR_nanosleep, (word)time);
}

/* si_signo, si_errno, si_code; on 64 bits a gap; si_call_addr, si_syscall, si_arch. */
static void onSigsys(int signal, const unsigned *info) {
  const unsigned *where = info + (sizeof(word) == 8 ? 6 : 4);
  (void)signal;
  settle("trapped", info[1], where[0], where[1]);
  over = 1;
  for (;;) continue;
}

/* The thread. RLIMIT_NPROC, so that no call makes a process; PR_SET_NO_NEW_PRIVS; the filter. */
static void makeCalls(void) {
  static const u64 none[2];
  refused = CALL(NR_prlimit64, 0, 6, (word)none) ?: CALL(NR_prctl, 38, 1);
  if (!refused) refused = CALL(NR_seccomp, 1, 0, (word)&program);
  while (!refused && current < count) {
    const struct request *request = &requests[current];
    word words[7];
    for (int i = 0; i < 7; i++) words[i] = request->words[i];
    settle("returned", request->way ? call_i386(words) : call(words), 0, 0);
  }
  over = 1;
  for (;;) continue;
}

/* clone(2), onto a stack where call() finds its way to `entry` wherever it looks. */
static long begin(void (*entry)(void), word flags, word *stack) {
  word *top = stack + stackWords - 16;
  for (int i = 0; i < 16; i++) top[i] = (word)entry;
  /* child_tid is the fourth argument or the fifth; the other one, tls, is not looked at. */
  const word tid = (word)&threadId;
  return CALL(NR_clone, flags, (word)top, tid, tid, tid);
}

/* The process. PR_SET_PDEATHSIG, SIGKILL; the CLONE_* of a thread, and those that write its id. */
static void holdThread(void) {
  static word stack[stackWords];
  CALL(NR_prctl, 1, 9);
  const long thread = begin(makeCalls, 0x350f00, stack);
  if (thread < 0) over = refused = thread;
  for (;;) sleep(1000, 0);
}

/* Starts the other two, and waits until nothing more is to come of them. CLONE_VM and SIGCHLD. */
static void judge(void) {
  static word stack[stackWords];
  over = 0;
  threadId = 1;
  const long process = begin(holdThread, 0x100 | 17, stack);
  if (process < 0) {
    refused = process;
    return;
  }
  int status = 0;
  long gone = 0;
  u64 seen = current;
  for (int polls = 0; !over && threadId && !gone && polls < maxPolls; polls++) {
    sleep(0, pollNs);
    if (seen != current) polls = 0;
    seen = current;
    gone = CALL(NR_wait4, process, (word)&status, 1);
  }
  const char *what = threadId ? "late" : "thread gone";
  if (!gone) {
    CALL(NR_kill, process, 9);
    CALL(NR_wait4, process, (word)&status, 0);
  }
  if (over) return;
  /* The thread's id is cleared as the process ends, too; what has ended that came before SIGKILL. */
  if (status != 9) what = "process gone";
  settle(what, status, 0, 0);
}

static void put(const char *text) {
  while (*text) output[outputLength++] = *text++;
}

static void putHex(u64 value) {
  int shift = 60;
  while (shift > 0 && !(value >> shift)) shift -= 4;
  put(" ");
  for (; shift >= 0; shift -= 4)
    output[outputLength++] = "0123456789abcdef"[value >> shift & 15];
}

static void finish(int status) {
  CALL(NR_write, 1, (word)output, outputLength);
  CALL(NR_exit_group, status);
}

void _start(void) {
  long got, length = 0;
  while ((got = CALL(NR_read, 0, (word)input + length, sizeof input - length)) > 0) length += got;
  if (length == sizeof input) refused = -7; /* E2BIG */
  program.length = input[0];
  program.instructions = &input[1];
  count = input[1 + program.length];
  requests = (struct request *)&input[2 + program.length];
  /* PR_SET_DUMPABLE: before Linux 5.16 a core dump takes along all who share the memory. */
  CALL(NR_prctl, 4, 0);
  /* SA_SIGINFO, and SA_RESTORER, without which x86-64 has no handlers; onSigsys() never returns. */
  const struct {
    void (*handler)(int, const unsigned *);
    word flags, restorer;
    u64 mask;
  } action = {onSigsys, 0x04000004, 0, 0};
  CALL(NR_rt_sigaction, 31, (word)&action, 0, 8);
  while (!refused && current < count) judge();
  if (refused) {
    put("refused");
    putHex(-refused);
    put("\n");
    finish(1);
  }
  for (u64 i = 0; i < count; i++) {
    put(outcomes[i].what);
    for (int j = 0; j < 3; j++) putHex(outcomes[i].numbers[j]);
    put("\n");
  }
  finish(0);
}
