/** Whether a condition of 64 bits holds, by tests of words of 32 bits. */
import { assertNever } from "../spec/assert-never.js";
import { type Facts, known, nothing, type Test } from "./facts.js";
import { offsets } from "./instruction.js";
import type { Condition } from "./rules.js";

/** What is known of each word, by its offset. */
export type Knowledge = ReadonlyMap<number, Facts>;

/** A test of the word at `offset`. */
export interface Question extends Test {
  readonly offset: number;
}

/** Whether something holds, or what has to be asked next to know. */
export type Answer = boolean | Question;

export function ask({ index, op, value, valueTwo }: Condition, knowledge: Knowledge): Answer {
  switch (op) {
    case "EQ":
      return isEqual(knowledge, index, value, allBits);
    case "NE":
      return not(isEqual(knowledge, index, value, allBits));
    case "MASKED_EQ":
      return isEqual(knowledge, index, valueTwo, value);
    case "GE":
      return isAtLeast(knowledge, index, value);
    case "GT":
      return isAtLeast(knowledge, index, value + 1n);
    case "LT":
      return not(isAtLeast(knowledge, index, value));
    case "LE":
      return not(isAtLeast(knowledge, index, value + 1n));
    default:
      return assertNever(op);
  }
}

const allBits = 0xffffffffffffffffn;
const high = (number: bigint) => Number(number >> 32n);
const low = (number: bigint) => Number(number & 0xffffffffn);

/** What has to be asked stays the same. */
function not(answer: Answer): Answer {
  return typeof answer === "boolean" ? !answer : answer;
}

function askWord(knowledge: Knowledge, offset: number, test: Test): Answer {
  return known(knowledge.get(offset) ?? nothing, test) ?? { ...test, offset };
}

function isEqual(knowledge: Knowledge, index: number, wanted: bigint, mask: bigint): Answer {
  const value = wanted & mask;
  const above = { mask: high(mask), value: high(value), atLeast: false };
  const answer = askWord(knowledge, offsets.high(index), above);
  if (answer !== true) return answer;
  const below = { mask: low(mask), value: low(value), atLeast: false };
  return askWord(knowledge, offsets.low(index), below);
}

function isAtLeast(knowledge: Knowledge, index: number, least: bigint): Answer {
  if (least > allBits) return false;
  const from = (offset: number, value: number) =>
    askWord(knowledge, offset, { mask: 0xffffffff, value, atLeast: true });
  // More than the high half of `least` is enough, where there is a number that is more.
  const isWhole = low(least) === 0;
  const above = high(least) + (isWhole ? 0 : 1);
  const answer = above > 0xffffffff ? false : from(offsets.high(index), above);
  if (answer !== false || isWhole) return answer;
  const same = { mask: 0xffffffff, value: high(least), atLeast: false };
  const isSame = askWord(knowledge, offsets.high(index), same);
  return isSame === true ? from(offsets.low(index), low(least)) : isSame;
}
