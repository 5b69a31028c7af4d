import * as assert from "uvu/assert";
import {
  type CgroupDirectory,
  delegationCandidates,
  findDelegation,
  missingControllers,
  parseCgroups,
} from "../../cgroup/mode.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup/mode");

const v2 = "35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const root = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";
const session = "0::/user.slice/user-1000.slice/session-3.scope\n";

test("version 2 alone", () => {
  assert.equal(parseCgroups(session, root + v2), {
    mode: "v2",
    mountPoint: "/sys/fs/cgroup",
    directory: "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope",
    v1Controllers: [],
  });
  assert.is(parseCgroups("0::/\n", v2).directory, "/sys/fs/cgroup");
});

test("version 1, alone and with version 2 beside it", () => {
  const cgroup =
    "12:cpu,cpuacct:/user.slice\n4:memory:/\n1:name=systemd:/user.slice\n0::/user.slice\n";
  const v1 = "33 32 0:30 / /sys/fs/cgroup/memory rw shared:2 master:1 - cgroup cgroup rw,memory\n";
  const unified = v2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified");
  assert.equal(parseCgroups(cgroup, v1 + unified), {
    mode: "hybrid",
    mountPoint: "/sys/fs/cgroup/unified",
    directory: "/sys/fs/cgroup/unified/user.slice",
    v1Controllers: ["cpu", "cpuacct", "memory"],
  });
  const alone = parseCgroups(cgroup.replace("0::/user.slice\n", ""), root + v1);
  assert.equal([alone.mode, alone.mountPoint, alone.directory], ["v1", null, null]);
});

test("no cgroups, and nothing to read", () => {
  const nothing = { mode: "none", mountPoint: null, directory: null, v1Controllers: [] };
  assert.equal(parseCgroups("", root), nothing);
  assert.equal(parseCgroups("", ""), nothing);
});

test("a mount that shows a part of the hierarchy", () => {
  const part = v2.replace(" / /sys", " /docker/abc /sys");
  assert.is(parseCgroups("0::/docker/abc/x\n", part).directory, "/sys/fs/cgroup/x");
  assert.is(parseCgroups("0::/docker/abc\n", part).directory, "/sys/fs/cgroup");
  assert.is(parseCgroups("0::/docker/abcd\n", part).directory, null);
  assert.is(parseCgroups("0::/../other\n", v2).directory, null);
});

test("the mount that shows the caller is taken", () => {
  const other = v2.replace(" / /sys/fs/cgroup", " /pods /mnt/pods");
  assert.is(parseCgroups(session, other + v2).mountPoint, "/sys/fs/cgroup");
});

test("where to look for a delegated subtree", () => {
  assert.equal(delegationCandidates(parseCgroups(session, v2), 1000), {
    own: [
      "/sys/fs/cgroup",
      "/sys/fs/cgroup/user.slice",
      "/sys/fs/cgroup/user.slice/user-1000.slice",
      "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope",
    ],
    manager: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service",
  });
  assert.equal(delegationCandidates(parseCgroups("0::/\n", v2), 7)?.own, ["/sys/fs/cgroup"]);
  assert.equal(delegationCandidates(parseCgroups("0::/../x\n", v2), 7)?.own, []);
  assert.is(delegationCandidates(parseCgroups("", root), 1000), null);
});

const group = (path: string, writable: boolean, controllers: string | null): CgroupDirectory => ({
  path,
  writable,
  controllers,
});

test("the topmost group that can be written is delegated, the manager's last", () => {
  const manager = group("/m", true, "memory pids\n");
  const own = [group("/", false, "cpu io\n"), group("/a", true, "cpu\n"), group("/a/b", true, "")];
  assert.equal(findDelegation(own, manager), {
    path: "/a",
    controllers: ["cpu"],
    through: "own",
  });
  assert.equal(findDelegation(own.slice(0, 1), manager), {
    path: "/m",
    controllers: ["memory", "pids"],
    through: "manager",
  });
  assert.is(findDelegation(own.slice(0, 1), group("/m", false, null)), null);
});

test("what a subtree lacks", () => {
  assert.equal(missingControllers({ controllers: ["memory", "pids"] }), ["cpu", "cpuset", "io"]);
  assert.equal(
    missingControllers({ controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"] }),
    [],
  );
});

test.run();
