/** OCI mounts as steps, and flags added to what is mounted. */
import * as assert from "uvu/assert";
import { planMounts } from "../../rootfs/mounts.js";
import { restrictMount } from "../../rootfs/restrict.js";
import { defaultSpec } from "../../spec/default.js";
import type { Host } from "../../spec/host.js";
import type { Mount } from "../../spec/spec.js";
import type { Step } from "../../spec/step.js";
import { failureOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("mounts");
const old = { release: "5.4.0", major: 5, minor: 4 };
const recent = hostOf({ kernel: { ...old, minor: 12 } });

const actionsOf = (steps: readonly Step[]) => steps.map(({ action }) => action);

function planned(mounts: Mount[], host: Host = hostOf(), gidMapped = (_: number) => true) {
  const ids = { uid: 7, gid: 8, gidMapped };
  const plan = planMounts({ ...defaultSpec("/r"), mounts }, host, ids);
  const [open, staged, attach] = [plan.open, plan.staged, plan.attach].map(actionsOf);
  return { ...plan, open, staged, attach };
}

test("options that are flags become flags, all others data", () => {
  const options = ["nosuid", "rw", "dev", "strictatime", "mode=755", "size=1k"];
  const { staged, attach } = planned([{ destination: "/x", type: "tmpfs", options }]);
  assert.equal(staged, [
    { kind: "mkdir", path: "/tmp/mounts/0", mode: 0o755, isNew: true },
    {
      kind: "mount",
      source: "tmpfs",
      target: "/tmp/mounts/0",
      type: "tmpfs",
      flags: ["MS_NOSUID", "MS_STRICTATIME"],
      data: "mode=755,size=1k",
      destination: "/x",
    },
  ]);
  assert.equal(attach, [{ kind: "attach", staged: "/tmp/mounts/0", path: "/x", what: "a tmpfs" }]);
});

test("a gid that has no id outside is left out", () => {
  const mount = { destination: "/p", type: "devpts", options: ["gid=5", "mode=0620"] };
  const data = (gids: (gid: number) => boolean) => {
    const action = planned([mount], hostOf(), gids).staged?.[1];
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

test("a bind gets its source as the caller, then its propagation, owner and flags, then its place", () => {
  const mount = { destination: "/d", source: "/data", options: ["rbind", "ro", "noexec", "U"] };
  const { open, staged, attach } = planned([mount], recent);
  assert.equal(open, [{ kind: "openSource", number: 0, path: "/data" }]);
  const target = "/tmp/mounts/0";
  assert.equal(staged, [
    { kind: "bindSource", number: 0, path: "/data", target, recursive: true, destination: "/d" },
    {
      kind: "mount",
      source: "none",
      target,
      type: null,
      flags: ["MS_PRIVATE", "MS_REC"],
      data: "",
    },
    { kind: "chownTree", path: "/data", target, uid: 7, gid: 8 },
    { kind: "addMountFlags", target, flags: ["MS_RDONLY", "MS_NOEXEC"], recursive: true },
  ]);
  assert.equal(attach, [{ kind: "attach", staged: target, path: "/d", what: "/data" }]);
});

test("an anonymous volume is a directory of the store", () => {
  const { open, staged } = planned([{ destination: "/d", type: "volume" }]);
  assert.equal(open, []);
  assert.equal(staged?.slice(0, 3), [
    { kind: "mkdir", path: "/tmp/store/volume-0", mode: 0o755, isNew: true },
    { kind: "mkdir", path: "/tmp/mounts/0", mode: 0o755, isNew: true },
    {
      kind: "mount",
      source: "/tmp/store/volume-0",
      target: "/tmp/mounts/0",
      type: null,
      flags: ["MS_BIND"],
      data: "",
      destination: "/d",
    },
  ]);
});

test("what cannot be meant is refused", () => {
  const refused = (mount: Omit<Mount, "destination">) =>
    failureOf(() => planned([{ destination: "/d", ...mount }]));
  assert.match(refused({ options: ["bind"] }), "absolute path as its source");
  assert.match(refused({ type: "bind", source: "data" }), "absolute path as its source");
  assert.match(refused({ type: "bind", source: "/x", options: ["size=1k"] }), "no option size=1k");
  assert.match(refused({ type: "tmpfs", options: ["U"] }), "U changes owners");
  assert.match(refused({}), "has no type");
});

test("what the host has not mounted cannot be shared, and is left out with a note", () => {
  const shared = { destination: "/dev/mqueue", source: "/dev/mqueue", options: ["rbind"] };
  const { staged, attach, notes } = planned([shared], hostOf({ mounts: [] }));
  assert.equal([staged, attach], [[], []]);
  assert.match(notes.join(), "no /dev/mqueue");
  const own = { destination: "/data", source: "/data", options: ["rbind"] };
  assert.is(planned([own], hostOf({ mounts: [] })).attach?.length, 1);
});

test("before mount_setattr each mount below is remounted, and none beside; a note says so", () => {
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
  const mount = { destination: "/d", source: "/data", options: ["rbind", "ro"] };
  assert.match(planned([mount], host).notes.join(), "/d is read-only with the mounts below it");
  assert.equal(planned([mount], recent).notes, []);
});

test("flags are not for mounts that come later, which a note says where they can come", () => {
  const mount = { destination: "/d", source: "/data" };
  for (const option of ["slave", "rslave", "rshared"]) {
    const { notes } = planned([{ ...mount, options: ["rbind", "ro", option] }], recent);
    assert.match(notes.join(), "what this machine mounts below /data later is shown in /d");
  }
  assert.equal(planned([{ ...mount, options: ["rbind", "rprivate"] }], recent).notes, []);
});

test.run();
