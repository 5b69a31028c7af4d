/**
 * Whether the kernel would take a filter: bpf_check_basics_ok() and bpf_check_classic() of
 * net/core/filter.c, then seccomp_check_filter() of kernel/seccomp.c (Linux 6.12).
 */
import { type Instruction, maxInstructions } from "./instruction.js";
import { meaningOf } from "./meaning.js";

/** sizeof(struct seccomp_data). */
const dataBytes = 64;
/** BPF_MEMWORDS. */
const memoryWords = 16;

/** Why seccomp(2) would fail with EINVAL, a phrase with the index of the instruction; or null. */
export function validate(program: readonly Instruction[]): string | null {
  if (program.length === 0) return "there is no instruction";
  if (program.length > maxInstructions)
    return `there are more than ${maxInstructions} instructions`;
  for (const [index, instruction] of program.entries()) {
    const why = instructionRefusal(instruction, program.length - index - 1);
    if (why !== null) return `${index}: ${why}`;
  }
  const last = program.at(-1);
  if (last && meaningOf(last.code)?.kind !== "return") return "the last one is not a return";
  return unwrittenMemory(program);
}

/** `after`: how many instructions follow. */
function instructionRefusal({ code, jt, jf, k }: Instruction, after: number): string | null {
  const meaning = meaningOf(code);
  if (meaning === undefined) return `the code ${code} is not admitted`;
  switch (meaning.kind) {
    case "load":
      if (meaning.from === "data" && (k >= dataBytes || k % 4 !== 0)) {
        return `${k} is no word of seccomp_data`;
      }
      return meaning.from === "memory" && k >= memoryWords ? `there is no memory word ${k}` : null;
    case "store":
      return k >= memoryWords ? `there is no memory word ${k}` : null;
    case "calculate":
      if (meaning.operand === "x") return null;
      if (meaning.operator === "/" && k === 0) return "divides by 0";
      return /<<|>>/.test(meaning.operator) && k >= 32 ? `shifts by ${k}` : null;
    case "jump":
      return k >= after ? "jumps past the end" : null;
    case "branch":
      return Math.max(jt, jf) >= after ? "jumps past the end" : null;
    default:
      return null;
  }
}

/** check_load_and_stores(): on each way to a load from memory, that word must have been stored. */
function unwrittenMemory(program: readonly Instruction[]): string | null {
  // A bit a word, by instruction: what is written on all ways to it that were seen.
  const written = program.map(() => 0xffff);
  const arrive = (index: number, bits: number) => {
    written[index] = (written[index] ?? 0) & bits;
  };
  arrive(0, 0);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    const bits = written[index] ?? 0;
    const meaning = meaningOf(code);
    if (meaning?.kind === "jump") arrive(index + 1 + k, bits);
    else if (meaning?.kind === "branch") {
      arrive(index + 1 + jt, bits);
      arrive(index + 1 + jf, bits);
    } else if (meaning?.kind === "store") arrive(index + 1, bits | (1 << k));
    else if (meaning?.kind === "load" && meaning.from === "memory" && !(bits & (1 << k))) {
      return `${index}: the memory word ${k} may be unwritten`;
    } else arrive(index + 1, bits);
  }
  return null;
}
