/**
 * A tree outside of every sandbox, which none may change, read or show. Escape tests try to lead sbx
 * there, and look at it afterwards.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { testCache } from "./home.js";
import { temporaryDirectory } from "./inside.js";
import { copyBusyboxRootfs } from "./rootfs.js";
import { type SbxResult, sbx } from "./sandbox.js";

export interface Canary {
  /** Absolute, without links. */
  readonly path: string;
  /** Fails where the tree has been changed or read since it was made, or `output` has of its text. */
  check(output: string): void;
}

const files = ["file", "directory/file"];
const directories = ["directory", "empty", "."];

/** Long ago: with relatime, a read moves an access time that is older than a day. */
const past = new Date("2001-02-03T04:05:06Z");

/** Has files with the text in them, a directory, an empty one and a link. */
export function makeCanary(text = `canary-${process.pid}`): Canary {
  // Not in /tmp, which the sandbox's own tmpfs covers while the root is put together.
  const parent = fs.mkdtempSync(join(fs.realpathSync(testCache()), "canary-"));
  process.on("exit", () => fs.rmSync(parent, { recursive: true, force: true }));
  const path = join(parent, "outside");
  fs.mkdirSync(join(path, "directory"), { recursive: true });
  fs.mkdirSync(join(path, "empty"));
  for (const each of files) fs.writeFileSync(join(path, each), text);
  fs.symlinkSync("file", join(path, "link"));
  for (const each of [...files, ...directories]) fs.utimesSync(join(path, each), past, past);
  // What is made or removed changes the times of its directory.
  const state = () =>
    [...files, "link", ...directories].map((each) => {
      const s = fs.lstatSync(join(path, each));
      return `${each} ${s.mode} ${s.uid} ${s.nlink} ${s.size} ${s.atimeMs} ${s.mtimeMs} ${s.ctimeMs}`;
    });
  const before = state();
  const check = (output: string) => {
    assert.equal(state(), before);
    assert.not.match(output, text);
  };
  return { path, check };
}

let home: string | null = null;
let rootfsCount = 0;

/** A busybox rootfs of a test's own. */
export function hostileRootfs(change: (rootfs: string) => void): string {
  home ??= temporaryDirectory("hostile");
  const rootfs = join(home, `rootfs-${++rootfsCount}`);
  copyBusyboxRootfs(rootfs);
  change(rootfs);
  return rootfs;
}

/** Puts something else in the place of a path: `make` is given the path, where nothing is then. */
export function replace(path: string, make: (path: string) => void): void {
  fs.rmSync(path, { recursive: true, force: true });
  fs.mkdirSync(join(path, ".."), { recursive: true });
  make(path);
}

/**
 * Starts a sandbox, which may work or be refused by sbx in words of its own, and looks at the canary.
 * Gives what came of it.
 */
export async function survives(canary: Canary, words: readonly string[]): Promise<SbxResult> {
  const result = await sbx(["run", ...words], { timeoutMs: 60_000 });
  const shown = `sbx run ${words.join(" ")}\n${result.stdout}${result.stderr}`;
  canary.check(shown.replaceAll(canary.path, ""));
  assert.is(result.signal, null, shown);
  if (result.code === 125) assert.match(result.stderr, /^sbx: [^\n]+\n$/, shown);
  return result;
}
