/** Which way layers are joined, from facts of machines that are not at hand. */
import * as assert from "uvu/assert";
import { chooseRung } from "../../rootfs/ladder.js";
import { contains, filesystemOf } from "../../rootfs/paths.js";
import { planRoot } from "../../rootfs/root.js";
import { defaultSpec } from "../../spec/default.js";
import type { Host } from "../../spec/host.js";
import type { OverlayKind, SbxKeys, Spec } from "../../spec/spec.js";
import { failureOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("ladder");

const kernel = (major: number, minor: number) => ({ release: `${major}.${minor}.0`, major, minor });
const current = kernel(6, 18);
const noFuse: Host["fuse"] = { device: false, overlayfs: null };

const specOf = (keys: Partial<SbxKeys> = {}): Spec => {
  const spec = defaultSpec("/srv/debian");
  return { ...spec, sbx: { ...spec.sbx, ...keys } };
};
const at = (mountPoint: string, type: string) => ({ mountPoint, type, options: [] });
const mounts = [
  at("/", "ext4"),
  at("/home", "nfs4"),
  at("/scratch", "lustre"),
  at("/over", "overlay"),
  at("/ssh", "fuse.sshfs"),
  at("/ram", "tmpfs"),
];
const keeping = (upper: string, keys: Partial<SbxKeys> = {}) =>
  specOf({ writes: "upper", upper, ...keys });

test("a current kernel's own overlay comes first, and needs no word", () => {
  assert.equal(chooseRung(specOf(), hostOf({ kernel: current })), { kind: "kernel", why: null });
});

test("before Linux 5.11 it is fuse-overlayfs, without that a bind, and the reasons are told", () => {
  const old = kernel(5, 10);
  const fuse = chooseRung(specOf(), hostOf({ kernel: old }));
  assert.is(fuse.kind, "fuse");
  assert.match(fuse.why ?? "", "5.11");
  const none = planRoot(specOf(), hostOf({ kernel: old, fuse: noFuse }));
  assert.match(
    none.warnings.join(),
    /read-only: the kernel is 5\.10.*\/run, \/tmp, \/var\/tmp can/,
  );
  assert.equal(
    none.inside.flatMap(({ action }) => (action.kind === "attach" ? [action.path] : [])),
    ["/run", "/tmp", "/var/tmp"],
  );
});

test("before Linux 4.18 fuse cannot be mounted either", () => {
  assert.is(chooseRung(specOf(), hostOf({ kernel: kernel(4, 17) })).kind, "none");
  assert.is(chooseRung(specOf(), hostOf({ kernel: kernel(4, 18) })).kind, "fuse");
});

test("a rung that is forced is had, or the reason told", () => {
  const forced = (overlay: OverlayKind, more: Partial<Host>) =>
    chooseRung(specOf({ overlay }), hostOf({ kernel: current, ...more })).kind;
  // Distributions have it in older kernels.
  assert.is(forced("kernel", { kernel: kernel(4, 18) }), "kernel");
  assert.is(forced("none", {}), "none");
  assert.is(forced("fuse", {}), "fuse");
  assert.match(
    failureOf(() => forced("fuse", { fuse: noFuse })),
    /--overlay=fuse: .*\/dev\/fuse/,
  );
  assert.match(
    failureOf(() => forced("fuse", { fuse: { device: true, overlayfs: null } })),
    /not found in PATH/,
  );
  assert.match(
    failureOf(() => forced("none", { lowers: [{ path: "/l", mode: 0o755 }] })),
    /several layers/,
  );
});

test("uppers that the kernel cannot write to are named, and fuse-overlayfs stands in", () => {
  for (const [upper, type] of [
    ["/home/alice/up", "nfs4"],
    ["/scratch/up", "lustre"],
    ["/over/up", "overlay"],
    ["/ssh/up", "fuse.sshfs"],
  ] as const) {
    const host = hostOf({ kernel: current, mounts, upper });
    assert.is(chooseRung(keeping(upper), host).kind, "fuse");
    assert.match(
      failureOf(() => chooseRung(keeping(upper, { overlay: "kernel" }), host)),
      `on ${type}`,
    );
    // A kept upper is never given up for a bind.
    assert.match(
      failureOf(() => chooseRung(keeping(upper), { ...host, fuse: noFuse })),
      /on (nfs4|lustre|overlay|fuse.sshfs), .*dev\/fuse.*needs an overlay/,
    );
  }
  const onTmpfs = (minor: number) =>
    chooseRung(keeping("/ram/up"), hostOf({ kernel: kernel(6, minor), mounts, upper: "/ram/up" }))
      .kind;
  assert.is(onTmpfs(5), "fuse");
  assert.is(onTmpfs(6), "kernel");
});

test("before Linux 6.6, a cache on NFS or a bound for writes leaves fuse-overlayfs", () => {
  const host = hostOf({ kernel: kernel(6, 5), mounts });
  assert.match(chooseRung(specOf(), host).why ?? "", /uppers is on nfs4/);
  const local = hostOf({ kernel: kernel(6, 5) });
  assert.is(chooseRung(specOf(), local).kind, "kernel");
  assert.is(chooseRung(specOf({ upperSizeBytes: 4096 }), local).kind, "fuse");
});

test("mounts inside a layer, and more than / itself, are beyond the kernel", () => {
  const mountInLayer = { mountPoint: "/srv/debian/data", layer: "/srv/debian" };
  const inside = hostOf({ kernel: current, mountInLayer });
  assert.match(chooseRung(specOf(), inside).why ?? "", "/srv/debian/data");
  const rootfs = { ...hostOf().rootfs, path: "/" };
  const lowers = [{ path: "/l", mode: 0o755 }];
  assert.is(chooseRung(specOf(), hostOf({ kernel: current, rootfs })).kind, "kernel");
  assert.is(chooseRung(specOf(), hostOf({ kernel: current, rootfs, lowers })).kind, "fuse");
});

test("layers inside each other, twice, or more than 500 are refused", () => {
  const refused = (...paths: string[]) =>
    failureOf(() =>
      chooseRung(
        keeping("/u/up"),
        hostOf({ upper: "/u/up", lowers: paths.map((path) => ({ path, mode: 0o755 })) }),
      ),
    );
  assert.match(refused("/l", "/l"), "/l is named twice");
  assert.match(refused("/srv/debian/x"), "/srv/debian/x lies inside /srv/debian");
  assert.match(refused("/u"), "/u/up lies inside /u");
  assert.match(refused("/u/up.work/x"), "lies inside /u/up.work");
  const many = (count: number) => Array.from({ length: count }, (_, index) => `/l/${index}`);
  assert.match(refused(...many(499)), /500, .*at most 499/);
  assert.is(
    chooseRung(
      specOf(),
      hostOf({ kernel: current, lowers: many(499).map((path) => ({ path, mode: 0o755 })) }),
    ).kind,
    "kernel",
  );
});

test("a filesystem is that of the nearest mount above, the last of several", () => {
  const host = { mounts: [...mounts, at("/home", "ext4"), at("/homework", "xfs")] };
  assert.is(filesystemOf(host, "/home/a"), "ext4");
  assert.is(filesystemOf(host, "/home"), "ext4");
  assert.is(filesystemOf(host, "/homework/a"), "xfs");
  assert.is(filesystemOf(host, "/etc"), "ext4");
  assert.is(filesystemOf({ mounts: [] }, "/etc"), "unknown");
  assert.ok(contains("/", "/a") && !contains("/", "/") && !contains("/a", "/ab"));
});

test.run();
