/** What `sbx check` says of hosts of all kinds, and of this one. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as assert from "uvu/assert";
import { renderJson, renderText } from "../../cmd/check.js";
import { screenOf } from "../../cmd/screen.js";
import { pseudoErrno } from "../../launch/lower/pseudo-errno.js";
import type { Facts } from "../../launch/trial/facts.js";
import type { Finding } from "../../launch/trial/finding.js";
import { findings, verdict } from "../../launch/trial/findings.js";
import type { TrialName } from "../../launch/trial/list.js";
import { install, packageManager } from "../../launch/trial/mend.js";
import type { Outcomes } from "../../launch/trial/trial.js";
import { errnoNumbers } from "../../spec/linux.js";
import type { Mapping } from "../../spec/spec.js";
import { hostOf, poorHost, rootHost } from "../support/fixture.js";
import { type SbxResult, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/check");

const debian = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n`;
const everyTrial = [
  "user",
  "mount",
  "pid",
  "network",
  "ipc",
  "uts",
  "cgroup",
  "time",
  "mounts",
  "overlay",
  "xattrs",
  "proc",
  "sysfs",
  "idMap",
  "seccomp",
] as const satisfies readonly TrialName[];

/** All went well, but for what is named: `step: ERRNO`. */
function outcomes(failed: Partial<Record<TrialName, string>> = {}): Outcomes {
  const good = Object.fromEntries(everyTrial.map((name) => [name, { failure: null, value: 0 }]));
  const bad = Object.entries(failed).map(([name, text]) => {
    const [step = "", errno = ""] = text.split(": ");
    return [
      name,
      { failure: { step, errno: errnoNumbers[errno] ?? pseudoErrno.helperFailed }, value: 0 },
    ];
  });
  return { ...good, landlock: { failure: null, value: 4 }, ...Object.fromEntries(bad) };
}

const line = (containerID: number, hostID: number, size: number): Mapping => ({
  containerID,
  hostID,
  size,
});
const everyId = [line(0, 1000, 1), line(1, 100000, 65536)];
const helpers = { newuidmap: "/usr/bin/newuidmap", newgidmap: "/usr/bin/newgidmap" };
const fullMaps: Facts["maps"] = {
  uidMappings: everyId,
  gidMappings: everyId,
  helpers,
  denySetgroups: false,
  rootMapped: true,
  shortages: { uid: { why: null, hint: "" }, gid: { why: null, hint: "" } },
  notes: [],
};
const singleMaps: Facts["maps"] = {
  ...fullMaps,
  uidMappings: [line(0, 1000, 1)],
  gidMappings: [line(0, 1000, 1)],
  helpers: null,
  denySetgroups: true,
};

/** Control groups with those controllers in the hands of the user's systemd; none: it does not run. */
function delegated(...controllers: string[]) {
  const { cgroup } = hostOf();
  const { manager } = cgroup;
  return {
    ...cgroup,
    manager: controllers.length > 0 && manager ? { ...manager, controllers } : null,
  };
}

/** A developer's laptop with systemd, where nothing is missing, changed by `overrides`. */
function laptop(overrides: Partial<Facts> = {}): Facts {
  return {
    host: hostOf({ kernel: { release: "6.8.0", major: 6, minor: 8 } }),
    osRelease: debian,
    isContainer: false,
    noNewPrivileges: false,
    lingers: true,
    memfdNoexec: 0,
    programs: { kind: "file", path: "/home/alice/.cache/sbx/programs/0123" },
    outcomes: outcomes(),
    complaints: [],
    maps: fullMaps,
    storeRefusal: null,
    subidSources: { uids: "/etc/subuid", gids: "/etc/subgid" },
    devices: { fuse: null, tun: null },
    tools: {
      "fuse-overlayfs": {
        path: "/usr/bin/fuse-overlayfs",
        version: "fuse-overlayfs: version 1.13",
      },
      pasta: { path: "/usr/bin/pasta", version: null },
      slirp4netns: { path: "/usr/bin/slirp4netns", version: "slirp4netns version 1.2.1" },
    },
    ...overrides,
  };
}

