/** Classic BPF as seccomp takes it: linux/bpf_common.h, linux/filter.h, seccomp_check_filter() of kernel/seccomp.c. */

/** `struct sock_filter`. */
export interface Instruction {
  /** Class, size, mode, operation and source, 16 bits. */
  readonly code: number;
  /** Instructions to skip where a jump's condition holds, and where not, 0 to 255 each. */
  readonly jt: number;
  readonly jf: number;
  /** Unsigned, 32 bits. */
  readonly k: number;
}

/** BPF_MAXINSNS. */
export const maxInstructions = 4096;

/** The operations that filters here are made of; seccomp admits a few more. */
export const opcodes = {
  /** BPF_LD | BPF_W | BPF_ABS: a word of seccomp_data. */
  load: 0x20,
  /** BPF_ALU | BPF_SUB | BPF_K */
  subtract: 0x14,
  /** BPF_ALU | BPF_AND | BPF_K */
  and: 0x54,
  /** BPF_JMP | BPF_JA */
  jump: 0x05,
  /** BPF_JMP | BPF_JEQ | BPF_K */
  equal: 0x15,
  /** BPF_JMP | BPF_JGT | BPF_K */
  greater: 0x25,
  /** BPF_JMP | BPF_JGE | BPF_K */
  greaterEqual: 0x35,
  /** BPF_JMP | BPF_JSET | BPF_K */
  anyBit: 0x45,
  /** BPF_RET | BPF_K */
  return: 0x06,
} as const;

/** Offsets in `struct seccomp_data`: the number, the architecture, and the halves of each argument. */
export const offsets = {
  number: 0,
  arch: 4,
  low: (index: number) => 16 + 8 * index,
  high: (index: number) => 20 + 8 * index,
} as const;

/** An array of `struct sock_filter`, little-endian, as both x86-64 and arm64 are. */
export function encodeFilter(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(8 * instructions.length);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jt, jf, k }] of instructions.entries()) {
    view.setUint16(8 * index, code, true);
    view.setUint8(8 * index + 2, jt);
    view.setUint8(8 * index + 3, jf);
    view.setUint32(8 * index + 4, k, true);
  }
  return bytes;
}
