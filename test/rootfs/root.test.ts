/** Which way of writing a rootfs gets which mounts. */
import * as assert from "uvu/assert";
import { escapeOverlayPath } from "../../launch/lower/rootfs/layers.js";
import { planRoot } from "../../rootfs/root.js";
import { defaultSpec } from "../../spec/default.js";
import type { Spec } from "../../spec/spec.js";
import type { ActionOf } from "../../spec/step.js";
import { failureOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("rootfs");
const current = { release: "6.6.0", major: 6, minor: 6 };
const before = { release: "6.5.0", major: 6, minor: 5 };
const spec = defaultSpec("/srv/debian");
const inPlace: Spec = { ...spec, sbx: { ...spec.sbx, writes: "in-place" } };

const kinds = (of: Spec, kernel = current) =>
  planRoot(of, hostOf({ kernel })).mount.map(({ action }) => action.kind);

function overlayOf(of: Spec, kernel = current) {
  const found = planRoot(of, hostOf({ kernel })).mount.find(
    (step): step is typeof step & { action: ActionOf<"overlay"> } => step.action.kind === "overlay",
  );
  return found?.action;
}

test("throw-away writes go to a tmpfs where it can hold them, else to disk, and the plan says so", () => {
  assert.is(overlayOf(spec)?.upper?.path, "/tmp/upper-root");
  assert.is(overlayOf(spec)?.upper?.volatile, false);
  const onDisk = planRoot(spec, hostOf({ kernel: before }));
  assert.is(overlayOf(spec, before)?.upper?.path, "/tmp/store/upper-root");
  assert.is(overlayOf(spec, before)?.upper?.volatile, true);
  assert.equal(
    onDisk.prepare.map(({ action }) => action.kind),
    ["chdir", "mkdir", "makeUpperStore"],
  );
  assert.match(onDisk.notes.join(), "/home/alice/.cache/sbx/uppers");
  assert.match(planRoot(spec, hostOf({ kernel: current })).notes.join(), "memory");
});

test("the merged root has the mode of the rootfs", () => {
  const rootfs = { ...hostOf().rootfs, mode: 0o711 };
  const action = planRoot(spec, hostOf({ rootfs })).mount.find(
    (step) => step.action.kind === "overlay",
  )?.action;
  assert.is(action?.kind === "overlay" && action.upper?.mode, 0o711);
});

test("in place there is no overlay, and no devices of the rootfs work", () => {
  assert.equal(kinds(inPlace), ["mount", "mount", "mkdir", "mount", "addMountFlags"]);
  const flags = planRoot(inPlace, hostOf({ kernel: current })).mount.at(-1)?.action;
  assert.equal(flags?.kind === "addMountFlags" && flags.flags, ["MS_NODEV"]);
});

test("read-only wins over in place", () => {
  const both = { ...inPlace, root: { ...inPlace.root, readonly: true } };
  const last = planRoot(both, hostOf({ kernel: current })).mount.at(-1)?.action;
  assert.equal(last?.kind === "addMountFlags" && last.flags, ["MS_RDONLY", "MS_NODEV"]);
});

test("every overlay tells how to do without it", () => {
  const hints = planRoot(spec, hostOf()).mount.find((s) => s.action.kind === "overlay")?.hints;
  for (const errno of ["EPERM", "ENODEV", "EINVAL", "EOPNOTSUPP"]) assert.ok(hints?.[errno], errno);
});

test("a root of the host's that cannot be listed is an error", () => {
  const rootfs = { ...hostOf().rootfs, path: "/" };
  assert.match(
    failureOf(() => planRoot({ ...spec, root: { path: "/" } }, hostOf({ rootfs }))),
    "top-level directories",
  );
});

test("the host's files show as nobody only where its root has no id", () => {
  const rootfs = { ...hostOf().rootfs, path: "/", directories: { "/": [] } };
  const notes = (hostRootMapped: boolean) =>
    planRoot(spec, hostOf({ rootfs, kernel: current }), {
      rootIsCaller: true,
      callerMapped: true,
      hostRootMapped,
    }).notes.join();
  assert.match(notes(false), "show as nobody");
  assert.not.match(notes(true), "show as nobody");
});

test("separators in the paths of an overlay are escaped", () => {
  assert.is(escapeOverlayPath("/a,b:c\\d e"), "/a\\,b\\:c\\\\d e");
});

test.run();
