/** What -v, --mount, --tmpfs and --device show, and what they refuse. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, compileTo, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("bind mounts");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

/** A directory with a file and a directory in it. */
function source(): string {
  const path = temporaryDirectory("source");
  fs.writeFileSync(join(path, "file"), "text\n");
  fs.mkdirSync(join(path, "below"));
  return path;
}

const proc = { mountPoint: "/proc", type: "proc", options: [] };
const optionsOf = (point: string) => `grep ' ${point} ' /proc/self/mountinfo | cut -d' ' -f6,7`;

test.needs(
  needs,
  "a directory and a file, as root's inside, with podman's default flags",
  async () => {
    const path = source();
    const script = `cat /data/file /etc/one; stat -c %u:%g /data; ${optionsOf("/data")}; echo new >/data/new`;
    assert.is(
      await inside(["-v", `${path}:/data`, "-v", `${path}/file:/etc/one`], script),
      "text\ntext\n0:0\nrw,nosuid,nodev,relatime -\n",
    );
    assert.is(fs.readFileSync(join(path, "new"), "utf8"), "new\n");
  },
);

test.needs(
  needs,
  "sources are relative to where sbx runs, and may have commas and colons",
  async () => {
    const path = source();
    assert.is(await inside(["-v", "./file:/f"], "cat /f", { cwd: path }), "text\n");
    assert.is(await inside(["-v", "../x:/f"], "ls /f", { cwd: odd(path) }), "y\n");
    const name = join(path, "a,b:c\\d é");
    fs.mkdirSync(name);
    fs.writeFileSync(join(name, "seen"), "");
    assert.is(await inside([`--mount=type=bind,"src=${name}",dst=/d`], "ls /d"), "seen\n");
  },
);

function odd(path: string): string {
  fs.mkdirSync(join(path, "x"));
  fs.writeFileSync(join(path, "x/y"), "");
  return join(path, "below");
}

test.needs(needs, "flags are what they say, and read-only is so below as well", async () => {
  const path = source();
  const options = ["-v", `${path}:/a:ro,noexec`, "-v", `${path}:/b:dev,suid`];
  const script = `${optionsOf("/a")}; ${optionsOf("/b")}`;
  assert.is(await inside(options, script), "ro,nosuid,nodev,noexec,relatime -\nrw,relatime -\n");
  // A mount below the source, made in a mount namespace of the test's own.
  const outer = `mount -t tmpfs none "$0/below" && touch "$0/below/x" && exec "$@"`;
  const words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", outer, path];
  const look = "ls /a/below; touch /a/below/y; touch /a/z";
  const { stdout, stderr } = await start([
    ...words,
    command,
    ...["run", "--pid=host", "-v", `${path}:/a:ro`, busyboxRootfs(), "sh", "-c", look],
  ]);
  assert.is(stdout, "x\n");
  assert.is(stderr.match(/Read-only file system/g)?.length, 2, stderr);
});

test.needs(needs, "before Linux 5.12 each mount below is made read-only by itself", async () => {
  const path = source();
  const below = { mountPoint: join(path, "below"), type: "tmpfs", options: [] };
  const program = await compileTo(
    join(temporaryDirectory("old"), "program"),
    ["--userns=single", "--pid=host", "-v", `${path}:/a:ro`, busyboxRootfs()],
    {
      kernel: { release: "5.10.0", major: 5, minor: 10 },
      mounts: [below, proc],
      // As who unshare(1) makes of the caller.
      user: { uid: 0, gid: 0, name: "root", home: "/" },
      setgroupsDenied: true,
    },
  );
  const outer = `mount -t tmpfs none "$0/below" && touch "$0/below/x" && exec "$@"`;
  const unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", outer, path];
  const look = "ls /a/below; touch /a/below/y; touch /a/z";
  const { stdout, stderr } = await start([...unshare, program, "sh", "-c", look]);
  assert.is(stdout, "x\n", stderr);
  assert.is(stderr.match(/Read-only file system/g)?.length, 2, stderr);
});

test.needs(needs, "propagation: private unless it is asked for", async () => {
  const path = source();
  const script = "grep -c ' /[abc] .* \\(shared\\|master\\):' /proc/self/mountinfo || true";
  const options = ["-v", `${path}:/a`, "-v", `${path}:/b:rprivate`, "-v", `${path}:/c:rshared`];
  assert.is(await inside(options, script), "1\n");
});

