/**
 * The directory of a run of tests: what sbx keeps while they run, instead of the user's own cache and
 * configuration. `run.ts` makes one for all files; a test file that is started alone makes its own.
 */
import * as fs from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

const caches = process.env.XDG_CACHE_HOME ?? "";

/** What outlives a run, such as root filesystems that are made once. Others than the caller may pass. */
export function testCache(): string {
  const path = join(isAbsolute(caches) ? caches : join(homedir(), ".cache"), "sbx-test");
  fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  // The root directory of a sandbox must be searchable for ids other than the caller's.
  fs.chmodSync(path, 0o711);
  return path;
}

/**
 * Makes the directory of a run, which ends with the process. It is in the cache, not in /tmp: programs
 * must be executable there, and before Linux 6.6 upper directories need a file system with user xattrs.
 * Its configuration takes the way out away: what is no test of networks starts no helper.
 */
export function makeHome(): string {
  const path = fs.mkdtempSync(join(testCache(), "run."));
  process.on("exit", () => fs.rmSync(path, { recursive: true, force: true }));
  fs.mkdirSync(join(path, "config/sbx"), { recursive: true });
  fs.writeFileSync(join(path, "config/sbx/sbx.ini"), "[run]\nnetwork = none\n");
  return path;
}

/** Where sbx keeps things and looks for its configuration, in this process and those it starts. */
export function useHome(): void {
  const home = process.env.SBX_TEST_HOME ?? makeHome();
  // A test may start `run.ts` or a test file of its own.
  delete process.env.SBX_TEST_HOME;
  process.env.XDG_CACHE_HOME = join(home, "cache");
  process.env.XDG_CONFIG_HOME = join(home, "config");
  process.env.XDG_STATE_HOME = join(home, "state");
  process.env.XDG_DATA_HOME = join(home, "data");
  process.env.XDG_RUNTIME_DIR = join(home, "run");
  fs.mkdirSync(process.env.XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 });
  // Not every user has the places of nft, ip and pivot_root in PATH, as Debian sees it.
  process.env.PATH += ":/usr/sbin:/sbin";
}
