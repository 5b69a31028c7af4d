/** The init layer as a plan: what is in the files, where they go, and where none is mounted. */
import * as assert from "uvu/assert";
import { planNames } from "../../netns/names.js";
import { planEtc } from "../../rootfs/etc.js";
import type { Host } from "../../spec/host.js";
import type { EtcFileName, Place } from "../../spec/host-rootfs.js";
import type { Spec } from "../../spec/spec.js";
import { closedSpec, etcOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("rootfs/etc");
const base = closedSpec("/srv/debian");

/** A host whose rootfs has some places that differ from a usual file. */
function hostWith(etc: Partial<Record<EtcFileName, Place | null>>, path = "/srv/debian"): Host {
  const { rootfs } = hostOf();
  return hostOf({ rootfs: { ...rootfs, path, etc: { ...rootfs.etc, ...etc } } });
}

const everyone = () => true;

const plan = (spec: Spec, host: Host, hasId: (id: number) => boolean) =>
  planEtc(spec, host, planNames(spec, host, null), hasId);

/** What is mounted, `NAME on PATH`. */
function mounts(spec: Spec, host: Host): string[] {
  return plan(spec, host, everyone).attach.flatMap(({ action }) =>
    action.kind === "attach" ? [`${action.staged.replace("/tmp/etc/", "")} on ${action.path}`] : [],
  );
}

function textOf(spec: Spec, host: Host, name: string): string | undefined {
  const texts = plan(spec, host, everyone).staged.flatMap(({ action }) =>
    action.kind === "makeFile" && action.path === `/tmp/etc/${name}` ? [action.text] : [],
  );
  return texts[0];
}

const sharing = (type: "network" | "uts"): Spec => ({
  ...base,
  linux: { ...base.linux, namespaces: base.linux.namespaces.filter((each) => each.type !== type) },
});

test("three files go over those of the rootfs, two only where it has none", () => {
  const usual = ["hosts", "resolv.conf", "hostname"].map((name) => `${name} on /etc/${name}`);
  assert.equal(mounts(base, hostOf()), usual);
  const bare = hostOf({ rootfs: { ...hostOf().rootfs, etc: etcOf("absent") } });
  assert.equal(mounts(base, bare), [
    ...usual,
    "machine-id on /etc/machine-id",
    "localtime on /etc/localtime",
  ]);
});

test("without the key, as a bundle has it, there is none", () => {
  const { etcFiles: _, ...sbx } = base.sbx;
  assert.equal(plan({ ...base, sbx }, hostOf(), everyone), {
    staged: [],
    named: [],
    attach: [],
    notes: [],
  });
});

test("without a network there are the loopback's names, and no name server", () => {
  const sbx: Spec["sbx"] = {
    ...base.sbx,
    etcFiles: { hosts: true, addHosts: [{ address: "10.0.0.7", name: "db" }] },
  };
  const named: Spec = { ...base, hostname: "box", sbx };
  assert.is(
    textOf(named, hostOf(), "hosts"),
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\n127.0.0.1\tbox\n",
  );
  assert.is(textOf(named, hostOf(), "hostname"), "box\n");
  assert.not.match(textOf(named, hostOf(), "resolv.conf") ?? "", /^nameserver/m);
});

test("the host's network comes with its names and name servers", () => {
  const host = hostOf();
  assert.is(textOf(sharing("network"), host, "resolv.conf"), "nameserver 192.0.2.53\n");
  assert.is(
    textOf(sharing("network"), host, "hosts"),
    "127.0.0.1 localhost laptop\n127.0.0.1\tsbx\n",
  );
  const { hostname: _, ...unnamed } = sharing("network");
  assert.is(textOf(unnamed, host, "hosts"), "127.0.0.1 localhost laptop\n");
  assert.is(textOf(unnamed, host, "hostname"), "laptop\n");
});

test("--no-hosts leaves the rootfs's", () => {
  const sbx = { ...base.sbx, etcFiles: { hosts: false, addHosts: [] } };
  assert.is(textOf({ ...base, sbx }, hostOf(), "hosts"), undefined);
  assert.is(mounts({ ...base, sbx }, hostOf()).length, 2);
});

test("a machine-id is a random UUID's digits, the rootfs's own, and not the machine's", () => {
  const idOf = (path: string) => {
    const host = hostWith({ "machine-id": { path: "/etc/machine-id", type: "absent" } }, path);
    return textOf(base, host, "machine-id") ?? "";
  };
  assert.match(idOf("/srv/a"), /^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\n$/);
  assert.is(idOf("/srv/a"), idOf("/srv/a"));
  assert.is.not(idOf("/srv/a"), idOf("/srv/b"));
});

test("a link's end is mounted on, and made only in a layer that is thrown away", () => {
  const stub: Place = { path: "/run/systemd/resolve/stub-resolv.conf", type: "absent" };
  const host = hostWith({ "resolv.conf": stub });
  assert.ok(mounts(base, host).includes(`resolv.conf on ${stub.path}`));
  for (const kept of [
    { ...base, root: { ...base.root, readonly: true } },
    { ...base, sbx: { ...base.sbx, writes: "in-place" as const } },
  ]) {
    assert.equal(plan(kept, host, everyone).notes, [
      "no /etc/resolv.conf of the sandbox's own: the rootfs has no /run/systemd/resolve/stub-resolv.conf to mount it on",
    ]);
    assert.equal(mounts(kept, host), ["hosts on /etc/hosts", "hostname on /etc/hostname"]);
  }
});

test("a copy of the host's root has nothing of /run, so that a link there dangles", () => {
  const stub: Place = { path: "/run/systemd/resolve/stub-resolv.conf", type: "file" };
  const count = (spec: Spec) => mounts(spec, hostWith({ "resolv.conf": stub }, "/")).length;
  assert.is(count(base), 3);
  assert.is(count({ ...base, root: { path: "/", readonly: true } }), 2);
  assert.is(count({ ...base, sbx: { ...base.sbx, writes: "in-place" } }), 3);
});

test("what cannot be mounted on is left, and said", () => {
  const host = hostWith({
    hosts: null,
    hostname: { path: "/etc/hostname", type: "directory" },
    "resolv.conf": { path: "/proc/sys/kernel/core_pattern", type: "absent" },
  });
  assert.equal(mounts(base, host), []);
  assert.equal(plan(base, host, everyone).notes, [
    "no /etc/hosts of the sandbox's own: its path leads nowhere",
    "no /etc/resolv.conf of the sandbox's own: /proc is mounted there",
    "no /etc/hostname of the sandbox's own: /etc/hostname of the rootfs is a directory",
  ]);
});

test("nothing is made in a directory whose owner has no id inside, but below all layers", () => {
  const missing: Place = { path: "/etc/hosts", type: "absent", owner: 1000 };
  const notes = (path: string, uid: number, overlay: "kernel" | "fuse") => {
    const spec = { ...base, sbx: { ...base.sbx, overlay } };
    return plan(spec, hostWith({ hosts: missing }, path), (id) => id === uid).notes;
  };
  assert.equal(notes("/srv/debian", 1000, "fuse"), []);
  assert.equal(notes("/", 1001, "kernel"), []);
  assert.equal(notes("/srv/debian", 1001, "kernel"), []);
  assert.equal(notes("/srv/debian", 1001, "fuse"), [
    "no /etc/hosts of the sandbox's own: the rootfs has no /etc/hosts to mount it on",
  ]);
});

test("a read-only rootfs has read-only files, the host's zone always is", () => {
  const flags = (spec: Spec, host: Host, target: string) =>
    plan(spec, host, everyone).staged.flatMap(({ action }) =>
      action.kind === "addMountFlags" && action.target === `/tmp${target}` ? action.flags : [],
    );
  const readonly = { ...base, root: { ...base.root, readonly: true } };
  const host = hostOf({ kernel: { release: "6.18", major: 6, minor: 18 } });
  assert.ok(flags(readonly, host, "/etc/hosts").includes("MS_RDONLY"));
  assert.not.ok(flags(base, host, "/etc/hosts").includes("MS_RDONLY"));
  const bare = hostWith({ localtime: { path: "/etc/localtime", type: "absent" } });
  assert.ok(flags(base, bare, "/etc/localtime").includes("MS_RDONLY"));
});

test.run();
