/** System calls by name and number, for each architecture that filters are compiled for. */
import { architectures, type SeccompArchitecture, x32Bit } from "./architecture.js";
import { otherNames, syscallLists } from "./syscall-lists.js";

interface Table {
  readonly numbers: ReadonlyMap<string, number>;
  readonly names: ReadonlyMap<number, string>;
}

const tables = new Map<SeccompArchitecture, Table>();
let others: ReadonlySet<string> | undefined;

const words = (text: string): string[] => text.trim().split(/\s+/);

/** A list's words: a number is that of the name after it, a name's is one more than the last one's. */
function parseList(list: string, bit: number): Table {
  const numbers = new Map<string, number>();
  const names = new Map<number, string>();
  let next = bit;
  for (const word of words(list)) {
    if (/^\d/.test(word)) {
      next = bit + Number(word);
      continue;
    }
    numbers.set(word, next);
    if (!names.has(next)) names.set(next, word);
    next += 1;
  }
  return { numbers, names };
}

/** Made when it is first asked for: a filter is for two or three of the architectures. */
function table(arch: SeccompArchitecture): Table {
  const known = tables.get(arch);
  if (known !== undefined) return known;
  const made = parseList(syscallLists[arch], arch === "x32" ? x32Bit : 0);
  tables.set(arch, made);
  return made;
}

/** All system calls of the architecture, by ascending number; those of x32 with its bit. */
export function tableOf(arch: SeccompArchitecture): ReadonlyMap<string, number> {
  return table(arch).numbers;
}

/** As `seccomp_data.nr` has it; null where the architecture has no such call. */
export function syscallNumber(arch: SeccompArchitecture, name: string): number | null {
  return table(arch).numbers.get(name) ?? null;
}

/** Of two names for one number (arm's 341) the first; null where the architecture has no such call. */
export function syscallName(arch: SeccompArchitecture, number: number): string | null {
  return table(arch).names.get(number) ?? null;
}

/**
 * Whether any architecture of Linux has a system call of that name, also one that filters are not
 * compiled for, so that a profile may name it. So it is with all that libseccomp 2.6.1 knows.
 */
export function isSyscallName(name: string): boolean {
  others ??= new Set(words(otherNames));
  return others.has(name) || architectures.some((arch) => tableOf(arch).has(name));
}
