/** OCI mounts as steps, and flags added to what is mounted. */
import * as assert from "uvu/assert";
import { planMounts } from "../../rootfs/mounts.js";
import { restrictMount } from "../../rootfs/restrict.js";
import { defaultSpec } from "../../spec/default.js";
import type { Host } from "../../spec/host.js";
import type { Mount } from "../../spec/spec.js";
import { failureOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("mounts");
const old = { release: "5.4.0", major: 5, minor: 4 };

function planned(mount: Mount, host: Host = hostOf(), gids = (_: number) => true) {
  const { steps, notes } = planMounts({ ...defaultSpec("/r"), mounts: [mount] }, host, gids);
  return { actions: steps.map(({ action }) => action), notes };
}

test("options that are flags become flags, all others data", () => {
  const options = ["nosuid", "rw", "dev", "strictatime", "mode=755", "size=1k"];
  const { actions } = planned({ destination: "/x", type: "tmpfs", options });
  assert.equal(actions, [
    { kind: "mkdir", path: "/x", mode: 0o755 },
    {
      kind: "mount",
      source: "tmpfs",
      target: "/x",
      type: "tmpfs",
      flags: ["MS_NOSUID", "MS_STRICTATIME"],
      data: "mode=755,size=1k",
    },
  ]);
});

test("a gid that has no id outside is left out", () => {
  const mount = { destination: "/p", type: "devpts", options: ["gid=5", "mode=0620"] };
  const data = (gids: (gid: number) => boolean) => {
    const action = planned(mount, hostOf(), gids).actions[1];
    return action?.kind === "mount" ? action.data : null;
  };
  assert.is(
    data((gid) => gid === 5),
    "gid=5,mode=0620",
  );
  assert.is(
    data(() => false),
    "mode=0620",
  );
});

test("a bind takes its source from the old root, and its flags in a second step", () => {
  const mount = { destination: "/d", source: "/data", options: ["rbind", "ro", "noexec"] };
  assert.equal(planned(mount, hostOf({ kernel: { ...old, minor: 12 } })).actions.slice(1), [
    {
      kind: "mount",
      source: "./data",
      target: "/d",
      type: null,
      flags: ["MS_BIND", "MS_REC"],
      data: "",
    },
    { kind: "addMountFlags", target: "/d", flags: ["MS_RDONLY", "MS_NOEXEC"], recursive: true },
  ]);
});

test("a bind without a source is refused", () => {
  assert.match(
    failureOf(() => planned({ destination: "/d", options: ["bind"] })),
    "needs a source",
  );
});

test("what the host has not mounted cannot be shared, and is left out with a note", () => {
  const mount = { destination: "/dev/mqueue", source: "/dev/mqueue", options: ["rbind"] };
  const { actions, notes } = planned(mount, hostOf({ mounts: [] }));
  assert.equal(actions, []);
  assert.match(notes.join(), "no /dev/mqueue");
});

test("before mount_setattr each mount below is remounted, and none beside", () => {
  const at = (mountPoint: string) => ({ mountPoint, type: "ext4", options: [] });
  const host = hostOf({
    kernel: old,
    mounts: [at("/"), at("/data"), at("/data/a"), at("/data/a/b c"), at("/database")],
  });
  const targets = (source: string | null) =>
    restrictMount("mounts")(host, "/t", ["MS_RDONLY"], source).map(({ action }) => {
      assert.is(action.kind, "remount");
      return action.kind === "remount" ? action.target : "";
    });
  assert.equal(targets("/data"), ["/t", "/t/a", "/t/a/b c"]);
  assert.equal(targets("/"), ["/t", "/t/data", "/t/data/a", "/t/data/a/b c", "/t/database"]);
  assert.equal(targets(null), ["/t"]);
});

test.run();
