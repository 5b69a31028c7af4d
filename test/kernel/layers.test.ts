/** Several layers, kept uppers, bounds, and every way to join them. */
import * as fs from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, compileTo, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs } from "../support/rootfs.js";
import { command, mountPoints, start } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("layers");
const kernel = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const fuse = ["unprivileged", "user namespaces", "busybox", "fuse-overlayfs"] as const;
const root = temporaryDirectory("layers");

/** A directory of the test's own with these files. */
function layer(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(root, name);
  for (const [file, text] of Object.entries(files)) {
    fs.mkdirSync(join(path, file, ".."), { recursive: true });
    fs.writeFileSync(join(path, file), text);
  }
  return path;
}

/** One with plain files alone, and few of them. */
function smallDirectory(parent: string): string {
  const found = fs.readdirSync(parent, { withFileTypes: true }).find((entry) => {
    if (!entry.isDirectory()) return false;
    const inside = fs.readdirSync(join(parent, entry.name), { withFileTypes: true });
    return inside.length > 0 && inside.length < 20 && inside.every((each) => each.isFile());
  });
  assert.ok(found);
  return join(parent, found?.name ?? "");
}

let uppers = 0;
const newUpper = () => join(root, `upper-${++uppers}`);

for (const [overlay, needs] of [
  ["kernel", kernel],
  ["fuse", fuse],
] as const) {
  const by = `--overlay=${overlay}`;

  test.needs(needs, `${overlay}: the topmost layer that has a file shows it`, async () => {
    const top = layer(`${overlay}/top`, { "etc/a": "top\n", "only/top": "" });
    const middle = layer(`${overlay}/middle`, { "etc/a": "middle\n", "etc/b": "middle\n" });
    const options = [by, "--lower", top, `--lower=${middle}`];
    const script =
      "cat /etc/a /etc/b /etc/issue; ls /only; echo x >/etc/b; rm /etc/a; ls /etc/[abp]*";
    const seen = await inside(options, script);
    assert.is(seen, "top\nmiddle\nbusybox\ntop\n/etc/b\n/etc/passwd\n");
    assert.is(fs.readFileSync(join(middle, "etc/b"), "utf8"), "middle\n");
    const { code, stderr } = await attempt([...options, "--read-only"], "cat /etc/a; echo >/x");
    assert.is(code, 1);
    assert.match(stderr, "Read-only file system");
  });

  test.needs(needs, `${overlay}: the users are those of the topmost layer`, async () => {
    const top = layer(`${overlay}/users`, { "etc/passwd": "carol:x:7:8::/:/bin/sh\n" });
    assert.is(await inside([by, "--lower", top, "--user=carol"], "id -u"), "7\n");
  });

  test.needs(
    needs,
    `${overlay}: a kept upper keeps, changes nothing below, and can be removed`,
    async () => {
      const rootfs = join(root, `rootfs-${overlay}`);
      copyBusyboxRootfs(rootfs);
      const upper = newUpper();
      await inside([by, "--upper", upper], "echo kept >/new; rm -r /home; mkdir /home", { rootfs });
      assert.is(fs.readFileSync(join(upper, "new"), "utf8"), "kept\n");
      assert.is(fs.statSync(upper).mode & 0o7777, fs.statSync(rootfs).mode & 0o7777);
      assert.ok(fs.existsSync(join(rootfs, "home/alice")) && !fs.existsSync(join(rootfs, "new")));
      assert.is(await inside([by, "--upper", upper], "cat /new; ls /home", { rootfs }), "kept\n");
      assert.is(fs.statSync(`${upper}.work`).mode & 0o777, 0o700);
      const { stderr } = await start(["rm", "-r", upper, `${upper}.work`]);
      assert.is(stderr, "");
    },
  );

  test.needs(needs, `${overlay}: an upper belongs to one sandbox at a time`, async () => {
    const upper = newUpper();
    const options = [by, `--upper=${upper}`];
    let line = "";
    const { code } = await started(options, "echo ready; cat", async (pid) => {
      ({ line } = await refusal(options, [busyboxRootfs(), "true"]));
      process.kill(pid, "SIGTERM");
    });
    assert.is(code, 143);
    assert.match(line, /open the upper directory .*EAGAIN.*Another sandbox writes to it/);
    assert.is(await inside(options, "echo free"), "free\n");
  });

  test.needs(needs, `${overlay}: --upper-size is what fits`, async () => {
    // fuse writes back later: the error comes with the last of it.
    const script = "dd if=/dev/zero of=/big bs=64k count=64 conv=fsync; df / | tail -1";
    const { stdout, stderr } = await attempt([by, "--upper-size=1m"], script);
    assert.match(stderr, "No space left on device");
    assert.match(stdout, /^\S+ +1024 /);
  });

  test.needs(needs, `${overlay}: 100 layers and more`, async () => {
    const names = Array.from({ length: 499 }, (_, index) => `${index}`);
    const layers = names.map((name) => layer(`${overlay}-many/${name}`, { [`of-${name}`]: name }));
    for (const count of [100, 499]) {
      const options = layers.slice(0, count).flatMap((path) => ["--lower", path]);
      const script = `ls / | grep -c ^of-; cat /of-0 /of-${count - 1}; echo x >/of-0`;
      assert.is(await inside([by, ...options], script), `${count}\n0${count - 1}`);
    }
  });

  test.needs(needs, `${overlay}: paths with what options are parted by`, async () => {
    for (const name of [
      "a,b",
      "a\\,b\\:",
      "c d",
      "ünï€😀",
      "upperdir=x,lowerdir=y",
      "-o",
      "%s\t'\"",
    ]) {
      const lower = layer(join(overlay, "odd", name, "lower"), { in: name });
      const rootfs = join(root, overlay, "odd", name, "rootfs");
      copyBusyboxRootfs(rootfs);
      const upper = join(root, overlay, "odd", name, `${name.replaceAll(":", "")}up`);
      const options = [by, `--lower=${lower}`, `--upper=${upper}`];
      assert.is(await inside(options, "cat /in; echo x >/new", { rootfs }), name);
      assert.ok(fs.existsSync(join(upper, "new")), name);
    }
  });

  test.needs([...needs, "subids"], `${overlay}: a kept upper under other id maps`, async () => {
    const upper = newUpper();
    const options = [by, `--upper=${upper}`];
    await inside([...options, "--userns=keep-id"], "echo x >/mine; id -u");
    assert.is(fs.statSync(join(upper, "mine")).uid, process.getuid?.());
    const { line } = await refusal([...options, "--userns=nomap"], [busyboxRootfs(), "true"]);
    assert.match(line, /upper directory .*no id inside/);
  });

  test.needs(needs, `${overlay}: nothing is left of it`, async () => {
    const mounts = mountPoints();
    await inside([by], "echo x >/new; sync");
    await inside([by, "--no-init"], "echo x >/new");
    assert.equal(mountPoints(), mounts);
  });
}

