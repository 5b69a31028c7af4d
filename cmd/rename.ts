/** `sbx rename`: another name for a sandbox, kept or running. */

import { renameKept } from "../launch/life/kept-create.js";
import { holderOf } from "../launch/life/kept-names.js";
import { renameRecord } from "../launch/life/records.js";
import { callersPlaces, findView, runningNames } from "../launch/life/sandboxes.js";
import { fail } from "../spec/error.js";
import { isFreeName, networkWords, whatNamesAre } from "../spec/network-shape.js";
import { parseWords } from "./parse.js";
import { tell } from "./tell.js";

/** `argv` is what follows `rename`. */
export async function rename(argv: readonly string[]): Promise<number> {
  const { words } = parseWords(argv, {});
  const [from, to, ...more] = words;
  const what = ["rename", ...argv].join(" ");
  if (from === undefined || to === undefined || more.length > 0) {
    fail(what, "the form is sbx rename NAME NEW");
  }
  if (!isFreeName(to)) {
    fail(what, `a name is ${whatNamesAre}, and none of ${networkWords.join(", ")}`);
  }
  const places = callersPlaces(process.env);
  const { kept, record, name, id } = await findView(places, from);
  if (name === to) fail(what, "it has that name already");
  const isTaken = await runningNames(places.run);
  if (kept !== null) await renameKept(places.data, kept, to, isTaken);
  else if (isTaken(to) || holderOf(places.data, to) !== null) {
    fail(what, "a sandbox of that name is there already", "Choose another");
  }
  if (record !== null) await renameRecord(places.run, record, to);
  await tell("rename", { id, name: to }, { oldName: name });
  return 0;
}
