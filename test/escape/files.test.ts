/** Files of a hostile rootfs that are not what they should be, and paths that look like options. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { hostileRootfs, makeCanary, replace, survives } from "../support/canary.js";
import { attempt, inside, temporaryDirectory } from "../support/inside.js";
import { start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("escape by files");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const canary = makeCanary();

const makeFifo = async (path: string) => {
  assert.is((await start(["mkfifo", path])).code, 0);
};

for (const name of ["passwd", "group"]) {
  const user = name === "passwd" ? "--user=alice" : "--user=0:staff";
  test.needs(needs, `/etc/${name} as a fifo does not hold sbx up`, async () => {
    const rootfs = hostileRootfs((root) => fs.rmSync(join(root, "etc", name)));
    await makeFifo(join(rootfs, "etc", name));
    const started = performance.now();
    const { code } = await survives(canary, [user, rootfs, "true"]);
    assert.is(code, 125);
    assert.ok(performance.now() - started < 20_000);
  });

  test.needs(
    needs,
    `/etc/${name} as a link to /dev/zero, and as a huge file, is not read`,
    async () => {
      for (const make of [
        (path: string) => fs.symlinkSync("/dev/zero", path),
        (path: string) => {
          fs.writeFileSync(path, "");
          fs.truncateSync(path, 2 ** 40);
        },
      ]) {
        const rootfs = hostileRootfs((root) => replace(join(root, "etc", name), make));
        const { code, stderr } = await survives(canary, [user, rootfs, "true"]);
        assert.is(code, 125, stderr);
      }
    },
  );
}

test.needs(needs, "what lies at /dev of the rootfs is no mask and no device", async () => {
  const rootfs = hostileRootfs((root) => {
    fs.writeFileSync(join(root, "dev/null"), "not the null device");
    fs.writeFileSync(join(root, "secret"), "secret");
  });
  await makeFifo(join(rootfs, "dev/zero"));
  const options = ["--security-opt=mask=/secret"];
  for (const mode of [[], ["--in-place"], ["--read-only"]]) {
    const script = "cat /secret; stat -c %t:%T /dev/null /dev/zero /secret /proc/keys";
    const seen = await inside([...mode, ...options], script, { rootfs });
    assert.is(seen, "1:3\n1:5\n1:3\n1:3\n");
  }
});

for (const name of ["hosts", "resolv.conf", "hostname", "machine-id"]) {
  test.needs(needs, `/etc/${name} as a fifo is mounted over, as a directory left`, async () => {
    const rootfs = hostileRootfs((root) => fs.rmSync(join(root, "etc", name), { force: true }));
    await makeFifo(join(rootfs, "etc", name));
    const { code } = await survives(canary, [rootfs, "true"]);
    assert.is(code, 0);
    replace(join(rootfs, "etc", name), (path) => fs.mkdirSync(path));
    assert.is((await attempt([], `[ -d /etc/${name} ]`, { rootfs })).code, 0);
  });
}

test.needs(needs, "names of whiteouts and of opaque directories are names", async () => {
  const rootfs = hostileRootfs((root) => {
    fs.writeFileSync(join(root, "etc/.wh.passwd"), "");
    fs.writeFileSync(join(root, "home/.wh..wh..opq"), "");
    fs.mkdirSync(join(root, ".wh.etc"));
  });
  const script = "grep -c alice /etc/passwd; ls -d /home/alice /etc";
  const user = ["--user=alice"];
  for (const mode of [[], ["--in-place"]]) {
    assert.is(await inside([...mode, ...user], script, { rootfs }), "1\n/etc\n/home/alice\n");
  }
});

test.needs(needs, "a proc that is covered before sbx looks is not written to", async () => {
  // A procfs of the rootfs's own, which the payload of an earlier sandbox may have left as files.
  const rootfs = hostileRootfs((root) => {
    fs.mkdirSync(join(root, "proc/sys/net/core"), { recursive: true });
    fs.writeFileSync(join(root, "proc/sys/net/core/somaxconn"), "fake");
    fs.mkdirSync(join(root, "proc/self"));
    fs.writeFileSync(join(root, "proc/self/oom_score_adj"), "fake");
  });
  const options = ["--sysctl=net.core.somaxconn=77", "--oom-score-adj=900"];
  const script = "cat /proc/sys/net/core/somaxconn /proc/self/oom_score_adj";
  for (const mode of [[], ["--in-place"]]) {
    assert.is(await inside([...mode, ...options], script, { rootfs }), "77\n900\n");
  }
  assert.is(fs.readFileSync(join(rootfs, "proc/self/oom_score_adj"), "utf8"), "fake");
});

const odd = [
  "x,lowerdir=OUT",
  "x:OUT",
  "x,upperdir=OUT/empty,workdir=OUT/empty",
  "x\\,y\\:OUT",
  "x,userxattr,metacopy=on",
  "\\",
  "x%s%n\u0007",
];

/** A name with the path of the canary in it, slashes and all, is a path of several directories. */
const named = (text: string) => text.replaceAll("OUT", canary.path);

for (const text of odd) {
  test.needs(needs, `a rootfs named ${JSON.stringify(text)} is that directory alone`, async () => {
    const parent = temporaryDirectory("odd");
    const rootfs = join(parent, named(text));
    fs.mkdirSync(join(rootfs, ".."), { recursive: true });
    fs.renameSync(
      hostileRootfs((root) => fs.writeFileSync(join(root, "own"), text)),
      rootfs,
    );
    for (const mode of [[], ["--read-only"], ["--in-place"]]) {
      const { stdout, code, stderr } = await survives(canary, [...mode, rootfs, "cat", "/own"]);
      assert.is(stdout, text, stderr);
      assert.is(code, 0);
    }
  });

  test.needs(needs, `${JSON.stringify(text)} as a name inside is no option either`, async () => {
    const path = named(text);
    const rootfs = hostileRootfs((root) => {
      fs.mkdirSync(join(root, "d", path), { recursive: true });
      fs.mkdirSync(join(root, "tree"));
      fs.mkdirSync(join(root, "tree/sub"));
    });
    const { stdout, stderr } = await survives(canary, ["-w", `/d/${path}`, rootfs, "pwd"]);
    assert.is(stdout, `/d/${path}\n`, stderr);
    // A colon parts the paths of this option.
    if (path.includes(":")) return;
    const masked = await survives(canary, [
      "--security-opt",
      `mask=/d/${path}`,
      rootfs,
      "sh",
      "-c",
      'touch "$1/x"',
      "0",
      `/d/${path}`,
    ]);
    assert.match(masked.stderr, "Read-only file system");
  });
}

for (const text of ["a,b", "a:b", "a\\b", "127.0.0.1 evil", "a\nevil"]) {
  test.needs(
    needs,
    `${JSON.stringify(text)} as a host name is refused, or no more than a name`,
    async () => {
      const { code, stdout } = await survives(canary, [
        "--hostname",
        text,
        hostileRootfs(() => {}),
        "sh",
        "-c",
        "grep -c . /etc/hosts; grep -cw evil$ /etc/hosts",
      ]);
      assert.ok(code === 125 || /^[23]\n0\n/.test(stdout), stdout);
    },
  );
}

test.run();