function judge(facts: Facts) {
  const items = findings(facts);
  const item = (id: string): Finding => {
    const found = items.find((finding) => finding.id === id);
    if (found === undefined) throw new Error(`no finding ${id}`);
    return found;
  };
  const not = (state: Finding["state"]) =>
    items.filter((finding) => finding.state === state).map(({ id }) => id);
  return {
    items,
    item,
    missing: not("missing"),
    limited: not("limited"),
    ...verdict(items, facts),
  };
}

const states = ({ missing, limited }: ReturnType<typeof judge>) => ({ missing, limited });

test("a developer's laptop lacks nothing", () => {
  const report = judge(laptop());
  assert.equal(states(report), { missing: [], limited: [] });
  assert.equal([report.works, report.flags], [true, []]);
  assert.is(
    report.summary,
    "sbx run works here, with 65537 uids and 65537 gids and throw-away writes in memory",
  );
  assert.match(report.item("subuids").found, "65536 ids (100000-165535), from /etc/subuid");
  assert.is(report.item("landlock").found, "ABI version 4");
  assert.is(new Set(report.items.map(({ id }) => id)).size, report.items.length);
});

test("systemd delegates only memory and pids by default", () => {
  const report = judge(laptop({ host: hostOf({ cgroup: delegated("memory", "pids") }) }));
  assert.equal(states(report), { missing: [], limited: ["cgroup"] });
  assert.match(
    report.item("cgroup").found,
    "user@1000.service (memory pids), without cpu cpuset io",
  );
  assert.match(report.item("cgroup").mend ?? "", "Delegate=cpu cpuset io memory pids");
  assert.match(
    report.item("cgroup").mend ?? "",
    "/etc/systemd/system/user@.service.d/delegate.conf",
  );
});

test("an ssh session without a user manager", () => {
  const report = judge(laptop({ host: hostOf({ cgroup: delegated() }) }));
  assert.equal(states(report), { missing: ["cgroup"], limited: [] });
  assert.match(report.item("cgroup").mend ?? "", "sudo loginctl enable-linger alice");
  assert.ok(report.works);
  assert.match(report.summary, /and no limits$/);
});

test("what becomes of sandboxes in the background at logout is told", () => {
  const lingers = (answer: boolean | null) => judge(laptop({ lingers: answer })).item("linger");
  assert.match(lingers(true).found, /outlive your logout: lingering is on/);
  assert.match(lingers(null).found, /outlive your logout: there is no systemd/);
  assert.is(lingers(false).state, "limited");
  assert.match(lingers(false).found, /ends sandboxes .* one without holds the session open/);
  assert.is(lingers(false).mend, "sudo loginctl enable-linger alice");
});

