import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import * as assert from "uvu/assert";
import {
  findHelper,
  type MachineFiles,
  mapsAnyId,
  parseNamespaceIds,
  readSubids,
} from "../../../launch/facts/identity.js";
import { readInRoot } from "../../../launch/facts/in-root.js";
import { parseMountinfo } from "../../../launch/facts/mountinfo.js";
import { parseRelease, probe, userNamespaceBlocker } from "../../../launch/facts/probe.js";
import { readRootfs } from "../../../launch/facts/rootfs-facts.js";
import type { Resources } from "../../../spec/resources.js";
import { etcOf, failureOf, hostOf, rootHost } from "../../support/fixture.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/probe");
const isRoot = process.getuid?.() === 0;
let top = "";

test.before.each(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), "sbx-probe-")));
});
test.after.each(() => rmSync(top, { recursive: true, force: true }));

/** Makes files below the test's directory: a text, or a link where the text begins with `->`. */
function tree(files: Record<string, string>): string {
  for (const [name, text] of Object.entries(files)) {
    const path = join(top, name);
    mkdirSync(dirname(path), { recursive: true });
    if (text.startsWith("->")) symlinkSync(text.slice(2), path);
    else writeFileSync(path, text);
  }
  return top;
}

function program(name: string, text: string, mode = 0o755): string {
  tree({ [name]: `#!/bin/sh\n${text}\n` });
  chmodSync(join(top, name), mode);
  return dirname(join(top, name));
}

const machine = (): MachineFiles => ({
  etc: join(top, "etc"),
  proc: join(top, "proc"),
  resolved: join(top, "run/resolv.conf"),
  bin: [join(top, "bin")],
});

test("a host from the files of a machine", () => {
  const name = probe("/", process.env).user.name;
  tree({
    "etc/subuid": `${process.getuid?.()}:100000:65536\n`,
    "etc/subgid": `${name}:200000:65536\nanother:400000:65536\n`,
    "etc/hosts": "::1 me\n",
    "etc/zone": "",
    "etc/localtime": "->zone",
    "proc/self/status": "Name:\tnode\nCapEff:\t0000000000000000\nSeccomp:\t2\n",
    "proc/sys/kernel/seccomp/actions_avail": "kill_thread errno allow\n",
    "proc/self/uid_map": "         0       1000          1\n         1     100000      65536\n",
    "proc/self/mountinfo": "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n",
    "proc/sys/user/max_user_namespaces": "1234\n",
    "proc/sys/kernel/unprivileged_userns_clone": "0\n",
    "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
    "rootfs/etc/passwd": "root:x:0:0::/root:\n",
    home: "->rootfs",
  });
  program("bin/newuidmap", "true");
  const host = probe(join(top, "home/"), { HOME: "/home/alice", PATH: "" }, machine());
  assert.equal(host.subuids, [{ start: 100000, size: 65536 }]);
  assert.equal(host.subgids, [{ start: 200000, size: 65536 }]);
  assert.equal(host.freeSubids, { uid: 165536, gid: 465536 });
  assert.is(host.mapsAnyId, false);
  assert.equal(host.namespaceIds.uids, [
    { start: 0, size: 1 },
    { start: 1, size: 65536 },
  ]);
  assert.equal(host.namespaceIds.gids, [{ start: 0, size: 4294967295 }]);
  assert.equal(host.userNamespaces, {
    max: 1234,
    unprivilegedClone: false,
    apparmorRestricted: true,
  });
  assert.equal(host.seccomp, { actions: ["kill_thread", "errno", "allow"], isFiltered: true });
  assert.equal(host.mounts, [{ mountPoint: "/", type: "ext4", options: ["rw", "relatime"] }]);
  assert.equal(host.newuidmap, { path: join(top, "bin/newuidmap"), setuidRoot: false });
  assert.is(host.newgidmap, null);
  assert.is(host.user.home, "/home/alice");
  assert.is(host.upperStore, "/home/alice/.cache/sbx/uppers");
  assert.equal(
    { ...host.etc, hostname: "" },
    {
      hostname: "",
      hosts: "::1 me\n",
      resolvConf: "",
      resolvConfBehindStub: "",
      machineId: "",
      localtime: join(top, "etc/zone"),
    },
  );
  assert.equal(
    { ...host.rootfs, mode: 0 },
    {
      etc: etcOf("absent", process.getuid?.()),
      path: join(top, "rootfs"),
      mode: 0,
      passwd: "root:x:0:0::/root:\n",
      group: null,
      directories: {},
      scratch: [],
      volatile: [],
    },
  );
});

