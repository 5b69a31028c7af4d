/** Where the records of running sandboxes are kept, by environment and by what is there. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { runDirectory } from "../../../launch/facts/run-directory.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("run directory");
const boot = () => "boot";
const directory = temporaryDirectory("run-directory");
const uid = process.getuid?.() ?? 0;
const place = (name: string, mode = 0o700) => {
  const path = join(directory, name);
  fs.mkdirSync(path, { recursive: true });
  fs.chmodSync(path, mode);
  return path;
};
const home = place("home");
const runtime = place("runtime");
const owner = { uid, home };

test("XDG_RUNTIME_DIR comes first", () => {
  assert.equal(runDirectory({ XDG_RUNTIME_DIR: runtime }, owner, boot), {
    path: join(runtime, "sbx"),
    base: runtime,
  });
});

test("without one it is a directory of this boot's in the state directory", () => {
  const expected = { path: join(home, ".local/state/sbx/run-boot"), base: home };
  assert.equal(
    runDirectory({}, owner, () => "boot\n"),
    expected,
  );
  assert.equal(runDirectory({ XDG_RUNTIME_DIR: "relative" }, owner, boot), expected);
  assert.equal(runDirectory({ XDG_RUNTIME_DIR: join(directory, "no") }, owner, boot), expected);
  const state = join(home, "state");
  assert.equal(runDirectory({ XDG_STATE_HOME: state }, owner, boot), {
    path: join(state, "sbx/run-boot"),
    base: home,
  });
});

test("a directory that others may write to is passed over, sticky or not", () => {
  for (const mode of [0o777, 0o1777]) {
    const shared = place(`shared-${mode}`, mode);
    const { path } = runDirectory({ XDG_RUNTIME_DIR: shared }, owner, boot);
    assert.is(path, join(home, ".local/state/sbx/run-boot"));
  }
});

test("one of another user is passed over", () => {
  const { path } = runDirectory({ XDG_RUNTIME_DIR: "/" }, { ...owner, uid: uid + 1 }, boot);
  assert.is(path, null);
});

test("where there is none it says why", () => {
  const why = (home: string, bootId: string | null = "boot") => {
    const run = runDirectory({}, { uid, home }, () => bootId);
    return run.path === null ? run.why : run.path;
  };
  assert.match(why("/nonexistent"), uid === 0 ? /^\/nonexistent/ : /^\/ belongs to uid 0$/);
  assert.match(why(place("open", 0o777)), /^others may write to .*open$/);
  assert.match(why(home, null), /boot_id cannot be read$/);
});

test.needs("unprivileged", "a directory that cannot be written to is none", () => {
  const run = runDirectory({}, { uid, home: place("closed", 0o500) }, boot);
  assert.match(run.path === null ? run.why : "", /closed\/.*access failed \(EACCES\)$/);
});

test.run();
