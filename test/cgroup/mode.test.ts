import * as assert from "uvu/assert";
import {
  findDelegation,
  missingControllers,
  ownGroups,
  parentGroup,
  parseCgroups,
} from "../../cgroup/mode.js";
import type { CgroupDirectory } from "../../spec/host-cgroup.js";
import { hostOf } from "../support/fixture.js";
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
    guardsLimits: true,
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
    guardsLimits: true,
  });
  const alone = parseCgroups(cgroup.replace("0::/user.slice\n", ""), root + v1);
  assert.equal([alone.mode, alone.mountPoint, alone.directory], ["v1", null, null]);
});

test("no cgroups, and nothing to read", () => {
  const nothing = {
    mode: "none",
    mountPoint: null,
    directory: null,
    v1Controllers: [],
    guardsLimits: false,
  };
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

test("the caller's groups that can be divided are those below the last slice", () => {
  const groups = (cgroup: string) => ownGroups(parseCgroups(cgroup, v2));
  assert.equal(groups(session), ["/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope"]);
  assert.equal(groups("0::/user.slice/user@7.service/app.slice/run-1.scope/below\n"), [
    "/sys/fs/cgroup/user.slice/user@7.service/app.slice/run-1.scope/below",
    "/sys/fs/cgroup/user.slice/user@7.service/app.slice/run-1.scope",
  ]);
  assert.equal(groups("0::/user.slice\n"), []);
  assert.equal(groups("0::/init.scope\n"), ["/sys/fs/cgroup/init.scope", "/sys/fs/cgroup"]);
  assert.equal(groups("0::/\n"), ["/sys/fs/cgroup"]);
  assert.equal(groups("0::/../x\n"), []);
  assert.equal(ownGroups(parseCgroups("", root)), []);
});

test("a parent is a path of groups, or of the host that leads to one", () => {
  const at = "/sys/fs/cgroup/batch/7";
  for (const parent of ["batch/7", "/batch/7", at]) {
    assert.is(parentGroup("/sys/fs/cgroup", parent), at);
  }
  assert.is(parentGroup("/sys/fs/cgroup", "/sys/fs/cgroup"), "/sys/fs/cgroup");
});

const group = (path: string, writable: boolean, isVacant = true): CgroupDirectory => ({
  path,
  writable,
  controllers: ["cpu"],
  isVacant,
});

test("what the user's systemd has comes first, then a group that nobody else is in", () => {
  const { cgroup } = hostOf();
  const found = findDelegation(cgroup);
  assert.equal([found?.through, found?.path], ["manager", cgroup.manager?.path]);
  const own = [group("/a/b", true, false), group("/a", true), group("/", true)];
  const around = (groups: CgroupDirectory[]) =>
    findDelegation({ ...cgroup, own: groups, manager: null });
  assert.equal([around(own)?.through, around(own)?.path], ["own", "/a"]);
  assert.is(around(own.slice(0, 1))?.path, "/a/b");
  assert.is(around([group("/a", false)]), null);
});

test("what a subtree lacks", () => {
  assert.equal(missingControllers({ controllers: ["memory", "pids"] }), ["cpu", "cpuset", "io"]);
  assert.equal(
    missingControllers({ controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"] }),
    [],
  );
});

test.run();
