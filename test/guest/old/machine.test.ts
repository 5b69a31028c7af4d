/** What the other files of this folder rely on. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { homedir } from "node:os";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";

const test = suite("old guest");

test.needs("old guest", "what newer hosts have is absent", () => {
  assert.match(fs.readFileSync("/proc/self/mountinfo", "utf8"), / - cgroup .*\bmemory\b/);
  assert.is(fs.readFileSync("/etc/subuid", "utf8"), "");
  assert.not(fs.existsSync("/dev/fuse"));
  assert.is(spawnSync("newuidmap").error?.message.includes("ENOENT"), true);
  const script = `${homedir()}/script`;
  fs.writeFileSync(script, "#!/bin/sh\n", { mode: 0o700 });
  assert.match(spawnSync(script).error?.message ?? "", "EACCES");
});

test.run();
