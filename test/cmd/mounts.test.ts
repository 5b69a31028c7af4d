/** Values of -v, --mount, --tmpfs and --device, and the mounts that come of them. */
import * as assert from "uvu/assert";
import { readDevice, readMount, readTmpfs, readVolume } from "../../cmd/mount-values.js";
import { specMounts } from "../../cmd/mounts.js";
import { defaultMounts, defaultNamespaces } from "../../spec/default.js";
import { failureOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/mounts");
const at = "--option x";

test("-v: binds, volumes by name, anonymous ones", () => {
  const read = (text: string) => Object.values(readVolume(text, at));
  assert.equal(read("/a:/b/"), ["bind", "/a", "/b", []]);
  assert.equal(read("./a:/b:ro,U,z"), ["bind", "./a", "/b", ["ro", "U", "z"]]);
  assert.equal(read(".:/b"), ["bind", ".", "/b", []]);
  assert.equal(read("na.me:/b/../c"), ["volume", "na.me", "/c", []]);
  assert.equal(read("/b"), ["volume", null, "/b", []]);
});

test("what is wrong is told, with the way out", () => {
  for (const [read, text, expected] of [
    [readVolume, "a:b", "no absolute path"],
    [readVolume, "a:/b:ro:x", "--mount takes paths with colons"],
    [readVolume, "a:/b:r0", "Did you mean ro?"],
    [readVolume, "a:/b:O", "The whole rootfs is an overlay"],
    [readVolume, "/a:/", "root itself"],
    [readVolume, ".hidden:/a", "no name of a volume"],
    [readVolume, "/a:/b:rslave,rshared", "exclude each other"],
    [readTmpfs, "/t:tmpcopyup", "begins empty"],
    [readTmpfs, "t", "no absolute path"],
    [readDevice, "null", "must be HOST"],
    [readDevice, "/dev/null:w", "cannot be reduced to w"],
    [readMount, "type=bind,dst=/a", "no source"],
    [readMount, "type=bind,src=/a", "no destination"],
    [readMount, "type=devpts,dst=/a", "bind, volume and tmpfs"],
    [readMount, "type=tmpfs,dst=/a,src=/b", "no source"],
    [readMount, "dst=/a,dst=/b", "given twice"],
    [readMount, "dst=/a,sorce=b", "Did you mean source?"],
    [readMount, "dst=/a,ro=maybe", "takes true or false"],
    [readMount, 'dst=/a,src="b', "quotes"],
  ] as const) {
    assert.match(
      failureOf(() => read(text, at)),
      expected,
      text,
    );
  }
});

test("--mount: keys and their aliases, quotes around commas", () => {
  const read = (text: string) => Object.values(readMount(text, at));
  assert.equal(read("type=bind,source=/a,target=/b,readonly,chown=true"), [
    "bind",
    "/a",
    "/b",
    ["ro", "U"],
  ]);
  assert.equal(read('type=bind,"src=/a,""b",dst=/b,ro=false'), ["bind", '/a,"b', "/b", ["rw"]]);
  assert.equal(read("src=a,destination=/b,bind-propagation=rslave,bind-nonrecursive"), [
    "volume",
    "a",
    "/b",
    ["rslave", "bind"],
  ]);
  assert.equal(read("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700"), [
    "tmpfs",
    null,
    "/t",
    ["size=1m", "mode=700"],
  ]);
});

test("words that every object has are no keys and no options", () => {
  for (const word of ["constructor", "__proto__", "toString"]) {
    const volume = failureOf(() => readVolume(`/a:/b:${word}`, at));
    assert.match(volume, `is no option of such a mount. There are `);
    for (const key of [word, `${word}=1`]) {
      const mount = failureOf(() => readMount(`type=bind,src=/a,dst=/b,${key}`, at));
      assert.match(mount, key === word ? `${word} needs a value` : `no such key: ${word}`);
      assert.not.match(mount, "native code");
    }
  }
});

test("--device: a path of its own inside, and access", () => {
  const read = (text: string) => readDevice(text, at).destination;
  assert.is(read("/dev/fuse"), "/dev/fuse");
  assert.is(read("/dev/fuse:rwm"), "/dev/fuse");
  assert.is(read("/dev/fuse:/dev/x:rw"), "/dev/x");
});

test("the mounts of a spec: outer ones first, defaults replaced, volumes named once", () => {
  const places = { absolute: (path: string) => `/here/${path}`, volumes: "/volumes" };
  const { mounts, volumes } = specMounts(
    defaultMounts(defaultNamespaces),
    {
      volume: ["v:/a/b/c", "v:/d:ro,suid", "./x:/a"],
      tmpfs: ["/dev/shm:size=1m"],
      device: ["/dev/fuse"],
    },
    places,
  );
  assert.equal(volumes, [{ path: "/volumes/v" }]);
  for (const path of ["/", "/etc", "/home/me"]) {
    const all = { absolute: () => path, volumes: "/volumes" };
    assert.match(
      failureOf(() => specMounts([], { volume: ["/x:/x:U"] }, all)),
      "U is not for",
    );
  }
  const named = mounts.map(({ destination }) => destination);
  assert.equal(named.slice(0, 5), ["/proc", "/dev", "/sys", "/d", "/a"]);
  assert.is(named.filter((path) => path === "/dev/shm").length, 1);
  const found = (path: string) => mounts.find(({ destination }) => destination === path);
  assert.equal(found("/d"), {
    destination: "/d",
    type: "bind",
    source: "/volumes/v/_data",
    options: ["ro", "suid", "nodev", "rbind"],
  });
  assert.is(found("/a")?.source, "/here/./x");
  assert.equal(found("/dev/shm")?.options, ["size=1m", "nosuid", "nodev", "noexec"]);
  assert.equal(found("/dev/fuse")?.options, ["rbind", "nosuid", "noexec"]);
});

test.run();