test("an HPC login node: old kernel, no subids, no helpers, home on NFS", () => {
  const uplinks = { ...poorHost.uplinks, pasta: null, slirp4netns: null, tun: false };
  const host = { ...poorHost, newuidmap: null, newgidmap: null, uplinks };
  const facts = laptop({
    host: {
      ...host,
      kernel: { release: "5.14.0-427.el9", major: 5, minor: 14 },
      cgroup: {
        ...delegated(),
        mode: "v1",
        mountPoint: null,
        v1Controllers: ["cpu", "memory"],
        own: [],
      },
    },
    osRelease: `ID="rocky"\nID_LIKE="rhel centos fedora"\n`,
    maps: singleMaps,
    outcomes: outcomes({
      xattrs: "set a user xattr: EOPNOTSUPP",
      diskOverlay: "mount an overlay: EINVAL",
      diskXattrs: "set a user xattr: EOPNOTSUPP",
      landlock: "ask for Landlock: ENOSYS",
    }),
    devices: { fuse: "ENOENT", tun: "EACCES" },
    tools: { "fuse-overlayfs": null, pasta: null, slirp4netns: null },
  });
  const report = judge(facts);
  assert.equal(states(report), {
    missing: [
      "subuids",
      "subgids",
      "newuidmap",
      "newgidmap",
      "overlay",
      "fuse",
      "fuse-overlayfs",
      "way-out",
      "tun",
      "pasta",
      "slirp4netns",
      "cgroup",
      "landlock",
    ],
    limited: ["id-map", "tmpfs-xattrs"],
  });
  assert.is(
    report.summary,
    "sbx run works here if you add --read-only, with only your own id and no limits",
  );
  assert.is(report.item("newuidmap").mend, "sudo dnf install shadow-utils");
  assert.is(report.item("pasta").mend, "sudo dnf install passt");
  assert.match(report.item("subuids").mend ?? "", "usermod --add-subuids 165536-231071 alice");
  assert.match(report.item("overlay").mend ?? "", "XDG_CACHE_HOME to a directory on a local disk");
  assert.match(report.item("fuse").mend ?? "", "sudo modprobe fuse");
  assert.match(report.item("tun").mend ?? "", "sudo chmod 0666 /dev/net/tun");
  assert.match(report.item("cgroup").mend ?? "", "systemd.unified_cgroup_hierarchy=1");
  assert.match(report.item("landlock").mend ?? "", "Linux 5.13");
});

test("inside a container: /proc is masked, nothing is delegated", () => {
  const host = hostOf({
    kernel: { release: "6.8.0", major: 6, minor: 8 },
    mounts: [
      { mountPoint: "/proc", type: "proc", options: ["rw"] },
      { mountPoint: "/proc/kcore", type: "tmpfs", options: ["rw"] },
      { mountPoint: "/sys/firmware", type: "tmpfs", options: ["ro"] },
    ],
    cgroup: delegated(),
  });
  const facts = laptop({
    host,
    isContainer: true,
    outcomes: outcomes({ proc: "mount proc: EPERM", sysfs: "mount sysfs: EPERM" }),
    devices: { fuse: "ENOENT", tun: "ENOENT" },
  });
  const report = judge(facts);
  assert.equal(report.missing, ["proc", "sysfs", "fuse", "tun", "cgroup"]);
  assert.match(report.item("proc").found, "/proc is partly covered here (/proc/kcore)");
  assert.match(report.item("proc").found, "mount too revealing");
  assert.match(report.item("proc").mend ?? "", "--security-opt unmask=ALL");
  assert.match(report.item("fuse").mend ?? "", "--device /dev/fuse");
  assert.equal([report.works, report.flags], [true, ["--pid=host", "--network=host"]]);
});

test("inside a container that forbids user namespaces", () => {
  const report = judge(
    laptop({ isContainer: true, outcomes: outcomes({ user: "create: EPERM" }) }),
  );
  assert.not(report.works);
  assert.match(
    report.summary,
    /^sbx run cannot work here: user-namespace: cannot be created: EPERM/,
  );
  assert.match(report.item("user-namespace").mend ?? "", "seccomp=unconfined");
  // What stands on it does not repeat how to mend it.
  assert.equal(report.item("proc"), {
    id: "proc",
    state: "missing",
    found: "needs the user namespace, see user-namespace",
    consequence: { kind: "flag", flag: "--pid=host" },
  });
  assert.is(report.item("seccomp").state, "ok");
});

test("Ubuntu 24.04: AppArmor lets the namespace be made and takes its rights away", () => {
  const host = hostOf({
    kernel: { release: "6.8.0-31-generic", major: 6, minor: 8 },
    userNamespaces: { max: 63000, unprivilegedClone: true, apparmorRestricted: true },
  });
  const report = judge(
    laptop({ host, outcomes: outcomes({ mounts: "make mounts private: EACCES" }) }),
  );
  assert.not(report.works);
  assert.equal(report.missing, ["mounts"]);
  assert.match(report.item("mounts").found, "kernel.apparmor_restrict_unprivileged_userns is 1");
  assert.match(report.item("mounts").mend ?? "", "/etc/apparmor.d/sbx");
  assert.match(report.item("mounts").mend ?? "", "/home/alice/.cache/sbx/programs/*");
  // With the profile installed the switch is still on, and does not matter.
  assert.equal(states(judge(laptop({ host }))), { missing: [], limited: [] });
});

