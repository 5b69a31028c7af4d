/** Changes the limits of a control group that processes are in: all that are asked for, or none. */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { earlierText, keptInstead } from "../../cgroup/earlier.js";
import type { LimitWrite } from "../../spec/actions/cgroup.js";
import { fail } from "../../spec/error.js";
import { isSystemError, unlessRefused } from "../facts/system-error.js";

/** A group, what is being done with it, for errors, and how to take back what was done. */
interface Change {
  readonly directory: string;
  readonly what: string;
  readonly undo: (() => void)[];
}

/**
 * Makes the writes to the group in `directory`, in their order, and reads back what the kernel keeps.
 * `controllers` are those that they need. Where one cannot be made, those before it are taken back, and an
 * `SbxError` says which it was. `what` is what is being done, for errors.
 */
export function updateLimits(
  directory: string,
  writes: readonly LimitWrite[],
  controllers: readonly string[],
  what: string,
): void {
  const change: Change = { directory, what, undo: [] };
  try {
    try {
      enable(change, controllers);
      for (const write of writes) limit(change, write);
    } catch (error) {
      for (const back of change.undo.reverse()) back();
      throw error;
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    fail(what, error.message, "It may have ended meanwhile");
  }
}

const read = (directory: string, file: string) => readFileSync(join(directory, file), "utf8");

/** Without O_CREAT, for which the kernel has another errno where there is no such file. */
function write(directory: string, file: string, text: string): void {
  const fd = openSync(join(directory, file), constants.O_WRONLY | constants.O_TRUNC);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** Null where there is no such file, or none that can be read. */
function readOrNull(directory: string, file: string): string | null {
  return unlessRefused(() => read(directory, file));
}

function attempt({ what }: Change, directory: string, file: string, text: string): void {
  try {
    write(directory, file, text);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    fail(
      `${what}: write ${text} to ${file}`,
      error.message,
      error.code === "ENOENT"
        ? "This kernel has no such limit"
        : "Nothing is changed; correct the value",
    );
  }
}

/** Controllers are given by the group above, in which no process is. */
function enable(change: Change, controllers: readonly string[]): void {
  const [directory, file] = [dirname(change.directory), "cgroup.subtree_control"];
  const names = (at: string) => read(at, "cgroup.controllers").trim().split(" ");
  const [there, delegated] = [names(change.directory), names(directory)];
  for (const name of controllers.filter((each) => !there.includes(each))) {
    if (!delegated.includes(name)) {
      fail(
        change.what,
        `the controller ${name} is not delegated to you`,
        "`sbx check` says how to mend that; it holds for sandboxes that are started then",
      );
    }
    attempt(change, directory, file, `+${name}`);
    change.undo.push(() => write(directory, file, `-${name}`));
  }
}

function limit(change: Change, { file, text, otherwise }: LimitWrite): void {
  const { directory, what, undo } = change;
  const before = readOrNull(directory, file);
  if (before === null && otherwise !== undefined) {
    if (otherwise !== null) limit(change, otherwise);
    return;
  }
  if (file === "memory.max") makeRoom(change, text);
  // A set of CPUs or nodes cannot be emptied again while somebody is in the group: kernel/cgroup/cpuset.c.
  const effective = before?.trim() === "" ? readOrNull(directory, `${file}.effective`) : null;
  attempt(change, directory, file, text);
  if (before !== null) {
    undo.push(() => write(directory, file, effective ?? earlierText(before, text)));
  }
  const kept = before === null ? null : keptInstead(file, text, read(directory, file));
  if (kept !== null) fail(`${what}: write ${text} to ${file}`, `the kernel made ${kept} of it`);
}

/**
 * A limit below what is used would have the kernel kill. memory.high at the same value has it take back what
 * it can and kill nothing: Documentation/admin-guide/cgroup-v2.rst of Linux.
 */
function makeRoom({ directory, what }: Change, text: string): void {
  const used = () => Number(read(directory, "memory.current"));
  if (!(used() > Number(text))) return;
  const high = read(directory, "memory.high");
  write(directory, "memory.high", text);
  try {
    if (!(used() > Number(text))) return;
    fail(
      what,
      `${used()} bytes of memory are in use that cannot be taken back, more than the limit of ${text}`,
      "Give a higher limit, or more swap with --memory-swap",
    );
  } finally {
    write(directory, "memory.high", high);
  }
}