test("a mount inside a layer is found, and not one beside it", () => {
  tree({
    "rootfs/x": "",
    "layer/x": "",
    "proc/self/mountinfo": [`${top}/rootfs-2`, `${top}/rootfs`, `${top}/layer/data`]
      .map((path) => `27 1 254:0 / ${path} rw - ext4 /dev/vda rw\n`)
      .join(""),
  });
  const inside = (keys: { lowers?: string[] }) =>
    probe(join(top, "rootfs"), {}, machine(), keys).mountInLayer;
  assert.is(inside({}), null);
  const layer = join(top, "layer");
  assert.equal(inside({ lowers: [layer] }), { mountPoint: join(layer, "data"), layer });
});

test("a machine with none of these files", () => {
  tree({ "rootfs/x": "" });
  const host = probe(join(top, "rootfs"), {}, machine());
  assert.equal([host.subuids, host.subgids, host.mounts], [[], [], []]);
  assert.equal(host.userNamespaces, {
    max: null,
    unprivilegedClone: null,
    apparmorRestricted: null,
  });
  assert.is(host.mapsAnyId, false);
  assert.equal(host.seccomp, { actions: null, isFiltered: false });
});

test("this machine", () => {
  const host = probe("/", process.env);
  const uname = (flag: string) => execFileSync("uname", [flag], { encoding: "utf8" }).trim();
  assert.is(host.kernel.release, uname("-r"));
  assert.is(host.architecture, uname("-m"));
  assert.is(host.user.uid, process.getuid?.());
  assert.is(host.user.gid, process.getgid?.());
  assert.ok(host.mounts.some(({ mountPoint, type }) => mountPoint === "/proc" && type === "proc"));
  const names = host.rootfs.directories["/"]?.map(({ name }) => name) ?? [];
  assert.ok(["etc", "proc", "usr"].every((name) => names.includes(name)));
});

test("relative XDG_CACHE_HOME and HOME are ignored", () => {
  tree({ "rootfs/x": "" });
  const store = (environment: NodeJS.ProcessEnv) =>
    probe(join(top, "rootfs"), environment, machine()).upperStore;
  assert.is(store({ HOME: "/h", XDG_CACHE_HOME: "/cache" }), "/cache/sbx/uppers");
  assert.is(store({ HOME: "/h", XDG_CACHE_HOME: "cache" }), "/h/.cache/sbx/uppers");
  assert.ok(store({ HOME: "h" }).startsWith("/"));
  assert.not.match(store({ HOME: "h" }), "/h/.cache");
});

test("a rootfs that cannot be used says why", () => {
  tree({ file: "", "closed/x": "", loop: "->loop" });
  const failure = (path: string) => failureOf(() => readRootfs(path, { mounts: [] }));
  assert.match(failure(""), "its path is empty");
  assert.match(
    failure(join(top, "absent")),
    /open the rootfs .*absent: there is no such directory \(ENOENT\)/,
  );
  assert.match(failure(join(top, "file")), "it is not a directory (ENOTDIR)");
  assert.match(failure(join(top, "file/x")), "a part of its path is not a directory");
  assert.match(failure(join(top, "loop")), "too many symbolic links");
  for (const image of ["debian:12", "docker.io/library/alpine"]) {
    assert.match(failure(image), /ENOENT\)\. Images are not supported: give a directory/);
  }
  assert.not.match(failure(join(top, "absent")), "Images");
  assert.match(failure("a\0b"), "NUL");
  assert.match(failure(`${top}/${"x".repeat(300)}`), "ENAMETOOLONG");
});

