/** A question before something is removed. */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { isatty } from "node:tty";
import { fail } from "../spec/error.js";

/** Whether the user says yes to what `text` tells; fails, naming the command, where nobody is there. */
export async function confirm(command: string, text: string): Promise<boolean> {
  if (!isatty(0)) fail(command, "nobody is there to be asked", "Give --force");
  writeSync(2, text);
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await reader.question("Go on? [y/N] ")).trim());
  } finally {
    reader.close();
  }
}
