import { totalmem } from "node:os";
import * as assert from "uvu/assert";
import { readFilter } from "../../cmd/filter.js";
import { specFromFlags } from "../../cmd/flags.js";
import { parseRun } from "../../cmd/parse.js";
import { defaultSpec } from "../../spec/default.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/flags");

const files: Record<string, string> = {
  "/env": "# a comment\n\nA=from file\n  B=x=y \r\nHOME\nC='quoted'\n",
  "/bad": "A=1\n=2\n",
};

const places = { absolute: (path: string) => `/here/${path}`, volumes: "/volumes" };
const findDisk = () => ({ major: 8, minor: 0 });
const readFile = (path: string) => files[path] ?? null;

/** The spec of a whole command line, as main makes it. */
function spec(...argv: string[]) {
  const { flags, rootfs, command } = parseRun(argv);
  return specFromFlags(flags, rootfs, command, { readFile, places, findDisk });
}
const options = (...argv: string[]) => spec(...argv, "/");

test("is the default spec where no flag is given", () => {
  assert.equal(spec("/srv/debian"), defaultSpec("/srv/debian"));
  assert.equal(spec("/", "ls", "-l").process.args, ["ls", "-l"]);
});

test("a flag that states a default changes nothing", () => {
  const argv = ["--rootless", "--userns=auto", "--pid=private", "--init", "--rm"];
  assert.equal(options(...argv, "-i", "--no-read-only", "--no-in-place"), defaultSpec("/"));
});

test("ids", () => {
  assert.equal(options("--userns=keep-id:uid=5,gid=6").sbx.userns, {
    mode: "keep-id",
    uid: 5,
    gid: 6,
  });
  assert.equal(options("--userns=nomap").sbx.userns, { mode: "nomap" });
  const { linux } = options("--uidmap=0:1000:1", "--uidmap", "1:100000:65536");
  assert.equal(linux.uidMappings, [
    { containerID: 0, hostID: 1000, size: 1 },
    { containerID: 1, hostID: 100000, size: 65536 },
  ]);
  assert.is(linux.gidMappings, undefined);
  assert.is(options("-u", "007:1e3").sbx.user, "007:1e3");
});

test("sharing a namespace takes it out and binds what shows it", () => {
  const shared = options("--pid=host", "--net=host", "--ipc=host", "--uts=host", "--cgroupns=host");
  assert.equal(shared.linux.namespaces, [{ type: "user" }, { type: "mount" }]);
  assert.is(shared.hostname, undefined);
  const bound = shared.mounts.filter(({ type }) => type === "bind");
  assert.equal(
    bound.map(({ destination }) => destination),
    ["/proc", "/sys", "/dev/shm", "/dev/mqueue"],
  );
  assert.throws(() => options("--uts=host", "--hostname=x"), /hostname: .*uts namespace/);
  assert.throws(
    () => options("--net=host", "--sysctl=net.ipv4.ip_forward=1"),
    /network namespace, which is shared/,
  );
});

test("clocks", () => {
  const both = options("--time-offset", "1d2h").linux;
  assert.equal(both.timeOffsets, { monotonic: { secs: 93600 }, boottime: { secs: 93600 } });
  assert.equal(both.namespaces.at(-1), { type: "time" });
  assert.equal(options("--time-offset=monotonic=-90,boottime=2m").linux.timeOffsets, {
    monotonic: { secs: -90 },
    boottime: { secs: 120 },
  });
  assert.throws(() => options("--time-offset=1d", "--no-init"), /--init: a time namespace/);
});

test("capabilities are carried on by full name, for the plan to work out", () => {
  const { sbx, process } = options(
    "--cap-add=net_admin,CAP_KILL",
    "--cap-drop=all",
    "--cap-add=KILL",
  );
  assert.equal(sbx.capAdd, ["CAP_NET_ADMIN", "CAP_KILL"]);
  assert.equal(sbx.capDrop, ["ALL"]);
  assert.is(process.capabilities, undefined);
});

