/** `sbx pause` and `sbx unpause`: on sandboxes as a whole, by their control groups. */
import { freeze } from "../launch/life/control-group.js";
import { requireRunning } from "../launch/life/sandboxes.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { onEach } from "./targets.js";

/** `argv` is what follows `pause`. Both give 0, or 1 where one of the sandboxes could not be had. */
export const pause = (argv: readonly string[]) => freezeAll("pause", argv, true);
export const unpause = (argv: readonly string[]) => freezeAll("unpause", argv, false);

function freezeAll(
  word: "pause" | "unpause",
  argv: readonly string[],
  frozen: boolean,
): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands[word].options);
  return onEach(word, words, flags, async (view) => {
    await freeze(requireRunning(view), frozen);
    return { action: word };
  });
}