test.needs(kernel, "a kept upper with a colon in its name, by the kernel's overlay", async () => {
  const upper = join(root, "a:b,c\\");
  assert.is(await inside([`--upper=${upper}`], "echo x >/new; cat /new"), "x\n");
  assert.ok(fs.existsSync(join(upper, "new")));
  const { line } = await refusal(["--overlay=fuse", `--upper=${upper}`], [busyboxRootfs(), "true"]);
  assert.match(line, "no upper directory with a colon");
});

test.needs(
  kernel,
  "a rootfs below /tmp, where the pieces are mounted, is a layer as any",
  async () => {
    const lower = fs.mkdtempSync("/tmp/sbx-layer-");
    try {
      fs.writeFileSync(join(lower, "in-tmp"), "x");
      for (const by of ["--overlay=kernel", "--overlay=fuse"]) {
        const options = [
          by,
          `--lower=${lower}`,
          `--upper=${join(lower, `../${lower.slice(5)}.up`)}`,
        ];
        assert.is(await inside(options, "cat /in-tmp"), "x");
      }
    } finally {
      for (const end of ["", ".up", ".up.work"]) fs.rmSync(lower + end, { recursive: true });
    }
  },
);

test.needs(kernel, "without an overlay: read-only but for a few, and said aloud", async () => {
  const { stdout, stderr } = await attempt(
    ["--overlay=none", "--upper-size=64k"],
    "for p in /x /etc/x /tmp/x; do echo x >$p; done 2>&1; cat /tmp/x; ls -ld /tmp; df /tmp | tail -1",
  );
  assert.is(stdout.match(/Read-only file system/g)?.length, 2, stdout);
  assert.match(stdout, /^x\ndrwxrwxrwt .*\ntmpfs +64 /m);
  assert.match(stderr, /^sbx: the rootfs is read-only, .* \/tmp can be written to/);
});

test.needs(
  [...fuse, "bash"],
  "many preserved fds, and layers, do not get in each other's way",
  async () => {
    const lower = layer("beside-fds", { in: "layer\n" });
    for (const by of ["--overlay=kernel", "--overlay=fuse"]) {
      const script = `for n in {3..62}; do eval "exec $n</etc/os-release"; done
      exec "$0" run ${by} --preserve-fds=60 --lower=${lower} ${busyboxRootfs()} \\
        sh -c 'ls /proc/self/fd | wc -l; cat /in; wc -c </proc/self/fd/31'`;
      const { stdout, stderr } = await start(["bash", "-c", script, command]);
      const size = fs.statSync("/etc/os-release").size;
      assert.is(stdout, `64\nlayer\n${size}\n`, stderr);
    }
  },
);