test("security options", () => {
  const base = defaultSpec("/").linux;
  assert.is(options("--security-opt=no-new-privileges=false").process.noNewPrivileges, false);
  assert.is(options("--security-opt=no-new-privileges:true").process.noNewPrivileges, true);
  const all = options("--security-opt=unmask=ALL", "--security-opt=mask=/etc/a:/b").linux;
  assert.equal([all.maskedPaths, all.readonlyPaths], [["/etc/a", "/b"], []]);
  const some = options("--security-opt", "unmask=/proc/kcore:/proc/sys").linux;
  assert.equal(
    some.maskedPaths,
    base.maskedPaths?.filter((path) => path !== "/proc/kcore"),
  );
  assert.not(some.readonlyPaths?.includes("/proc/sys"));
  assert.ok(some.readonlyPaths?.includes("/proc/sysrq-trigger"));
  const glob = options("--security-opt", "unmask=/proc/*").linux;
  assert.equal(glob.maskedPaths, ["/sys/firmware", "/sys/devices/virtual/powercap"]);
  assert.equal(options("--security-opt", "unmask=/proc/s?s*").linux.readonlyPaths, [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
  ]);
});

test("the filter: a word, or a file whose profile has been read", () => {
  const keys = (...argv: string[]) => {
    const { seccomp, seccompFile, terminalInjection } = options(...argv).sbx;
    return [seccomp, seccompFile, terminalInjection];
  };
  assert.equal(keys("--seccomp=unconfined"), ["unconfined", undefined, undefined]);
  assert.equal(keys("--security-opt", "seccomp=p.json"), ["default", "p.json", undefined]);
  assert.equal(keys("--seccomp=./default"), ["default", "./default", undefined]);
  const last = ["--security-opt=seccomp=unconfined", "--security-opt=seccomp:default"];
  assert.equal(keys(...last, "--seccomp=default"), ["default", undefined, undefined]);
  assert.equal(keys("--security-opt=terminal-injection"), ["default", undefined, true]);
  assert.throws(
    () => keys("--seccomp=a", "--security-opt=seccomp=b"),
    /--seccomp a: contradicts --security-opt seccomp=b/,
  );
  const { flags } = parseRun(["--seccomp=p.json", "/"]);
  const profile = { defaultAction: "SCMP_ACT_ALLOW" };
  assert.equal(
    specFromFlags(flags, "/", [], { readFile, profile, places, findDisk }).linux.seccomp,
    profile,
  );
});

test("the file of a filter is read with its place in errors", async () => {
  const read = (text: string | null) => readFilter({ seccomp: "p.json" }, { readFile: () => text });
  assert.equal(await read('{"defaultAction": "SCMP_ACT_ALLOW"}'), {
    defaultAction: "SCMP_ACT_ALLOW",
  });
  assert.is(await readFilter({ seccomp: "unconfined" }, { readFile }), undefined);
  for (const [text, expected] of [
    [null, /--seccomp p\.json: No such file/],
    ["{", /p\.json:1:2/],
  ] as const) {
    const message = await read(text).catch((error: Error) => error.message);
    assert.match(`${message}`, expected);
  }
});

test("limits", () => {
  const { process, linux, sbx } = options(
    ...["--ulimit=nofile=1024:2048", "--ulimit", "core=-1", "--ulimit=nofile=5", "--umask=027"],
    ...["--oom-score-adj", "-5", "--sysctl=net.ipv4.x= a=b", "--preserve-fds=2", "--status-fd=9"],
  );
  assert.equal(process.rlimits, [
    { type: "RLIMIT_NOFILE", soft: 5, hard: 5 },
    { type: "RLIMIT_CORE", soft: "unlimited", hard: "unlimited" },
  ]);
  assert.is(process.oomScoreAdj, -5);
  assert.equal(linux.sysctl, { "net.ipv4.x": " a=b" });
  assert.equal([sbx.umask, sbx.preserveFds, sbx.statusFd], [0o27, 2, 9]);
  assert.throws(() => options("--preserve-fds=7", "--status-fd=9"), /--status-fd: 9 is among/);
  assert.throws(() => options("--sysctl=vm.swappiness=1"), /whole host/);
});

test("environment: files first, then flags; a bare name is inherited", () => {
  const { process, sbx } = options("-e", "B=2", "-e", "LANG", "--env-file=/env", "-e", "E=");
  assert.equal(process.env.slice(1), ["A=from file", "B=2", "C='quoted'", "E="]);
  assert.match(process.env[0] ?? "", /^PATH=/);
  assert.equal(sbx.inheritEnv, ["TERM", "HOME", "LANG"]);
  assert.is(sbx.inheritAllEnv, false);
  assert.is(options("--env-host").sbx.inheritAllEnv, true);
});

