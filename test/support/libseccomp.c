/*
 * Has libseccomp make a filter, as runc would:
 *   libseccomp DEFAULT OPTIMIZE ARCHITECTURE... <RULES >FILTER
 * A rule is its verdict, a name, the number of conditions, and for each the argument, the operator and
 * two values. Says on stderr which names libseccomp does not know, and which rules it refuses.
 */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int rc, const char *what) {
  if (rc >= 0) return;
  fprintf(stderr, "%s: %s\n", what, strerror(-rc));
  exit(1);
}

int main(int argc, char **argv) {
  /* All actions, whatever the kernel has. */
  check(seccomp_api_set(5), "seccomp_api_set");
  scmp_filter_ctx filter = seccomp_init(strtoul(argv[1], NULL, 10));
  if (filter == NULL) check(-EINVAL, "seccomp_init");
  check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, atoi(argv[2])), "optimize");
  check(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "badarch");
  int native = 0;
  for (int i = 3; i < argc; i++) {
    uint32_t arch = seccomp_arch_resolve_name(argv[i]);
    if (arch == seccomp_arch_native()) native = 1;
    else check(seccomp_arch_add(filter, arch), argv[i]);
  }
  if (!native) check(seccomp_arch_remove(filter, SCMP_ARCH_NATIVE), "seccomp_arch_remove");

  uint32_t verdict;
  char name[64];
  unsigned count;
  while (scanf("%" SCNu32 " %63s %u", &verdict, name, &count) == 3) {
    struct scmp_arg_cmp args[6];
    for (unsigned i = 0; i < count; i++)
      if (scanf("%u %d %" SCNu64 " %" SCNu64, &args[i].arg, (int *)&args[i].op, &args[i].datum_a,
                &args[i].datum_b) != 4)
        check(-EINVAL, name);
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
      fprintf(stderr, "unknown %s\n", name);
      continue;
    }
    int rc = seccomp_rule_add_array(filter, verdict, number, count, args);
    if (rc < 0) fprintf(stderr, "refused %s %d\n", name, -rc);
  }
  check(seccomp_export_bpf(filter, 1), "seccomp_export_bpf");
  return 0;
}