test("each of the switches for user namespaces is named", () => {
  const off = (userNamespaces: Facts["host"]["userNamespaces"], errno: string) =>
    judge(
      laptop({
        host: hostOf({ userNamespaces }),
        outcomes: outcomes({ user: `create: ${errno}` }),
      }),
    );
  const none = { max: null, unprivilegedClone: null, apparmorRestricted: null };
  const max = off({ ...none, max: 0 }, "ENOSPC").item("user-namespace");
  assert.match(max.found, "user.max_user_namespaces is 0");
  assert.match(max.mend ?? "", "user.max_user_namespaces=15000");
  const clone = off({ ...none, unprivilegedClone: false }, "EPERM").item("user-namespace");
  assert.match(clone.mend ?? "", "kernel.unprivileged_userns_clone=1");
  assert.match(off(none, "EINVAL").item("user-namespace").mend ?? "", "CONFIG_USER_NS");
  assert.match(off(none, "ENOSPC").item("user-namespace").mend ?? "", "user.max_user_namespaces");
});

test("a namespace that is missing can be shared, but for mount", () => {
  const lost = (name: TrialName, errno: string) =>
    judge(laptop({ outcomes: outcomes({ [name]: `create: ${errno}` }) }));
  const network = lost("network", "ENOSPC");
  assert.equal(network.flags, ["--network=host"]);
  assert.match(network.item("network-namespace").mend ?? "", "user.max_net_namespaces=15000");
  assert.equal(lost("cgroup", "EINVAL").flags, ["--cgroupns=host"]);
  assert.equal(lost("seccomp", "EINVAL").flags, ["--security-opt=seccomp=unconfined"]);
  assert.match(lost("cgroup", "EINVAL").item("cgroup-namespace").mend ?? "", "CONFIG_CGROUP_NS");
  assert.not(lost("mount", "EPERM").works);
  const time = lost("time", "EINVAL");
  assert.equal([time.works, time.flags, time.missing], [true, [], ["time-namespace"]]);
  assert.match(time.item("time-namespace").mend ?? "", "Linux 5.6");
});

test("why the full map could not be written", () => {
  const lost = (overrides: Partial<Facts>) => {
    const report = judge(
      laptop({ outcomes: outcomes({ idMap: "map ids: helper" }), ...overrides }),
    );
    assert.equal([report.works, report.flags], [true, ["--userns=single"]]);
    assert.match(report.summary, "with only your own id");
    return report.item("id-map");
  };
  const said = "newuidmap: uid range [1-65537) -> [100000-165536) not allowed";
  assert.is(lost({ complaints: [said] }).found, said);
  assert.match(lost({}).found, "map ids: helper failed");
  assert.match(lost({}).mend ?? "", "/etc/subuid and /etc/subgid for alice");
  assert.match(lost({ noNewPrivileges: true }).mend ?? "", "no_new_privs");
  assert.match(lost({ isContainer: true }).mend ?? "", "larger id map");
  const bare = { path: "/usr/bin/newuidmap", setuidRoot: false };
  assert.match(lost({ host: hostOf({ newuidmap: bare }) }).mend ?? "", "sudo chmod u+s");
  const mounts = [{ mountPoint: "/usr", type: "ext4", options: ["ro", "nosuid"] }];
  assert.match(lost({ host: hostOf({ mounts }) }).mend ?? "", "without nosuid");
});

test("root where setgroups is denied cannot run at all", () => {
  const maps = { ...fullMaps, uidMappings: [line(0, 0, 1)], helpers: null };
  const lost = outcomes({ idMap: "set supplementary groups: EPERM" });
  const report = judge(laptop({ host: rootHost(), maps, outcomes: lost }));
  assert.equal([report.works, report.missing], [false, ["id-map"]]);
  assert.match(report.item("id-map").mend ?? "", "/proc/self/setgroups");
  const user = judge(laptop({ outcomes: lost }));
  assert.equal([user.works, user.flags], [true, ["--userns=single"]]);
});