test("environment: a name is set or inherited once", () => {
  assert.equal(options("-e", "PATH=/bin", "-e", "TERM=dumb").process.env, [
    "PATH=/bin",
    "TERM=dumb",
  ]);
  assert.equal(options("-e", "TERM=dumb").sbx.inheritEnv, []);
  assert.equal(options("-e", "PATH").process.env, []);
  assert.equal(options("-e", "A=1", "-e", "A").process.env.length, 1);
  assert.equal(options("-e", "A=1", "-e", "A").sbx.inheritEnv, ["TERM", "A"]);
});

test("environment files are read with file and line in errors", () => {
  assert.throws(
    () => options("--env-file=/none"),
    /^sbx: --env-file \/none: No such file or directory \(ENOENT\)/,
  );
  assert.throws(() => options("--env-file=/bad"), /\/bad:2: must be NAME/);
});

test("entrypoint", () => {
  assert.equal(options("--entrypoint=/bin/ls").sbx.entrypoint, ["/bin/ls"]);
  assert.equal(options("--entrypoint=/bin/ls").process.args, []);
  const { sbx, process } = spec('--entrypoint=["sh", "-c"]', "/", "exit 3");
  assert.equal([sbx.entrypoint, process.args], [["sh", "-c"], ["exit 3"]]);
  assert.equal(options("--entrypoint=").process.args, ["/bin/sh"]);
});

test("files and running", () => {
  assert.is(options("--read-only").root.readonly, true);
  assert.is(options("--in-place").sbx.writes, "in-place");
  const { lowers, writes, upper } = options("--lower=a", "--lower", "b", "--upper", "u").sbx;
  assert.equal({ lowers, writes, upper }, { lowers: ["a", "b"], writes: "upper", upper: "u" });
  for (const [text, bytes] of [
    ["5", 5],
    ["5b", 5],
    ["2K", 2048],
    ["3m", 3 << 20],
    ["1g", 2 ** 30],
    ["1.5tib", 1.5 * 2 ** 40],
    ["50%", Math.floor(totalmem() / 2)],
  ] as const) {
    assert.is(options(`--upper-size=${text}`).sbx.upperSizeBytes, bytes);
  }
  for (const text of ["0", "-1", "1x", "1.5%", "%", "9999999999g"]) {
    assert.throws(() => options(`--upper-size=${text}`), /size above zero/);
  }
  assert.is(options("--no-init").sbx.init, false);
  assert.equal(
    [options("-t"), options("--no-tty"), options()].map(({ process }) => process.terminal),
    [true, false, undefined],
  );
  assert.is(options("-w", "/a/../b").process.cwd, "/b");
  assert.is(options("--domainname=d").domainname, "d");
});

test("refuses what cannot be, and says why", () => {
  assert.throws(() => options("--no-rootless"), /--no-rootless: sbx makes every sandbox in a user/);
  assert.throws(() => options("--rootless=false"), /--no-rootless/);
  assert.throws(() => options("--no-rm"), /others never are/);
  assert.throws(() => options("--no-interactive"), /<\/dev\/null/);
  assert.throws(() => options("--in-place", "--read-only"), /given together/);
  assert.throws(() => options("--overlay=magic"), /kernel.*fuse.*none/);
  for (const other of ["--lower=a", "--upper=u", "--upper-size=1", "--overlay=none"]) {
    assert.throws(() => options("--in-place", other), /given together/);
  }
  assert.throws(() => options("--userns=auto", "--gidmap=0:1:1"), /given together/);
});

test("tells what is wrong with the spec by the options that it was made of", () => {
  const told = {
    "--publish: cannot be forwarded": ["--network=none", "-p", "8080:80"],
    "--publish: takes the host's port 8080/tcp, and so does another": [
      "--network=pasta",
      "-p8080:80",
      "-p8080:81",
    ],
    "--sysctl net.ipv4.x: is a setting of the network": ["--network=host", "--sysctl=net.ipv4.x=1"],
    "--uidmap: overlaps": ["--uidmap=0:1000:1", "--uidmap=0:1001:1"],
    "--hostname: must be 1 to 64 bytes long": ["--hostname=a b"],
    "--memory-swap: it bounds": ["--memory-swap=1g"],
  };
  for (const [message, argv] of Object.entries(told)) {
    assert.throws(
      () => options(...argv),
      (error: Error) => error.message.startsWith(`sbx: ${message}`),
    );
  }
});

test.run();
