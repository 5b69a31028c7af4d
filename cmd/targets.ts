/** What is done to several sandboxes in one call: all are tried, and the errors told. */
import { writeSync } from "node:fs";
import type { SandboxEvent } from "../launch/life/events.js";
import type { Sandbox } from "../launch/life/sandbox.js";
import {
  callersPlaces,
  chooseView,
  listViews,
  requireRunning,
  type SandboxView,
} from "../launch/life/sandboxes.js";
import { fail, SbxError } from "../spec/error.js";
import { print } from "./print.js";
import { tell } from "./tell.js";

/** The running sandboxes that are named, in that order, and the status: 1 where one was not found. */
export async function findAll(
  names: readonly string[],
): Promise<{ found: Sandbox[]; status: number }> {
  const found: Sandbox[] = [];
  const status = await tryViews(names, (view) => {
    found.push(requireRunning(view));
  });
  return { found, status };
}

/** What `sbx events` is to tell. */
export type Deed = Pick<SandboxEvent, "action"> & Partial<Pick<SandboxEvent, "attributes">>;

/**
 * What `sbx WORD NAME…` does to each that is named, once, and `sbx WORD --all` to each that runs: to all at the same time.
 * Prints the names of those where it went well.
 */
export async function onEach(
  word: string,
  names: readonly string[],
  { all = false }: { readonly all?: boolean },
  act: (view: SandboxView) => Promise<Deed | undefined>,
): Promise<number> {
  if (all && names.length > 0) {
    fail(`${word} --all`, "names are given too", "Leave one of them out");
  }
  if (!all && names.length === 0) {
    fail(word, "no sandbox is named", `The form is sbx ${word} NAME…`);
  }
  const { views, damaged } = await listViews(callersPlaces(process.env));
  const chosen: SandboxView[] = all ? views.filter(({ record }) => record !== null) : [];
  const status = await tryAll(names, async (name) => {
    chosen.push(chooseView(views, damaged, name));
  });
  const carriedOut = [...new Set(chosen)].map((view) =>
    tryAll([view], async () => {
      const did = await act(view);
      print(`${view.name}\n`);
      if (did !== undefined) await tell(did.action, view, did.attributes);
    }),
  );
  return Math.max(status, ...(await Promise.all(carriedOut)));
}

/** Carries it out on each sandbox that is named, running or not. Gives 0, or 1 where one of them failed. */
export async function tryViews(
  names: readonly string[],
  act: (view: SandboxView) => void | Promise<void>,
): Promise<number> {
  const { views, damaged } = await listViews(callersPlaces(process.env));
  return tryAll(names, async (name) => act(chooseView(views, damaged, name)));
}

/** Gives 0, or 1 where one of them failed. */
export async function tryAll<T>(
  all: readonly T[],
  act: (each: T) => Promise<void>,
): Promise<number> {
  let status = 0;
  for (const each of all) {
    try {
      await act(each);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      writeSync(2, `${error.message}\n`);
      status = 1;
    }
  }
  return status;
}