test("helpers with file capabilities instead of the set-user-ID bit", () => {
  const host = hostOf({
    newuidmap: { path: "/usr/bin/newuidmap", setuidRoot: false },
    newgidmap: { path: "/usr/bin/newgidmap", setuidRoot: false },
  });
  // CAP_SETUID is 7, CAP_SETGID 6.
  const capabilities = {
    newuidmapCapabilities: { failure: null, value: 0b1000_0000 },
    newgidmapCapabilities: { failure: null, value: 0b1000_0000 },
  };
  const report = judge(laptop({ host, outcomes: { ...outcomes(), ...capabilities } }));
  assert.is(report.item("newuidmap").found, "/usr/bin/newuidmap, with file capabilities");
  assert.equal(report.missing, ["newgidmap"]);
  assert.is(report.item("newgidmap").mend, "sudo chmod u+s /usr/bin/newgidmap");
});

test("real root needs neither subids nor helpers", () => {
  const maps = { ...fullMaps, uidMappings: [line(0, 0, 4294967295)], helpers: null };
  const host = { ...rootHost(), newuidmap: null, newgidmap: null };
  assert.equal(states(judge(laptop({ host, maps }))), { missing: [], limited: [] });
});

test("what a sandbox has of the network, and what it has not", () => {
  const { uplinks } = hostOf();
  const judged = (changes: Partial<typeof uplinks>) => {
    const host = hostOf({ uplinks: { ...uplinks, ...changes } });
    return judge(laptop({ host }));
  };
  assert.is(judged({}).item("way-out").found, "--network=auto, the default, takes pasta");
  assert.match(
    judged({}).item("slirp4netns").found,
    /seen as 10\.0\.2\.2, and ports of IPv6 are not/,
  );
  const old = judged({ pasta: { path: "/usr/bin/pasta", options: [] } });
  assert.equal(old.limited, ["pasta"]);
  assert.match(old.item("pasta").found, /the host is reached only with --host-loopback, and /);
  assert.match(old.item("pasta").mend ?? "", "passt of 2024-10");
  const second = judged({ pasta: null });
  assert.match(second.item("way-out").found, /takes slirp4netns: pasta was not found/);
  assert.is(second.item("way-out").mend, "sudo apt install passt");
  const closed = judged({ tun: false }).item("way-out");
  assert.equal([closed.state, closed.mend], ["missing", "See tun"]);
});

test("where programs can be executed", () => {
  const refusals = ["keep programs in /home: others may write to it"];
  const memory = judge(laptop({ programs: { kind: "memory", refusals } }));
  assert.equal([memory.works, memory.limited], [true, ["programs"]]);
  assert.match(memory.item("programs").found, refusals[0] ?? "");
  const nowhere = judge(
    laptop({ programs: { kind: "nowhere", refusals }, outcomes: null, memfdNoexec: 2 }),
  );
  assert.not(nowhere.works);
  assert.match(nowhere.summary, "cannot work here: programs: cannot be executed anywhere");
  assert.match(nowhere.item("programs").mend ?? "", "vm.memfd_noexec=1");
  assert.match(nowhere.item("overlay").found, "see programs");
});

test("a trial that came to no end", () => {
  const { idMap: _, ...others } = outcomes();
  const report = judge(laptop({ outcomes: others }));
  assert.equal([report.works, report.flags], [true, ["--userns=single"]]);
  assert.match(report.item("id-map").found, "came to no end");
});

