/** What the other files of this folder rely on. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";

const test = suite("laptop guest");

const said = (command: string) => {
  const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  assert.is(status, 0, stderr);
  return stdout.trim();
};

test.needs("laptop guest", "control groups are of version 2, with pressure and swap", () => {
  assert.is(said("stat -fc %T /sys/fs/cgroup"), "cgroup2fs");
  assert.match(
    fs.readFileSync("/sys/fs/cgroup/user.slice/memory.pressure", "utf8"),
    /^some avg10=/,
  );
  assert.match(fs.readFileSync("/sys/fs/cgroup/user.slice/memory.swap.max", "utf8"), "max");
  assert.match(fs.readFileSync("/proc/swaps", "utf8"), "/dev/vdc");
});

test.needs("laptop guest", "what is delegated differs from user to user", () => {
  const delegated = (uid: number) =>
    fs.readFileSync(
      `/sys/fs/cgroup/user.slice/user-${uid}.slice/user@${uid}.service/cgroup.controllers`,
      "utf8",
    );
  assert.is(delegated(1000), "cpuset cpu io memory pids\n");
  assert.is(delegated(1001), "cpu memory pids\n");
  assert.throws(() => delegated(1002), "ENOENT");
  assert.match(said("systemd-run --user --scope -q cat /proc/self/cgroup"), /user@1000\.service/);
});

test.needs("laptop guest", "names are asked of systemd-resolved", () => {
  assert.match(fs.readFileSync("/etc/resolv.conf", "utf8"), /^nameserver 127\.0\.0\.53$/m);
  assert.match(said("ip route"), "default via 10.0.2.2");
});

test.run();