test("a rootfs that the caller may not enter", () => {
  tree({ "closed/inner/x": "" });
  const failures = (mode: number) => {
    chmodSync(join(top, "closed"), mode);
    const script = `
      import { readRootfs } from ${JSON.stringify(join(import.meta.dirname, "../../../launch/facts/rootfs-facts.ts"))};
      // The user nobody stands in for an ordinary one where the tests run as root.
      if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
      for (const path of process.argv.slice(1))
        try { readRootfs(path, { mounts: [] }); console.log("fine"); } catch (error) { console.log(error.message); }`;
    const args = ["--import", "tsx", "--input-type=module", "-e", script];
    const paths = [join(top, "closed"), join(top, "closed/inner")];
    return execFileSync(process.execPath, [...args, ...paths], { encoding: "utf8" })
      .trim()
      .split("\n");
  };
  chmodSync(top, 0o755);
  assert.equal(failures(0o755), ["fine", "fine"]);
  for (const [mode, expected] of [
    [0o000, 2],
    [0o444, 2],
    [0o111, 1],
  ] as const) {
    const refused = failures(mode).filter((line) =>
      line.includes("you may not list and enter it (EACCES)"),
    );
    assert.is(refused.length, expected, mode.toString(8));
  }
  chmodSync(join(top, "closed"), 0o755);
});

test("user files are read through links, inside the rootfs only", () => {
  const root = tree({
    secret: "outside",
    "r/etc/passwd": "->../usr/lib/passwd",
    "r/etc/absolute": "->/usr/lib/passwd",
    "r/etc/up": "->../../../../../usr/lib/passwd",
    "r/etc/escape": "->../../secret",
    "r/etc/host": `->${top}/secret`,
    "r/etc/loop": "->loop",
    "r/etc/dangling": "->nowhere",
    "r/etc/directory/x": "",
    "r/usr/lib/passwd": "inside",
    "r/lib": "->usr/lib",
    "r/l0": "->usr/lib/passwd",
  });
  for (let i = 1; i <= 40; i++) symlinkSync(`l${i - 1}`, join(root, "r", `l${i}`));
  const read = (path: string) => readInRoot(join(root, "r"), path);
  for (const path of ["etc/passwd", "etc/absolute", "etc/up", "lib/passwd", "/lib/./passwd", "l39"])
    assert.is(read(path), "inside", path);
  for (const path of [
    "etc/escape",
    "etc/host",
    "etc/loop",
    "etc/dangling",
    "etc/directory",
    "l40",
    "none",
    "usr/lib/passwd/x",
  ])
    assert.is(read(path), null, path);
});

test("what is no plain file is not read, and one too large is an error", () => {
  const root = tree({ "r/big": "", "r/limit": "" });
  truncateSync(join(root, "r/limit"), 16 * 1024 * 1024);
  truncateSync(join(root, "r/big"), 16 * 1024 * 1024 + 1);
  execFileSync("mkfifo", [join(root, "r/fifo")]);
  const read = (path: string) => readInRoot(join(root, "r"), path);
  assert.is(read("limit")?.length, 16 * 1024 * 1024);
  assert.match(
    failureOf(() => read("big")),
    "read /big of the rootfs: it has 16777217 bytes, and at most 16777216 are read",
  );
  assert.is(read("fifo"), null);
  assert.is(readInRoot("/", "dev/null"), null);
});

test("directories are listed for the host's own root, where mounts are below them", () => {
  tree({ "a/b/file": "", "a/b/m/x": "", "a/link": "->b", "a/other/x": "", "dev/x": "" });
  chmodSync(join(top, "a/b/file"), 0o640);
  const mount = (mountPoint: string) => ({ mountPoint, type: "ext4", options: [] });
  const mounts = [
    ...["/", "/proc", "/proc/sys/fs/binfmt_misc", "/run/user/1000", "/dev/shm", "/gone/away/m"].map(
      mount,
    ),
    mount(join(top, "a/b/m")),
  ];
  const isRemade = (path: string) => /^\/(proc|sys|dev|run|tmp)(\/|$)/.test(path);
  const { directories } = readRootfs("/", { mounts });
  const listed = Object.keys(directories).filter((path) => path === "/" || isRemade(path));
  assert.equal(listed, ["/"]);
  assert.ok(
    directories["/"]?.every(({ name }, i, all) => i === 0 || name > (all[i - 1]?.name ?? "")),
  );
  assert.is(directories["/"]?.find(({ name }) => name === "proc")?.type, "directory");
  assert.equal(readRootfs(top, { mounts }).directories, {});
});