test("kernels before 6.6 write to disk", () => {
  const disk = { failure: null, value: 0 };
  const facts = laptop({
    host: hostOf(),
    outcomes: {
      ...outcomes({ xattrs: "set a user xattr: EOPNOTSUPP" }),
      diskOverlay: disk,
      diskXattrs: disk,
    },
  });
  const report = judge(facts);
  assert.equal(states(report), { missing: [], limited: ["tmpfs-xattrs"] });
  assert.match(report.summary, "throw-away writes on disk");
  const untried = outcomes({ xattrs: "set a user xattr: EOPNOTSUPP" });
  const storeRefusal = "mkdir /home/alice/.cache: EROFS";
  const refused = judge({ ...facts, outcomes: untried, storeRefusal });
  assert.equal(states(refused), { missing: ["overlay"], limited: ["tmpfs-xattrs"] });
  assert.equal(refused.flags, ["--read-only"]);
  assert.match(refused.item("overlay").found, "mkdir /home/alice/.cache: EROFS");
});

test("whatever is missing or limited says how to mend it, or what it waits for", () => {
  const reports = [
    laptop({ outcomes: null, programs: { kind: "nowhere", refusals: [] } }),
    ...Object.keys(errnoNumbers).map((errno) =>
      laptop({ outcomes: outcomes(Object.fromEntries(everyTrial.map((n) => [n, `x: ${errno}`]))) }),
    ),
    laptop({ outcomes: {}, host: hostOf({ seccomp: { actions: null, isFiltered: false } }) }),
    laptop({
      host: hostOf({ seccomp: { actions: ["allow", "errno"], isFiltered: false } }),
      osRelease: "",
    }),
  ].map(judge);
  for (const { items } of reports) {
    for (const { id, state, found, mend } of items) {
      const isGood = state === "ok" ? mend === undefined : (mend ?? found).length > 10;
      assert.ok(isGood, `${id}: ${state}: ${found}`);
      if (state !== "ok" && mend === undefined)
        assert.match(found, /see (programs|user-namespace)$/);
    }
  }
});

test("packages by the family of the distribution", () => {
  const of = (...lines: string[]) => packageManager(lines.join("\n"));
  assert.is(of("NAME=x", "ID=debian"), "apt");
  assert.is(of("ID=linuxmint", 'ID_LIKE="ubuntu debian"'), "apt");
  assert.is(of('ID="almalinux"', 'ID_LIKE="rhel centos fedora"'), "dnf");
  assert.is(of("ID=alpine"), "apk");
  assert.is(of("ID=manjaro", "ID_LIKE=arch"), "pacman");
  assert.is(of('ID="opensuse-tumbleweed"', 'ID_LIKE="opensuse suse"'), "zypper");
  assert.is(of("ID='opensuse-leap'"), "zypper");
  assert.is(of("ID=nixos", "VERSION_ID=debian"), null);
  assert.is(install("newuidmap", "ID=alpine"), "sudo apk add shadow-uidmap");
  assert.is(install("slirp4netns", "ID=arch"), "sudo pacman -S slirp4netns");
  assert.match(install("pasta", "ID=nixos"), "may be called passt");
});

const report = {
  works: false,
  flags: [],
  summary: "sbx run cannot work here: a: bad",
  items: [
    { id: "good", state: "ok", found: "there" },
    { id: "half-good", state: "limited", found: "in\tpart\x1b[31m", mend: "more" },
    { id: "a", state: "missing", found: "bad", mend: "do it", consequence: { kind: "fatal" } },
  ],
} as const;

test("as text, for a file and for a terminal", () => {
  const lines = [
    "ok      good       there",
    "limited half-good  in part [31m",
    "                   -> more",
    "missing a          bad",
    "                   -> do it",
    "",
    "sbx run cannot work here: a: bad",
    "",
  ];
  assert.is(renderText(report, { utf8: false, terminal: false, colour: false }), lines.join("\n"));
  assert.is(
    renderText(report, { utf8: true, terminal: false, colour: false }),
    lines.join("\n").replaceAll("->", "→"),
  );
  const terminal = renderText(report, { utf8: true, terminal: true, colour: true });
  assert.is(terminal.split("\n")[0], "\x1b[32m✓\x1b[0m good       there");
  assert.is(terminal.split("\n")[3], "\x1b[31m✗\x1b[0m a          bad");
  assert.match(terminal, "\x1b[31msbx run cannot");
});

