/** The architectures that filters are compiled for. */

/** By libseccomp's words for them; in profiles `SCMP_ARCH_` and the word in capitals. */
export const architectures = ["x86_64", "x86", "x32", "aarch64", "arm"] as const;
export type SeccompArchitecture = (typeof architectures)[number];

/**
 * What `seccomp_data.arch` has for each: AUDIT_ARCH_* of linux/audit.h. x32 is told from x86_64 by a
 * bit of the number alone.
 */
export const auditArch: Readonly<Record<SeccompArchitecture, number>> = {
  x86_64: 0xc000003e,
  x86: 0x40000003,
  x32: 0xc000003e,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
};

/** __X32_SYSCALL_BIT of asm/unistd.h: set in every number of x32, but for -1. */
export const x32Bit = 0x40000000;

/** __ARM_NR_BASE of asm/unistd.h: from here on arm has calls of its own, and never newer ones. */
export const armPrivate = 0x0f0000;

/**
 * Whose arguments have 32 bits: libseccomp (its arch-*.c, `size`) looks at the low half of each
 * argument and of each constant there. On i386 the kernel has nothing in the high half; what is there
 * for arm is not defined, and calls of x32 take no notice of it where their arguments are of 32 bits.
 */
export const narrowArchitectures: ReadonlySet<SeccompArchitecture> = new Set(["x86", "x32", "arm"]);
