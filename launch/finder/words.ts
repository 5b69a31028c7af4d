/** Where the words of a command line end that a program is compiled for, as cmd/parse.ts has it. */
import { slot } from "../machine/builder.js";
import { type Finder, s } from "./state.js";

/** The options of a command, as far as the number of their words depends on it. */
export interface OptionWords {
  /** Long names of options that take a value, without dashes. */
  readonly valued: readonly string[];
  /** Letters of options that take none. */
  readonly switches: string;
}

/** The words are in memory one behind another: from the first one to before `wordsEnd`. */
export const words = slot("words");
export const wordsEnd = slot("wordsEnd");

const at = slot("wordAt");
const word = slot("word");
const name = slot("optionName");
const letter = slot("letter");
const entry = slot("optionEntry");

/**
 * From `run`, the program's first argument, to ROOTFS. A line that is wrong is nobody's key: how it is read
 * does not matter.
 */
export function findWords({ b }: Finder, { valued, switches }: OptionWords): void {
  const names = b.words("options", [...valued.map((each) => b.text(each)), 0], false);
  b.alu("add", at, s.stack, 16);
  b.load(8, words, at);
  b.branch(words, "eq", 0, "miss");
  b.set(s.left, words);
  b.set(s.right, b.text("run"));
  b.call("same");
  b.branch(s.result, "eq", 0, "miss");

  b.label("words.next");
  b.alu("add", at, at, 8);
  b.load(8, word, at);
  b.branch(word, "eq", 0, "words.rootfs");
  b.load(1, s.byte, word);
  b.branch(s.byte, "ne", "-".charCodeAt(0), "words.rootfs");
  b.load(1, letter, word, 1);
  b.branch(letter, "eq", 0, "words.rootfs");
  b.branch(letter, "eq", "-".charCodeAt(0), "words.long");
  b.branch(letter, "lt", "0".charCodeAt(0), "words.cluster");
  b.branch(letter, "le", "9".charCodeAt(0), "words.rootfs");

  b.label("words.cluster");
  b.alu("add", name, word, 1);
  b.label("words.letter");
  b.load(1, letter, name);
  b.alu("add", name, name, 1);
  for (const each of switches) b.branch(letter, "eq", each.charCodeAt(0), "words.switch");
  b.branch(letter, "eq", 0, "words.next");
  b.load(1, letter, name);
  b.branch(letter, "ne", 0, "words.next");
  b.jump("words.value");
  b.label("words.switch");
  b.load(1, letter, name);
  b.branch(letter, "eq", "=".charCodeAt(0), "words.next");
  b.jump("words.letter");

  b.label("words.long");
  b.load(1, letter, word, 2);
  b.branch(letter, "eq", 0, "words.separator");
  b.set(entry, names);
  b.label("words.option");
  b.load(8, s.right, entry);
  b.branch(s.right, "eq", 0, "words.next");
  b.alu("add", entry, entry, 8);
  b.alu("add", s.left, word, 2);
  b.call("same");
  b.branch(s.result, "eq", 0, "words.option");

  b.label("words.value");
  b.alu("add", at, at, 8);
  b.load(8, word, at);
  b.branch(word, "ne", 0, "words.next");
  b.jump("miss");

  b.label("words.separator");
  b.alu("add", at, at, 8);
  b.label("words.rootfs");
  b.load(8, word, at);
  b.branch(word, "eq", 0, "miss");
  b.alu("add", at, at, 8);
  b.load(8, wordsEnd, at, -8);
  b.label("words.last");
  b.load(1, s.byte, wordsEnd);
  b.alu("add", wordsEnd, wordsEnd, 1);
  b.branch(s.byte, "ne", 0, "words.last");
}
