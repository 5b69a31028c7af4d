/** What a filter knows of a word after some tests, and which tests that answers. */

/**
 * Whether the word's bits in `mask` equal `value`, or, with `atLeast`, whether the word is at least
 * `value`; its mask is then 0xffffffff. All unsigned, 32 bits.
 */
export interface Test {
  readonly mask: number;
  readonly value: number;
  readonly atLeast: boolean;
}

export interface Facts {
  readonly least: number;
  readonly most: number;
  /** Values that the word does not have. */
  readonly not: ReadonlySet<number>;
  /** Comparisons of some of the bits, and whether they held. */
  readonly masked: readonly {
    readonly mask: number;
    readonly value: number;
    readonly holds: boolean;
  }[];
}

export const nothing: Facts = { least: 0, most: 0xffffffff, not: new Set(), masked: [] };

/** The answer to a test, or undefined where it is open. */
export function known({ least, most, not, masked }: Facts, test: Test): boolean | undefined {
  const { mask, value, atLeast } = test;
  if (atLeast) return least >= value ? true : most < value ? false : undefined;
  if (mask === 0) return true;
  if (least === most) return (least & mask) >>> 0 === value;
  if (mask === 0xffffffff && (value < least || value > most || not.has(value))) return false;
  for (const fact of masked) {
    // Where the bits that were compared are all among those in question, the value would say.
    const isCovered = (fact.mask & ~mask) === 0;
    if (isCovered && ((value & fact.mask) >>> 0 === fact.value) !== fact.holds) return false;
    if (fact.holds && (mask & ~fact.mask) === 0) return (fact.value & mask) >>> 0 === value;
  }
  return undefined;
}

/** The facts after an open test was answered. */
export function learn(facts: Facts, { mask, value, atLeast }: Test, holds: boolean): Facts {
  if (atLeast) return holds ? { ...facts, least: value } : { ...facts, most: value - 1 };
  if (mask !== 0xffffffff) return { ...facts, masked: [...facts.masked, { mask, value, holds }] };
  if (holds) return { ...nothing, least: value, most: value };
  return { ...facts, not: new Set(facts.not).add(value) };
}

/**
 * The mask of which `values` has all numbers that can be made of its bits, the one with the most
 * bits; null where there is none. That the other bits are clear is one test for all of them.
 */
export function fullMask(values: ReadonlySet<number>): number | null {
  const full = [...values].filter(
    (mask) => mask !== 0 && submasks(mask).every((one) => values.has(one)),
  );
  return full.length === 0
    ? null
    : full.reduce((a, b) => (bitsOf(b).length > bitsOf(a).length ? b : a));
}

function bitsOf(mask: number): number[] {
  return Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((bit) => (mask & bit) !== 0);
}

/** Few enough to look at each: a profile that lists more than 256 combinations has its own reasons. */
function submasks(mask: number): number[] {
  if (bitsOf(mask).length > 8) return [Number.NaN];
  const found = [mask];
  for (let one = mask; one !== 0; ) {
    one = ((one - 1) & mask) >>> 0;
    found.push(one);
  }
  return found;
}