test("the entries of a directory above a mount", () => {
  // Below /tmp nothing is listed, so that this one is made beside it.
  const outside = mkdtempSync("/var/tmp/sbx-probe-");
  try {
    mkdirSync(join(outside, "m"), { mode: 0o750 });
    writeFileSync(join(outside, "file"), "", { mode: 0o600 });
    chmodSync(join(outside, "m"), 0o1750);
    symlinkSync("/nowhere", join(outside, "link"));
    execFileSync("mkfifo", ["-m", "0644", join(outside, "fifo")]);
    const { directories } = readRootfs("/", {
      mounts: [{ mountPoint: join(outside, "m"), type: "ext4", options: [] }],
    });
    assert.equal(Object.keys(directories), ["/", "/var", "/var/tmp", outside]);
    assert.equal(directories[outside], [
      { name: "fifo", type: "other", mode: 0o644, readable: true },
      { name: "file", type: "file", mode: 0o600, readable: true },
      { name: "link", type: "symlink", mode: 0o777, target: "/nowhere", readable: true },
      { name: "m", type: "directory", mode: 0o1750, readable: true },
    ]);
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test("mountinfo: escapes, optional fields, malformed lines", () => {
  const text = [
    "36 35 98:0 /mnt1 /mnt\\040with\\011odd\\134names\\012 rw,noatime - ext3 /dev/root rw",
    "37 35 0:5 / /dev rw,nosuid shared:2 master:1 propagate_from:2 - devtmpfs udev rw,size=1k",
    "38 35 0:6 / /plain\\x rw - tmpfs none rw",
    "39 35 0:7 / /cut rw shared:1",
    "",
  ].join("\n");
  assert.equal(parseMountinfo(text), [
    { mountPoint: "/mnt with\todd\\names\n", type: "ext3", options: ["rw", "noatime"] },
    { mountPoint: "/dev", type: "devtmpfs", options: ["rw", "nosuid"] },
    { mountPoint: "/plain\\x", type: "tmpfs", options: ["rw"] },
  ]);
});

test("getsubids is asked where the files have nothing and another source is named, and only there", () => {
  const path = program(
    "path/getsubids",
    'case "$1" in -g) shift; echo "0: $1 7 8";; fail) echo "0: $1 5 6"; exit 1;; *) echo "0: $1 5 6";; esac',
  );
  tree({ "etc/subuid": "bob:1:1\n", "etc/nsswitch.conf": "passwd: files\nsubid: sss\n" });
  const read = (kind: "uid" | "gid", name: string | null, uid = 4711) =>
    readSubids(kind, { name, uid }, machine(), `relative:${path}`).map(
      (r) => `${r.start}+${r.size}`,
    );
  assert.equal(read("uid", "alice"), ["5+6"]);
  assert.equal(read("gid", "alice"), ["7+8"]);
  assert.equal(read("uid", null), ["5+6"]);
  assert.equal(read("uid", "bob"), ["1+1"]);
  assert.equal(read("uid", "fail"), []);
  assert.equal(read("uid", "root", 0), []);
  const alice = { name: "alice", uid: 4711 };
  assert.equal(readSubids("uid", alice, machine(), undefined), []);
  assert.equal(readSubids("uid", alice, machine(), relative(process.cwd(), path)), []);
  tree({ "etc/nsswitch.conf": "passwd: files\n" });
  assert.equal(read("uid", "alice"), []);
});

test("groups and ways out are read where all is asked for, and where a sandbox may need them", () => {
  tree({
    "rootfs/file": "",
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "30 27 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
    "proc/net/if_inet6": "",
  });
  const read = (...more: [keys?: Parameters<typeof probe>[3], resources?: Resources]) => {
    const { cgroup, uplinks } = probe(join(top, "rootfs"), {}, machine(), ...more);
    return [cgroup.mode, uplinks.ipv6];
  };
  const apart = { network: { from: { mode: "none" } } } as const;
  assert.equal(read(), ["v2", true]);
  assert.equal(read({}), ["none", true]);
  assert.equal(read(apart), ["none", false]);
  assert.equal(read(apart, { pids: { limit: 5 } }), ["v2", false]);
  assert.equal(read({ ...apart, cgroup: { manager: "auto" } }), ["v2", false]);
});

test("helpers: PATH first, a set-user-ID one before one without the bit", () => {
  const first = program("first/newuidmap", "true");
  const second = program("second/newuidmap", "true");
  program("bin/newgidmap", "true");
  program("first/newgidmap", "true", 0o644);
  tree({ "second/newgidmap/x": "" });
  const PATH = `${first}:${second}`;
  assert.is(findHelper("newuidmap", machine(), PATH)?.path, join(first, "newuidmap"));
  assert.is(findHelper("newgidmap", machine(), PATH)?.path, join(top, "bin/newgidmap"));
  assert.is(findHelper("newpidmap", machine(), PATH), null);
  chmodSync(join(second, "newuidmap"), 0o4755);
  // The bit counts only with owner root.
  const expected = isRoot
    ? { path: join(second, "newuidmap"), setuidRoot: true }
    : { path: join(first, "newuidmap"), setuidRoot: false };
  assert.equal(findHelper("newuidmap", machine(), PATH), expected);
  if (!isRoot) return;
  chownSync(join(second, "newuidmap"), 65534, 0);
  chmodSync(join(second, "newuidmap"), 0o4755);
  assert.is(findHelper("newuidmap", machine(), PATH)?.setuidRoot, false);
});

test("who may map any id", () => {
  const status = (mask: string) => () => `Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t${mask}\n`;
  assert.is(mapsAnyId(0, status("000001ffffffffff")), true);
  assert.is(mapsAnyId(0, status("00000000000000c0")), true);
  assert.is(mapsAnyId(0, status("0000000000000080")), false);
  assert.is(mapsAnyId(0, status("0000000000000040")), false);
  assert.is(mapsAnyId(1000, status("000001ffffffffff")), false);
  assert.is(
    mapsAnyId(0, () => ""),
    false,
  );
});

test("small parsers", () => {
  assert.equal(parseNamespaceIds("0 1000 1\n  5   9   7 \n"), [
    { start: 0, size: 1 },
    { start: 5, size: 7 },
  ]);
  assert.equal(parseRelease("5.14.0-427.el9"), { release: "5.14.0-427.el9", major: 5, minor: 14 });
  assert.match(
    failureOf(() => parseRelease("next")),
    "next does not begin with one",
  );
});

test("what may forbid user namespaces, each with its remedy", () => {
  const none = { max: 9, unprivilegedClone: true, apparmorRestricted: false };
  const blocker = (userNamespaces: Partial<typeof none>, host = hostOf()) =>
    userNamespaceBlocker({ ...host, userNamespaces: { ...none, ...userNamespaces } });
  assert.is(blocker({}), null);
  assert.match(blocker({ max: 0 })?.hint ?? "", "user.max_user_namespaces=15000");
  assert.match(blocker({ max: 0 }, rootHost())?.why ?? "", "turned off");
  const clone = blocker({ unprivilegedClone: false });
  assert.match(clone?.hint ?? "", "kernel.unprivileged_userns_clone=1");
  assert.is(clone?.certain, true);
  const apparmor = blocker({ apparmorRestricted: true });
  assert.match(
    apparmor?.hint ?? "",
    '"/home/alice/.cache/sbx/programs/*" flags=(unconfined) { userns, }',
  );
  assert.match(apparmor?.hint ?? "", "kernel.apparmor_restrict_unprivileged_userns=0");
  assert.is(apparmor?.certain, false);
  assert.is(blocker({ unprivilegedClone: false, apparmorRestricted: true }, rootHost()), null);
  assert.is(userNamespaceBlocker(hostOf()), null);
});

test.run();
