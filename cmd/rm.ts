/**
 * `sbx rm` and `sbx prune`: remove what is kept, whoever owns the files in it. A word with a slash is a
 * kept upper, any other a sandbox.
 */
import * as fs from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isSystemError } from "../launch/facts/system-error.js";
import { stop } from "../launch/life/ending.js";
import { removeKept } from "../launch/life/kept-remove.js";
import {
  callersPlaces,
  chooseView,
  isMeant,
  listViews,
  requireTold,
  type SandboxView,
} from "../launch/life/sandboxes.js";
import { removeTrees } from "../launch/process/mapped.js";
import { readUpperRecord, recordOf, workOf } from "../launch/store/kept-upper.js";
import { fail } from "../spec/error.js";
import { signalNumbers } from "../spec/linux.js";
import { confirm } from "./confirm.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { tryAll } from "./targets.js";
import { tell } from "./tell.js";
import { readFilters } from "./view-filters.js";

/** `argv` is what follows `rm`. Gives 0, or 1 where some of several sandboxes could not be removed. */
export async function rm(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.rm.options);
  const { all = false, force = false } = flags;
  if (all && words.length > 0) fail("rm --all", "names are given too", "Leave one of them out");
  if (!all && words.length === 0) fail("rm", "nothing is named", "The form is sbx rm NAME|UPPER…");
  const uppers = words.filter((word) => word.includes("/"));
  if (uppers.length > 0) await removeUppers(uppers);
  const names = words.filter((word) => !word.includes("/"));
  return names.length === 0 && !all ? 0 : removeSandboxes(all ? null : names, force);
}

/** How often is looked again at what another command is changing, and after how long. */
const mostLooks = 20;
const lookMs = 100;

/** All that are kept, where no names are given. */
async function removeSandboxes(
  given: readonly string[] | null,
  force: boolean,
  looks = mostLooks,
): Promise<number> {
  const { data, run } = callersPlaces(process.env);
  const { views, damaged } = await listViews({ data, run });
  const names = given ?? views.flatMap(({ kept }) => kept?.id ?? []);
  const doomed: { id: string; name: string; directory: string }[] = [];
  const status = await tryAll(names, async (word) => {
    const broken = damaged.find(({ id }) => id === word);
    if (broken !== undefined) {
      doomed.push({ id: word, name: word, directory: broken.directory });
      return;
    }
    // As with podman, --force is content where there is nothing to remove.
    if (force && !views.some((view) => isMeant(view, word))) return;
    const view = chooseView(views, damaged, word);
    if (doomed.some(({ id }) => id === view.id)) return;
    await endFirst(view, force);
    if (view.kept === null) print(`${view.name}\n`);
    else doomed.push(view.kept);
  });
  const busy = await removeKept(data, doomed);
  await tellRemoved(doomed, busy);
  if (busy.length > 0 && looks > 0) {
    // It is just being started, for one: then it runs, or is gone.
    await sleep(lookMs);
    const ids = busy.map(({ id }) => id);
    return Math.max(status, await removeSandboxes(ids, force, looks - 1));
  }
  return Math.max(
    status,
    await tryAll(busy, async ({ name }) => {
      fail(`remove ${name}`, "it is being started, or changed by another command", "Try again");
    }),
  );
}

/** What runs is left alone, or killed. */
async function endFirst(view: SandboxView, force: boolean): Promise<void> {
  const { name, status, record } = view;
  if (status === "created" || status === "exited") return;
  if (!force) fail(`remove ${name}`, `it is ${status}`, "Stop it first, or give --force");
  requireTold(view);
  if (record === null) return;
  const { SIGKILL = 9, SIGTERM = 15 } = signalNumbers;
  // Nothing is there to be killed of one that waits for its next start.
  await stop(record, status === "restarting" ? SIGTERM : SIGKILL, 1000);
}

/** Gives up, before anything is removed, where one of them is no upper of sbx's or is in use. */
async function removeUppers(uppers: readonly string[]): Promise<void> {
  const { tryLock } = await import("../launch/native/file-calls.js");
  const locked = uppers.map((path) => {
    const upper = resolve(path);
    const what = `remove the upper ${path}`;
    const fd = openDirectory(upper, what);
    if (readUpperRecord(upper) === null) {
      if (fd === null) fail(what, "there is no such directory (ENOENT)", "Correct the path");
      fail(
        what,
        `it is no upper of a sandbox: there is no ${recordOf(upper)}`,
        "Give a directory that --upper named. `sbx unshare` has a shell that may remove other files of a sandbox's ids",
      );
    }
    if (fd !== null && !tryLock(fd)) fail(what, "a sandbox is using it", "End that first");
    return { upper, fd };
  });
  for (const { upper, fd } of locked) {
    // The record last: what is interrupted can be done again.
    removeTrees([upper]);
    removeTrees([workOf(upper)]);
    if (fd !== null) fs.closeSync(fd);
  }
}

/** Null where it is gone already. */
function openDirectory(path: string, what: string): number | null {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  try {
    return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === "ENOENT") return null;
    return fail(what, error.message, "Give the directory of the upper itself, and no link to it");
  }
}

/** `argv` is what follows `prune`. */
export async function prune(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.prune.options);
  if (words.length > 0) fail(`prune ${words.join(" ")}`, "takes no names", "sbx rm does");
  const { data, run } = callersPlaces(process.env);
  const { views } = await listViews({ data, run });
  const isChosen = readFilters(flags.filter ?? [], views);
  const stopped = views.flatMap((view) => {
    const isOver = view.status === "created" || view.status === "exited";
    return isOver && view.kept !== null && isChosen(view) ? [view.kept] : [];
  });
  const what =
    "All these sandboxes, which do not run, will be removed with what they have written:\n";
  const names = stopped.map(({ name }) => `  ${name}\n`).join("");
  if (flags.force !== true && !(await confirm("prune", what + names))) return 0;
  // What somebody has started meanwhile stays.
  const busy = await removeKept(data, stopped);
  await tellRemoved(stopped, busy);
  return 0;
}

async function tellRemoved<T extends { id: string; name: string }>(
  doomed: readonly T[],
  busy: readonly T[],
): Promise<void> {
  for (const each of doomed.filter((one) => !busy.includes(one))) {
    print(`${each.name}\n`);
    await tell("remove", each);
  }
}
