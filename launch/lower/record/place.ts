/** Where the record is, in the directory of all of them, and under which names. */
import { dirname } from "node:path";
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
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

/** Below `base` all may be gone: it is made where it is missed. */
export function openDirectory(
  { b }: Context,
  { directory: path, base }: ActionOf<"keepRecord">,
): void {
  const open = b.fresh("records");
  const made: string[] = [];
  for (let each = path; each !== base; each = dirname(each)) made.unshift(each);
  const flags = k("O_PATH", "O_CLOEXEC");
  b.attempt("openat", [k("AT_FDCWD"), b.text(path), flags, 0], directory);
  b.branch(directory, "ge", 0, open);
  for (const each of made) {
    b.ignore("opening it tells", "mkdirat", [k("AT_FDCWD"), b.text(each), constant("0700", 0o700)]);
  }
  b.must("openat", [k("AT_FDCWD"), b.text(path), flags, 0], directory);
  b.label(open);
}
