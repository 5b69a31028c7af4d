/** Calls that a filter may get wrong: every number that matters, and arguments around each constant. */
import fc from "fast-check";
import {
  architectures,
  auditArch,
  type SeccompArchitecture,
  x32Bit,
} from "../../seccomp/architecture.js";
import { keyOf } from "../../seccomp/decisions.js";
import type { Condition, RuleSet } from "../../seccomp/rules.js";
import type { Call } from "../../seccomp/simulate.js";
import { syscallNumber, tableOf } from "../../seccomp/syscalls.js";

/** AUDIT_ARCH_S390X, and two that no machine has. */
const foreign = [0x80000016, 0, 0xffffffff];

/** Around each power of 2. */
const edges = [...Array.from({ length: 33 }, (_, bit) => 2 ** bit), 0xc0000000]
  .flatMap((number) => [number - 1, number, number + 1])
  .filter((number) => number < 2 ** 32);

/** All numbers of the table, and 1024 from the first; the edges once for each value of `arch`. */
function numbersOf(architecture: SeccompArchitecture): number[] {
  const first = architecture === "x32" ? x32Bit : 0;
  const low = Array.from({ length: 1024 }, (_, number) => first + number);
  return [...low, ...tableOf(architecture).values(), ...(architecture === "x32" ? [] : edges)];
}

const indices = [0, 1, 2, 3, 4, 5];
const word = (value: bigint) => BigInt.asUintN(64, value);
const low = 0xffffffffn;

/** The value and its neighbours, its halves, and the same with other halves. */
function around(value: bigint): bigint[] {
  const [half, other] = [value & low, value >> 32n];
  const mixed = [half, other, half << 32n, value ^ (1n << 32n), value ^ (1n << 63n), value ^ low];
  return [value, value - 1n, value + 1n, ...mixed].map(word);
}

/** One that the condition holds for, where there is one. */
function satisfying({ op, value, valueTwo }: Condition): bigint {
  switch (op) {
    case "NE":
    case "GT":
      return word(value + 1n);
    case "LT":
      return word(value - 1n);
    case "MASKED_EQ":
      return (valueTwo & value) | word(~value);
    default:
      return value;
  }
}

type Alternatives = readonly (readonly Condition[])[];

/** All arguments 0, all ones, and what each alternative holds for. */
function plainVectors(alternatives: Alternatives): bigint[][] {
  const satisfied = alternatives.map((conditions) => {
    const values = new Map(conditions.map((condition) => [condition.index, satisfying(condition)]));
    return indices.map((index) => values.get(index) ?? 0n);
  });
  return [indices.map(() => 0n), indices.map(() => word(-1n)), ...satisfied];
}

/** The plain ones with one argument at a time near each constant, and mixtures. */
function manyVectors(alternatives: Alternatives): bigint[][] {
  const pools = indices.map((index) => {
    const own = alternatives.flat().filter((condition) => condition.index === index);
    const values = own.flatMap(({ value, valueTwo }) => [value, valueTwo & value]);
    return [...new Set([0n, word(-1n), ...values.flatMap(around), ...own.map(satisfying)])];
  });
  const plain = plainVectors(alternatives);
  const oneOff = plain.flatMap((vector) =>
    pools.flatMap((pool, index) => pool.map((value) => vector.with(index, value))),
  );
  const mixed = fc.tuple(...pools.map((pool) => fc.constantFrom(...pool)));
  return [...plain, ...oneOff, ...fc.sample(mixed, { numRuns: 64, seed: 1 })];
}

/**
 * Every number of every architecture, those that are not listed as well. The arguments are many where
 * rules ask for them, but few for a call about which the rules say what they say about one before it.
 * Where none asks there are none.
 */
export function callsFor({ architectures: listed, rules, refusals }: RuleSet): Call[] {
  const conditional = [...rules, ...refusals].filter(({ conditions }) => conditions.length > 0);
  const own = architectures.flatMap((architecture) => {
    const about = new Map<number, (readonly Condition[])[]>();
    for (const { names, conditions } of listed.includes(architecture) ? conditional : []) {
      for (const number of new Set(names.map((name) => syscallNumber(architecture, name) ?? -1))) {
        about.set(number, [...(about.get(number) ?? []), conditions]);
      }
    }
    const seen = new Set<string>();
    return [...new Set(numbersOf(architecture))].flatMap((nr) => {
      const alternatives = about.get(nr) ?? [];
      const key = alternatives.map(keyOf).join(" ");
      const vectorsOf = seen.has(key) ? plainVectors : manyVectors;
      seen.add(key);
      const vectors = alternatives.length === 0 ? [[]] : vectorsOf(alternatives);
      return vectors.map((args) => ({ nr, arch: auditArch[architecture], args }));
    });
  });
  const others = foreign.flatMap((arch) => edges.map((nr) => ({ nr, arch, args: [] })));
  return [...own, ...others];
}
