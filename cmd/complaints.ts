/** What yargs would say in several lines, or not at all, in the words of sbx. */
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { commands, shells, volumeCommands } from "./completion.js";

/**
 * The words for yargs, whose own complaints come in several lines, or are silence. `argv` is what
 * was given, where `words` say the same in another way.
 */
export function understood(words: readonly string[], argv: readonly string[]): readonly string[] {
  const [word, second] = words;
  const names = Object.keys(commands);
  if (word === undefined) {
    fail("no command is given", `there are ${names.join(", ")}`, "See sbx --help");
  }
  if (word === "--help" || word === "--version") return words;
  if (word.startsWith("-")) {
    fail(word, "no such option of sbx itself", "Options follow the command; see sbx --help");
  }
  if (!names.includes(word)) {
    const near = didYouMean(word, names);
    fail(argv[0] === "help" ? `help ${word}` : word, "no such command", near ?? "See sbx --help");
  }
  // Elsewhere what follows a command is its own.
  if (word !== "run" && word !== "create" && words.includes("--help")) return words;
  if (word === "explain" && second !== "run") {
    fail(
      argv.join(" "),
      "only a run can be explained",
      "The form is sbx explain run ROOTFS, as in sbx explain run --stage=spec / true",
    );
  }
  if (word === "volume" && !(volumeCommands as readonly (string | undefined)[]).includes(second)) {
    const all = `There are ${volumeCommands.join(", ")}`;
    if (second === undefined) fail("volume", "no command is given", all);
    fail(`volume ${second}`, "no such command", didYouMean(second, volumeCommands) ?? all);
  }
  if (word === "completion" && !(shells as readonly (string | undefined)[]).includes(second)) {
    const all = `There are ${shells.join(", ")}`;
    if (second === undefined) fail("completion", "no shell is named", all);
    fail(`completion ${second}`, "no such shell", didYouMean(second, shells) ?? all);
  }
  return words;
}

/** What else yargs does not understand, in one line. */
export function refuse(argv: readonly string[], message: string | null): never {
  const isWordMissing = message?.startsWith("Not enough non-option arguments") === true;
  fail(
    argv.join(" "),
    // Null for a word that is too much.
    isWordMissing
      ? "a word is missing after it"
      : message?.replace(/\s*\n\s*/g, ", ") || "is not understood",
    `See sbx ${argv[0]} --help`,
  );
}
