/** The words and numbers that values of a profile are made of, each as a check. */
import { type Capability, capabilityNames } from "../spec/capabilities.js";
import { errnoNumbers } from "../spec/linux.js";
import { didYouMean } from "../spec/nearest.js";
import { type Check, oneOf, shown, text } from "../spec/shape.js";
import { operators } from "./rules.js";
import { type Action, actions } from "./verdict.js";

/** `major.minor` as people say it: 5.10. */
export interface KernelVersion {
  readonly major: number;
  readonly minor: number;
}

/** One of the words behind their prefix, given back without it. */
function prefixed<T extends string>(prefix: string, words: readonly T[]): Check<T> {
  const check = oneOf(...words.map((word) => `${prefix}${word}`));
  return (value, at, report) => check(value, at, report)?.slice(prefix.length) as T | undefined;
}

/** What `parse` makes of a text; null is wrong. An empty text is as good as none. */
function parsed<T>(must: string, parse: (word: string) => T | null, words: readonly string[] = []) {
  const check: Check<T> = (value, at, report) => {
    const word = text(value, at, report);
    if (word === undefined || word === "") return undefined;
    const result = parse(word);
    if (result !== null) return result;
    report(at, `must be ${must}, not ${shown(word)}`, didYouMean(word, words));
    return undefined;
  };
  return check;
}

function integer(most: bigint): Check<bigint> {
  return (value, at, report) => {
    if (typeof value === "bigint" || Number.isSafeInteger(value)) {
      const number = BigInt(value as bigint | number);
      if (number >= 0n && number <= most) return number;
    }
    report(at, `must be a whole number from 0 to ${most}, not ${shown(value)}`);
    return undefined;
  };
}

export const action = prefixed("SCMP_ACT_", Object.keys(actions) as Action[]);
export const operator = prefixed("SCMP_CMP_", operators);
export const word64 = integer(2n ** 64n - 1n);

/** The flags that the runtime-spec knows, seccomp(2). */
export const flag = oneOf(
  ...(["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"] as const).map(
    (name) => `SECCOMP_FILTER_FLAG_${name}` as const,
  ),
);

/** The architectures of libseccomp 2.6. */
export const architecture = oneOf(
  ...[
    ...["NATIVE", "X86", "X86_64", "X32", "ARM", "AARCH64", "LOONGARCH64", "M68K"],
    ...["MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PARISC", "PARISC64"],
    ...["PPC", "PPC64", "PPC64LE", "RISCV64", "S390", "S390X", "SH", "SHEB"],
  ].map((name) => `SCMP_ARCH_${name}`),
);

/** The same in the words that moby and podman have for machines (mips3l64n32 is moby's). */
export const machine = oneOf(
  ...["x86", "amd64", "x32", "arm", "arm64", "loongarch64", "loong64", "m68k", "mips", "mips64"],
  ...["mips64n32", "mipsel", "mipsel64", "mipsel64n32", "mips3l64n32", "parisc", "parisc64"],
  ...["ppc", "ppc64", "ppc64le", "riscv64", "s390", "s390x", "sh", "sheb"],
);

/** libseccomp takes none from MAX_ERRNO on, 4095, with TRACE as with ERRNO. */
const lastErrno = 4094;
export const errno: Check<number> = (value, at, report) => {
  const number = integer(BigInt(lastErrno))(value, at, report);
  return number === undefined ? undefined : Number(number);
};

/** Names that stand for the number of another name as well: errno(3). */
const errnos: ReadonlyMap<string, number> = new Map(
  Object.entries({ ...errnoNumbers, EWOULDBLOCK: 11, EDEADLOCK: 35, ENOTSUP: 95 }),
);

/** podman's `errno` and `defaultErrno`: a name, or digits. */
export const errnoName = parsed(
  `an errno's name, or a number up to ${lastErrno}`,
  (word) => {
    const number = /^\d+$/.test(word) ? Number(word) : errnos.get(word);
    return number === undefined || number > lastErrno ? null : number;
  },
  [...errnos.keys()],
);

export const capability = parsed<Capability>(
  "a capability",
  (word) => capabilityNames.find((name) => name === word) ?? null,
  capabilityNames,
);

/** moby's form: two numbers, not 5.10.3. */
export const kernelVersion = parsed<KernelVersion>("a kernel's version such as 4.8", (word) => {
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(word)?.map(Number) ?? [];
  return major === undefined || minor === undefined ? null : { major, minor };
});