test("colour and marks only where they can be shown", () => {
  const utf8 = { LANG: "de_DE.UTF-8", TERM: "xterm" };
  assert.equal(screenOf(utf8, true), { utf8: true, terminal: true, colour: true });
  assert.equal(screenOf(utf8, false), { utf8: true, terminal: false, colour: false });
  assert.not(screenOf({ ...utf8, NO_COLOR: "1" }, true).colour);
  assert.ok(screenOf({ ...utf8, NO_COLOR: "" }, true).colour);
  assert.not(screenOf({ ...utf8, TERM: "dumb" }, true).colour);
  assert.not(screenOf({ ...utf8, LC_ALL: "C" }, true).utf8);
  assert.ok(screenOf({ LANG: "C", LC_CTYPE: "C.utf8" }, true).utf8);
  assert.not(screenOf({}, true).utf8);
});

test("as JSON, without what is for sbx itself", () => {
  const json = JSON.parse(renderJson(report, "1.2.3"));
  assert.equal(Object.keys(json), ["version", "works", "flags", "summary", "items"]);
  assert.equal([json.version, json.works], ["1.2.3", false]);
  assert.equal(json.items, [
    { id: "good", state: "ok", found: "there" },
    { id: "half-good", state: "limited", found: "in\tpart\x1b[31m", mend: "more" },
    { id: "a", state: "missing", found: "bad", mend: "do it" },
  ]);
});

const project = resolve(import.meta.dirname, "../..");

/** Runs the command itself, after `prefix`. */
function checked(prefix: readonly string[], json = true): Promise<SbxResult> {
  const url = JSON.stringify(join(project, "cmd/check.ts"));
  const code = `import(${url}).then(async ({ check }) => { process.exitCode = await check({ json: ${json} }); })`;
  const node = [process.execPath, "--import", "tsx", "-e", code];
  return start([...prefix, ...node], { cwd: project });
}

test.needs("mount namespaces", "this machine, where sbx run works", async () => {
  const { stdout, stderr, code } = await checked([]);
  assert.is(stderr, "");
  const json = JSON.parse(stdout);
  assert.equal([json.works, code], [true, 0]);
  const ids = judge(laptop()).items.map(({ id }) => id);
  assert.equal(
    json.items.map(({ id }: Finding) => id),
    ids,
  );
  const seccomp = json.items.find(({ id }: Finding) => id === "seccomp");
  const actions = readFileSync("/proc/sys/kernel/seccomp/actions_avail", "utf8").trim();
  assert.match(seccomp.found, `filters work: ${actions}`);
  const text = await checked([], false);
  assert.is(text.code, 0);
  assert.match(text.stdout, /^ok {6}user-namespace/m);
  assert.not.match(text.stdout, "\x1b");
});

test.needs(
  "mount namespaces",
  "where user namespaces are turned off it cannot, and says why",
  async () => {
    const script = `echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`;
    const within = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "0"];
    const { stdout, stderr, code } = await checked(within);
    assert.is(stderr, "");
    const json = JSON.parse(stdout);
    assert.equal([json.works, code], [false, 1]);
    const item = json.items.find(({ id }: Finding) => id === "user-namespace");
    assert.is(item.found, "user namespaces are turned off (user.max_user_namespaces is 0)");
    assert.match(item.mend, "user.max_user_namespaces=15000");
  },
);

test.needs(
  "mount namespaces",
  "where /proc is partly covered a fresh one is refused, and that is seen",
  async () => {
    const script = `mount --bind /dev/null /proc/version && exec "$@"`;
    const within = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "0"];
    const { stdout, code } = await checked(within);
    const json = JSON.parse(stdout);
    assert.is(code, json.works ? 0 : 1);
    const item = json.items.find(({ id }: Finding) => id === "proc");
    assert.match(item.found, "mount too revealing");
    assert.match(item.found, "/proc/version");
  },
);

test.run();