test.needs(fuse, "what fuse-overlayfs says is part of the error", async () => {
  const program = await compileTo(join(root, "says"), ["--overlay=fuse", busyboxRootfs()], {
    fuse: { device: true, overlayfs: "/bin/ls" },
  });
  const { stderr, code } = await start([program, "true"]);
  assert.is(code, 125);
  // Whether the monitor sees its end first, or the init what that does to the mount.
  assert.match(
    stderr,
    /^sbx: (mount fuse-overlayfs on .*\(E\w+\)|start \/bin\/ls: it ended.*) \(\/bin\/ls: .*\)/,
  );
  const absent = await compileTo(join(root, "absent"), ["--overlay=fuse", busyboxRootfs()], {
    fuse: { device: true, overlayfs: "/nowhere/fuse-overlayfs" },
  });
  assert.match((await start([absent, "true"])).stderr, /\(it cannot be executed\)/);
});

test.needs(fuse, "nobody inside sees fuse-overlayfs, or has rights over it", async () => {
  // So many that it is no other's.
  const layers = Array.from({ length: 23 }, (_, index) => layer(`rights/${index}`, { x: "" }));
  const own = "lowerdir=0:.*:[2]3,";
  const by = ["--overlay=fuse", ...layers.map((path) => `--lower=${path}`)];
  const options = [...by, "--pid=host", "--cap-add=ALL"];
  const script = `for p in /proc/[0-9]*; do
      if grep -qs '${own}' $p/cmdline; then
        for what in root cwd fd environ; do cat $p/$what/x $p/$what; ls $p/$what/; done 2>&1 | grep -c 'ermission denied'
      fi
    done`;
  const { stdout } = await attempt(options, script);
  assert.ok(Number(stdout.split("\n")[0]) >= 6, stdout);
  assert.is(await inside(by, `grep -ls '${own}' /proc/[0-9]*/cmdline; echo`), "\n");
});

test.needs(
  fuse,
  "/ by fuse-overlayfs: files of the host's root can be changed, and stay as they were",
  async () => {
    const before = fs.readFileSync("/etc/passwd", "utf8");
    const small = smallDirectory("/usr/share");
    const name = `sbx-test-${process.pid}`;
    const script = `echo x >>/etc/passwd; rm -r ${small}; touch /usr/bin/${name} /${name}; tail -n1 /etc/passwd
    ls -A /tmp /run /var/tmp; ls -d ${small} /usr/bin/${name}`;
    const { stdout, stderr } = await attempt(["--overlay=fuse"], script, { rootfs: "/" });
    assert.is(stdout, `x\n/run:\n\n/tmp:\n\n/var/tmp:\n/usr/bin/${name}\n`, stderr);
    assert.is(fs.readFileSync("/etc/passwd", "utf8"), before);
    assert.ok(fs.existsSync(small) && !fs.existsSync(`/usr/bin/${name}`));
  },
);

test.needs(fuse, "/ with a layer or a kept upper", async () => {
  const lower = layer("over-host", { "etc/laid": "laid over\n" });
  const upper = fs.mkdtempSync(join(homedir(), ".sbx-test-"));
  try {
    const options = [`--lower=${lower}`, `--upper=${upper}`];
    const script = `cat /etc/laid; echo x >/etc/new; ls -A ${upper}`;
    assert.is(await inside(options, script, { rootfs: "/" }), "laid over\n");
    assert.is(fs.readFileSync(join(upper, "etc/new"), "utf8"), "x\n");
    assert.is(await inside(options, "cat /etc/new", { rootfs: "/" }), "x\n");
  } finally {
    await start(["rm", "-rf", upper, `${upper}.work`]);
  }
});

test.needs(kernel, "layers that are not there, or no directories", async () => {
  const file = join(layer("file", { x: "" }), "x");
  for (const [options, expected] of [
    [["--lower", join(root, "nowhere")], /open the layer .*ENOENT\)\. Make it/],
    [["--lower", file], /open the layer .*ENOTDIR\)\. Give a directory\.$/],
    [["--upper", join(root, "no/where")], /open the directory of the upper .*ENOENT/],
    [["--upper", file], /open the upper directory .*ENOTDIR/],
    [["--upper", `${busyboxRootfs()}/opt`], /lies inside/],
    [["--upper-size=0"], /above zero/],
    [["--upper-size=1k"], /\/etc\/resolv\.conf: .*ENOSPC\)\. .*give more with --upper-size/],
    [["--upper-size=1m", "--read-only"], /given together/],
    [["--upper=x", "--in-place"], /given together/],
    [["--overlay=fuse", "--read-only"], /nothing to be joined/],
  ] as const) {
    assert.match((await refusal(options, [busyboxRootfs(), "true"])).line, expected);
  }
});

test.needs(
  kernel,
  "a directory with files becomes an upper only with a work directory beside it",
  async () => {
    const upper = newUpper();
    fs.mkdirSync(upper);
    fs.writeFileSync(join(upper, "mine"), "mine\n");
    const { line, code } = await refusal([`--upper=${upper}`], [busyboxRootfs(), "true"]);
    assert.is(code, 125);
    assert.match(
      line,
      /open the upper directory .*it has files, and there is no .*\.work\. Name a new/,
    );
    fs.mkdirSync(`${upper}.work`);
    assert.is(await inside([`--upper=${upper}`], "cat /mine"), "mine\n");
  },
);

test.run();
