/** Where writes go: the throw-away layer, in place, nowhere; the host's own root; odd paths. */
import * as fs from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { probe } from "../../launch/facts/probe.js";
import { attempt, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { copyBusyboxRootfs } from "../support/rootfs.js";
import { mountPoints, sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("rootfs");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const root = temporaryDirectory("rootfs");
let copies = 0;

/** A busybox rootfs of the test's own. */
function copy(name = `copy-${++copies}`): string {
  const path = join(root, name);
  copyBusyboxRootfs(path);
  return path;
}

/** Every path with type, mode, size, owner and time of change, to see whether anything was touched. */
async function state(path: string): Promise<string> {
  const format = "%p %y %m %s %U %G %T@ %C@\\n";
  return (await start(["find", path, "-printf", format])).stdout;
}

const change = `set -e
  echo new >/new; mkdir -p /a/b/c; echo over >/etc/passwd; rm /etc/issue; rm -r /var; mkdir /var
  mv /home/alice /home/carol; chmod 700 /etc; ln -s x /link; rmdir /srv; touch /srv; : >>/etc/group`;

test.needs(needs, "writes go to a throw-away layer, and the rootfs stays as it was", async () => {
  const rootfs = copy();
  const before = await state(rootfs);
  const script = `${change}; cat /new /etc/passwd; ls -A /var /home; ls /etc/[ip]*`;
  assert.is(
    await inside([], script, { rootfs }),
    "new\nover\n/home:\ncarol\n\n/var:\n/etc/passwd\n",
  );
  assert.is(await state(rootfs), before);
  assert.is(await inside([], "ls /etc/issue", { rootfs }), "/etc/issue\n");
});

test.needs(needs, "the root directory has the mode that it has outside", async () => {
  const rootfs = copy();
  for (const mode of [0o755, 0o711, 0o1777]) {
    fs.chmodSync(rootfs, mode);
    for (const options of [[], ["--in-place"], ["--read-only"]]) {
      const seen = await inside(options, "stat -c %a /", { rootfs });
      assert.is(seen.trim(), mode.toString(8), options.join());
    }
  }
});

test.needs(needs, "--in-place writes into the directory, and adds nothing of its own", async () => {
  const rootfs = copy();
  const list = async () => (await state(rootfs)).split("\n").map((line) => line.split(" ")[0]);
  const before = await list();
  await inside(["--in-place"], "true", { rootfs });
  assert.equal(await list(), before);
  await inside(["--in-place"], change, { rootfs });
  assert.is(fs.readFileSync(join(rootfs, "new"), "utf8"), "new\n");
  assert.is(fs.readFileSync(join(rootfs, "etc/passwd"), "utf8"), "over\n");
  assert.not.ok(fs.existsSync(join(rootfs, "etc/issue")));
  assert.equal(fs.readdirSync(join(rootfs, "dev")), []);
});

test.needs(needs, "--read-only refuses writes with EROFS, but for /dev", async () => {
  const rootfs = copy();
  const before = await state(rootfs);
  const script = `for p in /x /etc/x /tmp/x; do touch $p; done; echo x >/etc/passwd; chmod 700 /etc; rm /etc/group; echo x >/dev/shm/x && cat /dev/shm/x`;
  const { stdout, stderr } = await attempt(["--read-only", "--cap-add=ALL"], script, { rootfs });
  assert.is(stdout, "x\n");
  const lines = stderr.trim().split("\n");
  assert.is(lines.length, 6, stderr);
  assert.equal(
    lines.filter((line) => !line.includes("Read-only file system")),
    [],
  );
  const remount = "mount -o remount,rw / || mount -o remount,bind,rw /; touch /x";
  const { code } = await attempt(["--read-only"], remount, { rootfs });
  assert.is(code, 1);
  assert.is(await state(rootfs), before);
});

test.needs(needs, "a read-only rootfs that lacks the mount points says which", async () => {
  const rootfs = copy();
  fs.rmdirSync(join(rootfs, "sys"));
  assert.is(await inside([], "ls -d /sys", { rootfs }), "/sys\n");
  const { line, code } = await refusal(["--read-only"], [rootfs, "true"]);
  assert.is(code, 125);
  assert.match(line, /^sbx: .*\/sys.*Read-only file system \(EROFS\)\. .*make \/sys in the rootfs/);
});

for (const name of [
  "with a space",
  "with,comma",
  "with:colon",
  "with\\backslash",
  "with\\,both:",
  "lowerdir=x,upperdir=y",
  "-dash",
  "ünïcödé €😀",
  "tab\tand 'quotes\"",
  "%s%n$HOME`id`",
  "line\nbreak",
  `${"deep/".repeat(60)}end`,
]) {
  test.needs(needs, `a rootfs at ${JSON.stringify(name).slice(0, 40)}`, async () => {
    const base = fs.mkdtempSync(join(root, "odd-"));
    const rootfs = join(base, name);
    fs.mkdirSync(join(rootfs, ".."), { recursive: true });
    copyBusyboxRootfs(rootfs);
    assert.is(await inside([], "echo x >/new; cat /new", { rootfs }), "x\n");
    assert.not.ok(fs.existsSync(join(rootfs, "new")));
    await inside(["--in-place"], "echo x >/new", { rootfs });
    assert.ok(fs.existsSync(join(rootfs, "new")));
    assert.is((await attempt(["--read-only"], "touch /x", { rootfs })).code, 1);
  });
}

test.needs(
  needs,
  "a rootfs by relative path, through links, below /tmp and as a file",
  async () => {
    const rootfs = copy("real");
    fs.symlinkSync("real", join(root, "link"));
    for (const path of ["real", "./real/", "link", "link/../real/."]) {
      const result = await sbx(["run", path, "cat", "/etc/issue"], { cwd: root });
      assert.is(result.stdout, "busybox\n", path);
    }
    const here = await sbx(["run", ".", "cat", "/etc/issue"], { cwd: rootfs });
    assert.is(here.stdout, "busybox\n");
  },
);

test.needs(needs, "links of a hostile rootfs do not lead out of it", async () => {
  const rootfs = copy();
  const target = fs.mkdtempSync(join(root, "target-"));
  for (const name of ["dev", "proc", "sys"]) {
    fs.rmdirSync(join(rootfs, name));
    fs.symlinkSync(join(target, name), join(rootfs, name));
  }
  const before = await state(target);
  for (const options of [[], ["--in-place"]]) {
    // The links lead to where they do inside, and what is missing there is made.
    await inside(options, `[ -d ${target}/proc/1 ] && [ -c /dev/null ]`, { rootfs });
  }
  assert.is(await state(target), before);
});

// The host's own root.

test.needs(needs, "/ is a copy: what is written is seen inside alone", async () => {
  const name = `sbx-test-${process.pid}`;
  const paths = [
    `/${name}`,
    `/etc/${name}`,
    `/usr/${name}`,
    `${homedir()}/${name}`,
    `/tmp/${name}`,
  ];
  const before = mountPoints();
  const script = `for p in ${paths.join(" ")}; do echo x >$p && cat $p; done | wc -l; test -x /bin/sh && id -u; ls /tmp`;
  const seen = await inside([], script, { rootfs: "/" });
  assert.is(seen, `${paths.length}\n0\n${name}\n`);
  assert.equal(
    paths.filter((path) => fs.existsSync(path)),
    [],
  );
  assert.equal(mountPoints(), before);
});

test.needs(
  needs,
  "/ with files of the caller's: they can be changed, and stay as they were",
  async () => {
    const own = fs.mkdtempSync(join(homedir(), ".sbx-test-"));
    try {
      fs.mkdirSync(join(own, "a/b"), { recursive: true });
      fs.writeFileSync(join(own, "a/b/file"), "before");
      const script = `set -e; cd ${own}; cat a/b/file; echo changed >a/b/file; mv a/b/file a/moved; cat a/moved; rm -r a; ls`;
      assert.is(await inside([], script, { rootfs: "/" }), "beforechanged\n");
      assert.is(fs.readFileSync(join(own, "a/b/file"), "utf8"), "before");
    } finally {
      fs.rmSync(own, { recursive: true });
    }
  },
);

test.needs(needs, "/ hides what the caller may not read, and /run and /tmp", async () => {
  const { directories } = probe("/", process.env).rootfs;
  const hidden = (directories["/"] ?? []).filter((e) => e.type === "directory" && !e.readable);
  const empty = ["tmp", "run", ...hidden.map(({ name }) => name)];
  const script = `cd /; for d in ${empty.join(" ")}; do ls -A $d | wc -l; done`;
  assert.is(await inside([], script, { rootfs: "/" }), "0\n".repeat(empty.length));
});

test.needs(needs, "/ --read-only, and the host's devices and processes are not there", async () => {
  const { stderr } = await attempt(["--read-only"], "touch /x /etc/x /usr/x", { rootfs: "/" });
  assert.is(stderr.match(/Read-only file system/g)?.length, 3, stderr);
  const script =
    "ls /dev | tr '\\n' ' '; ls /proc | grep -c '^[0-9]'; grep -c ' /home ' /proc/mounts || true";
  const [devices = "", processes] = (await inside([], script, { rootfs: "/" })).split(/ (?=\d+\n)/);
  assert.not.match(devices, /sd|vd|kvm|kmsg|mem/);
  assert.ok(Number(processes?.split("\n")[0]) < 9);
});

test.run();
