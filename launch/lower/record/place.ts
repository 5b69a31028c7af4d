/** Where the record is, in the directory of all of them, and under which names. */
import { slot } from "../../machine/builder.js";
import { actionOf, type Context } from "../context.js";
import { lifeOf } from "../life/life.js";
import { idOf } from "../text/id.js";

/** The address of the sandbox's id, which stays the same in the background. */
export const shownId = slot("shownId");
/** The address of the sandbox's name, which is also that of its record. */
export const sandboxName = slot("sandboxName");
/** The address of the name before that. */
export const temporary = slot("temporaryName");
/** The directory of all records. */
export const directory = slot("recordsFd");
/** The record, -1 as long as there is none. */
export const record = slot("recordFd");

/** None where nothing is written down of the sandbox. */
export const recordStep = (c: Context) => actionOf(c, "keepRecord");

/** Before any step; from here on `sandboxName` is known. */
export function recordState(c: Context): void {
  const action = recordStep(c);
  if (action === undefined) return;
  const { b } = c;
  b.set(directory, -1);
  b.set(record, -1);
  b.set(temporary, c.memory.dottedId);
  b.set(shownId, lifeOf(c) === undefined ? idOf(c) : b.text(lifeOf(c)?.id ?? ""));
  b.set(sandboxName, action.name === null ? shownId : b.text(action.name));
}
