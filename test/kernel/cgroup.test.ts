/** Limits on whatever machine this is: they hold, or sbx says why they cannot, and without them nothing changes. */
import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { parseCgroups } from "../../cgroup/mode.js";
import { attempt, inside } from "../support/inside.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup");

const limited = ["--memory=64m", "--pids-limit=100"];

test.needs(
  ["user namespaces", "busybox"],
  "a limit holds, or is an error with its mend",
  async () => {
    const { mode } = parseCgroups(
      readFileSync("/proc/self/cgroup", "utf8"),
      readFileSync("/proc/self/mountinfo", "utf8"),
    );
    const { code, stdout, stderr } = await attempt(limited, "cat /sys/fs/cgroup/memory.max");
    if (code === 0) {
      assert.equal([mode, stdout], ["v2", "67108864\n"]);
      return;
    }
    assert.equal([code, stdout], [125, ""]);
    assert.match(stderr, /^sbx: limit resources: [^\n]+\n$/);
    if (mode !== "v2") assert.match(stderr, "systemd.unified_cgroup_hierarchy=1");
  },
);

test.needs(
  ["user namespaces", "busybox"],
  "without a limit there is no group of its own",
  async () => {
    const own = (text: string) => text.trim().split("\n").at(-1);
    const seen = await inside([], "cat /proc/self/cgroup; ls /sys/fs/cgroup");
    assert.is(own(seen), "0::/");
    const shared = await inside(["--cgroupns=host"], "cat /proc/self/cgroup");
    assert.is(own(shared), own(readFileSync("/proc/self/cgroup", "utf8")));
  },
);

test.run();
