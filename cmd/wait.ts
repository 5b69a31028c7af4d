/** `sbx wait`: until sandboxes have ended, or are in another state. */
import { callersPlaces, chooseView, listViews } from "../launch/life/sandboxes.js";
import { awaitCondition, type Condition, conditions } from "../launch/life/waiting.js";
import { fail, SbxError } from "../spec/error.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { tryAll } from "./targets.js";

/** What is printed where there is no exit code, as podman-wait(1) has it. */
const none = -1;

/** `argv` is what follows `wait`. Gives 0, or 1 where one of the sandboxes could not be had. */
export async function wait(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.wait.options);
  if (words.length === 0) fail("wait", "no sandbox is named", "The form is sbx wait NAME…");
  const wanted = (flags.condition ?? ["exited"]).map(readCondition);
  const places = callersPlaces(process.env);
  const { views, damaged } = await listViews(places);
  const waiting: { readonly sandbox: string; readonly exitCode: Promise<number | null> }[] = [];
  const status = await tryAll(words, async (word) => {
    try {
      const view = chooseView(views, damaged, word);
      waiting.push({ sandbox: view.name, exitCode: awaitCondition(places, view, wanted) });
    } catch (error) {
      if (flags.ignore !== true || !(error instanceof SbxError)) throw error;
      waiting.push({ sandbox: word, exitCode: Promise.resolve(null) });
    }
  });
  const ended = await Promise.all(
    waiting.map(async (each) => ({ ...each, exitCode: await each.exitCode })),
  );
  if (flags.json === true) print(`${JSON.stringify(ended, null, 2)}\n`);
  else for (const { exitCode } of ended) print(`${exitCode ?? none}\n`);
  return status;
}

function readCondition(word: string): Condition {
  return (
    conditions.find((each) => each === (word === "stopped" ? "exited" : word)) ??
    fail(`wait --condition ${word}`, "there is no such state", `There are ${conditions.join(", ")}`)
  );
}
