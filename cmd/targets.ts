/** What is done to several sandboxes in one call: all are tried, and the errors told. */
import { writeSync } from "node:fs";
import { findSandbox, type Sandbox } from "../launch/records.js";
import { callersRunDirectory } from "../launch/run-directory.js";
import { fail, SbxError } from "../spec/error.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";

/** The sandboxes that are named, in that order, and the status: 1 where one was not found. */
export async function findAll(
  names: readonly string[],
): Promise<{ found: Sandbox[]; status: number }> {
  const found: Sandbox[] = [];
  const status = await tryAll(names, async (name) => {
    found.push(await findSandbox(callersRunDirectory(process.env), name));
  });
  return { found, status };
}

/** The command line of `sbx WORD NAME…`: carries it out on each, prints the names of those where it went well. */
export async function onEach(
  word: string,
  argv: readonly string[],
  act: (sandbox: Sandbox) => void | Promise<void>,
): Promise<number> {
  const { words } = parseWords(argv, {});
  if (words.length === 0) fail(word, "no sandbox is named", `The form is sbx ${word} NAME…`);
  const run = callersRunDirectory(process.env);
  return tryAll(words, async (name) => {
    const sandbox = await findSandbox(run, name);
    await act(sandbox);
    print(`${sandbox.name}\n`);
  });
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