test.needs(
  needs,
  "rslave: what is mounted later outside appears inside, rprivate: it does not",
  async () => {
    const path = source();
    // In a mount namespace of the test's own, once the sandbox says that it is there.
    const outer = `mount -t tmpfs none "$0" && mount --make-shared "$0" && mkdir "$0/in"
    "$@" & until [ -e "$0/ready" ]; do sleep 0.02; done
    mount -t tmpfs none "$0/in" && touch "$0/in/late" "$0/go"; wait`;
    const look =
      "touch /d/ready; until [ -e /d/go ]; do sleep 0.02; done; ls /d/in; rm /d/ready /d/go";
    for (const [option, expected] of [
      ["rslave", "late\n"],
      ["rprivate", ""],
    ] as const) {
      const run = [command, "run", "--pid=host", "-v", `${path}:/d:${option}`, busyboxRootfs()];
      const unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", outer, path];
      const { stdout, stderr } = await start([...unshare, ...run, "sh", "-c", look]);
      assert.equal([stdout, stderr], [expected, ""]);
    }
  },
);

test.needs(needs, "destinations are made, in their order, and over what is there", async () => {
  const path = source();
  const options = [
    ...["-v", `${path}:/new/deep/place/in`, "--tmpfs", "/new/deep:size=1m,mode=700"],
    ...["-v", `${path}/file:/etc/passwd`, "-v", `${path}/file:/var/run/one`],
  ];
  const script =
    "stat -c %a /new/deep; ls /new/deep/place/in; cat /etc/passwd /var/run/one; ls /run/one";
  const rootfs = join(temporaryDirectory("links"), "rootfs");
  copyBusyboxRootfs(rootfs);
  fs.symlinkSync("/run", join(rootfs, "var/run"));
  assert.is(await inside(options, script, { rootfs }), "700\nbelow\nfile\ntext\ntext\n/run/one\n");
});

test.needs(needs, "what cannot be mounted says why", async () => {
  const path = source();
  const rootfs = busyboxRootfs();
  for (const [options, expected] of [
    [["-v", "/no/such:/x"], /open the source \/no\/such: No such file or directory \(ENOENT\)\. /],
    [
      ["-v", `${path}:/etc/passwd`],
      /mount .* on \/etc\/passwd: one is a directory, the other is not/,
    ],
    [["-v", `${path}/file:/etc`], /mount .* on \/etc: one is a directory, the other is not/],
    [["-v", `${path}:/x`, "--tmpfs=/x"], /mount \/x: two mounts have that destination/],
    [
      ["--read-only", "-v", `${path}:/x`],
      /mount .* on \/x: .*\(EROFS\)\. .*make \/x in the rootfs/,
    ],
    [["-v", `${path}:/x:ro,rw`], /ro and rw exclude each other/],
    [["-v", "a/b:/x"], /is no name of a volume/],
    [["--device=/dev/null:/dev/x:r"], /access cannot be reduced to r/],
    [["--tmpfs=/x:size=much"], /size cannot be "much"\. As in size=64m/],
    [["--tmpfs=/x:sise=1m"], /is no option of such a mount/],
  ] as const) {
    const { line, code } = await refusal(options, [rootfs, "true"]);
    assert.is(code, 125);
    assert.match(line, expected);
  }
});

test.needs(needs, "a source that vanishes after it was looked for is an error", async () => {
  const { stderr, code } = await attempt(["-v", "/proc/self/task/1:/x"], "true");
  assert.is(code, 125);
  assert.match(stderr, "open the source");
});

test.needs([...needs, "fuse"], "--device: the node works, where a bind has nodev", async () => {
  const open = "exec 3<>/dev/fuse && echo opened";
  assert.is(await inside(["--device=/dev/fuse"], open), "opened\n");
  assert.match((await attempt(["-v", "/dev/fuse:/dev/fuse"], open)).stderr, "Permission denied");
});

test.needs(
  [...needs, "subids"],
  "U gives all to the user inside, and follows no link",
  async () => {
    const path = source();
    const canary = join(temporaryDirectory("canary"), "file");
    fs.writeFileSync(canary, "");
    fs.symlinkSync(canary, join(path, "below/link"));
    const deep = join(path, "below", ...Array.from({ length: 30 }, (_, index) => `${index}`));
    fs.mkdirSync(deep, { recursive: true });
    for (let index = 0; index < 300; index++) fs.writeFileSync(join(deep, `file ${index}`), "");
    const script = "find /d ! -user alice | wc -l; find /d -user alice | wc -l";
    assert.is(await inside(["--user=alice", "-v", `${path}:/d:U`], script), "0\n334\n");
    assert.is(fs.statSync(canary).uid, process.getuid?.());
    assert.is(await inside(["-v", `${path}:/d:U`], "find /d ! -user root | wc -l"), "0\n");
    const { stderr } = await attempt(
      ["--userns=single", "--user=0:0", "-v", `${path}:/d:U`, "-v", "/usr/share:/usr2:U"],
      "true",
    );
    assert.match(stderr, /give all of \/usr\/share to uid 0.*subordinate ids/);
  },
);

test.run();
