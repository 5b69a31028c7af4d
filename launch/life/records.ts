/**
 * The sandboxes of the caller's that are running, by the records that their programs keep
 * (launch/lower/record/record.ts). A record whose lock nobody holds was left behind by a monitor that was
 * killed, and is removed by whoever finds it.
 */
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { fail } from "../../spec/error.js";
import type { RunDirectory } from "../../spec/host.js";
import { isGivenName } from "../../spec/network-shape.js";
import { isSystemError } from "../facts/system-error.js";
import { isWholeSpec } from "./kept.js";
import { lockOf, readLocks } from "./locks.js";
import { objectIn, readPlain } from "./plain-file.js";
import type { Sandbox } from "./sandbox.js";
import { type Found, type Said, sweep } from "./sweep.js";

/** All that are running, in the order in which they were started. */
export async function listSandboxes(run: RunDirectory): Promise<Sandbox[]> {
  const directory = requireDirectory(run);
  const found = namesIn(directory).flatMap((name) => readRecord(join(directory, name)) ?? []);
  // After the records: one that is there and runs has been locked all the time.
  const locks = new Set(readLocks().map(({ pid, inode }) => lockOf(pid, inode)));
  const [whole, unfinished] = [found.filter(isWhole), found.filter((each) => !isWhole(each))];
  const running = whole.filter(
    ({ said, inode }) => said !== null && locks.has(lockOf(said.monitor, inode)),
  );
  const rest = whole.filter((each) => !running.includes(each));
  const locked = await sweep([...rest, ...unfinished.filter(isOld)]);
  if (rest.some(isReplaced)) return listSandboxes(run);
  return [...running, ...rest.filter((each) => locked.has(each.path))]
    .flatMap((each) => (each.said === null ? [] : sandboxOf(each.said, each.inode)))
    .sort((a, b) => a.started - b.started || (a.name < b.name ? -1 : 1));
}

/** Gives the record of a sandbox that runs another name, under which it is found from then on. */
export async function renameRecord(
  run: RunDirectory,
  { name }: Sandbox,
  to: string,
): Promise<void> {
  const { renameNoReplace } = await import("../native/file-calls.js");
  const directory = requireDirectory(run);
  try {
    renameNoReplace(join(directory, name), join(directory, to));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // ENOENT: it has ended.
    if (error.code === "EEXIST") {
      fail(`rename ${name}`, `a sandbox of the name ${to} is running`, "Choose another");
    }
    if (error.code !== "ENOENT") throw error;
  }
}

function requireDirectory(run: RunDirectory): string {
  if (run.path !== null) return join(run.path, "sandboxes");
  return fail(
    "look for running sandboxes",
    `there is no private directory for them: ${run.why}`,
    "Set XDG_RUNTIME_DIR to a directory of yours, of mode 0700, here and where they are started",
  );
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Null where it is gone by now, or is no file. */
function readRecord(path: string): Found | null {
  const file = readPlain(path);
  if (file === null) return null;
  const { inode, modifiedMs, text } = file;
  return { path, inode, modifiedMs, said: parse(text, basename(path)) };
}

/** One that was started again meanwhile has another record by now. */
function isReplaced({ path, inode }: Found): boolean {
  const now = readRecord(path);
  return now !== null && now.inode !== inode;
}

/** What is not yet whole has a dot before its name. */
const isWhole = ({ path }: Pick<Found, "path">) => !/\/\.[^/]*$/.test(path);

/** Nobody takes a minute from making the file to locking it. */
const isOld = ({ modifiedMs }: Found) => Date.now() - modifiedMs > 60_000;

/** Null where it is not what a program of ours has written. */
function parse(text: string, file: string): Said | null {
  const said = objectIn(text);
  const isSaid = isGivenName(`${said?.name}`) && Number.isSafeInteger(said?.version);
  if (!isSaid || !Number.isSafeInteger(said?.monitor)) return null;
  if (said?.version === 1 && !isWholeSpec(said.spec)) return null;
  return { ...(said as unknown as Said), name: file, firstName: `${said?.name}` };
}

function sandboxOf(said: Said, inode: number): Sandbox {
  if (said.version === 1) return { ...(said as Sandbox), inode };
  return fail(
    `read the record of the sandbox ${said.name}`,
    `it is of version ${said.version}`,
    "It was started by a later sbx: use that one",
  );
}
