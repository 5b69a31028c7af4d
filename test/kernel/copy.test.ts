/** `sbx cp` and `sbx export`: what they copy, from where to where, and what they say when they cannot. */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, type SbxOptions, sbx } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("copy");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const directory = temporaryDirectory("copy");
process.env.XDG_DATA_HOME = join(directory, "data");
process.env.XDG_RUNTIME_DIR = temporaryDirectory("copy-run");

async function ok(words: readonly string[], options: SbxOptions = {}) {
  const result = await sbx(words, { cwd: directory, ...options });
  assert.equal([result.code, result.stderr], [0, ""], words.join(" "));
  return result;
}
const cp = (...words: string[]) => ok(["cp", ...words]);
const shell = async (name: string, script: string) =>
  (await ok(["exec", name, "sh", "-c", script])).stdout;
/** The one line with which it gives up. */
async function refusal(...words: string[]): Promise<string> {
  const { code, stderr } = await sbx(words, { cwd: directory });
  assert.is(code, 125, `${words.join(" ")}: ${stderr}`);
  assert.match(stderr, /^sbx: [^\n]+\n$/);
  return stderr;
}
const here = (name: string) => join(directory, name);
const text = (name: string) => fs.readFileSync(here(name), "utf8");
const listed = (archive: Uint8Array) =>
  spawnSync("tar", ["--numeric-owner", "-tv"], { input: archive, encoding: "utf8" }).stdout;

/** A sandbox `box` of that foreground command, as long as `act` takes. */
const box = async (options: readonly string[], act: () => Promise<void>) => {
  const all = ["--name=box", "--network=none", ...options];
  const kill = (pid: number) => act().finally(() => process.kill(pid, "SIGTERM"));
  await started(all, "echo ready; exec sleep 600", kill);
};

test.needs(needs, "what SRC and DST are decides where it goes, as with docker", async () => {
  await box([], async () => {
    await shell("box", "mkdir -p /d/sub /there; echo one >/d/a; ln /d/a /d/sub/b; ln -s a /d/l");
    await cp("box:/d/a", "new");
    assert.is(text("new"), "one\n");
    fs.mkdirSync(here("dir"));
    await cp("box:d/a", "dir");
    await cp("box:/d/l", "dir/");
    assert.is(text("dir/a"), "one\n");
    assert.is(fs.readlinkSync(here("dir/l")), "a");
    await cp("-L", "box:/d/l", "followed");
    assert.is(text("followed"), "one\n");
    for (const [words, root] of [
      [["box:/d", "absent"], "absent"],
      [["box:/d", "dir"], "dir/d"],
      [["box:/d/.", "dir"], "dir"],
      [["box:/d/", "absent2/"], "absent2"],
    ] as const) {
      await cp(...words);
      assert.is(text(`${root}/sub/b`), "one\n", root);
    }
    assert.is(fs.statSync(here("absent/a")).ino, fs.statSync(here("absent/sub/b")).ino);

    await cp("absent", "box:/in");
    await cp("absent", "box:/in");
    await cp("absent/.", "box:/there/");
    await cp("box:/d", "box:/there/again");
    const found = await shell("box", "cd /; find in there -type f | sort; stat -c %u:%g in/a");
    assert.is(
      found,
      "in/a\nin/absent/a\nin/absent/sub/b\nin/sub/b\nthere/a\nthere/again/a\nthere/again/sub/b\nthere/sub/b\n0:0\n",
    );
    // Through links, as inside.
    await shell("box", "ln -s /there /way; ln -s /there/target /file; echo old >/there/target");
    await cp("new", "box:/way");
    await cp("new", "box:/file");
    assert.is(
      await shell("box", "cat /there/new /there/target; readlink /file"),
      "one\none\n/there/target\n",
    );
    // A file that is mounted.
    await cp("new", "box:/etc/hosts");
    assert.is(await shell("box", "cat /etc/hosts"), "one\n");

    assert.match(await refusal("cp", "box:/none", "x"), /\/none: no such file.*ENOENT/);
    assert.match(await refusal("cp", "none", "box:/"), /copy none: no such file.*ENOENT/);
    assert.match(await refusal("cp", "new", "box:/none/"), /no such directory/);
    assert.match(await refusal("cp", "new", "box:/in/a/"), /ENOTDIR|no directory/);
    assert.match(await refusal("cp", "absent", "box:/d/a"), /place of a file/);
    await shell("box", "mkdir /there/x /x");
    fs.writeFileSync(here("x"), "x");
    assert.match(await refusal("cp", "x", "box:/there"), /place of a directory/);
    await cp("--overwrite", "x", "box:/there");
    assert.is(await shell("box", "cat /there/x"), "x");
    assert.match(await refusal("cp", "new", "other"), /neither of the two/);
    assert.match(await refusal("cp", "box:/d"), /two places/);
    assert.match(await refusal("cp", "box:", "x"), /no path is named/);
    assert.match(await refusal("cp", "nobody:/x", "x"), /find the sandbox nobody/);
    fs.writeFileSync(here("a:b"), "colon");
    await cp("./a:b", "box:/tmp/c:d");
    assert.is(await shell("box", "cat /tmp/c:d"), "colon");
  });
});

test.needs(
  needs,
  "a sandbox that sees the processes of this machine is copied from too",
  async () => {
    await box(["--pid=host"], async () => {
      await shell("box", "echo seen >/seen");
      await cp("box:/seen", "seen");
      assert.is(text("seen"), "seen\n");
    });
  },
);

test.needs([...needs, "subids"], "owners are root's inside, or those of the archive", async () => {
  await box(["--cap-add=ALL"], async () => {
    await shell("box", "cd /; mkdir d; echo >d/f; chown 1000:1001 d/f; chmod 4751 d/f; mkdir e");
    const { bytes } = await ok(["cp", "box:/d", "-"]);
    assert.match(listed(bytes), /-rwsr-x--x 1000\/1001 +1 .* d\/f\n/);
    await ok(["cp", "-", "box:/e"], { input: bytes });
    await ok(["cp", "-a", "-", "box:/tmp"], { input: bytes });
    await cp("-a", "box:/d", "box:/again");
    const stat = "stat -c '%u:%g %a' /e/d/f /tmp/d/f /again/f";
    assert.is(await shell("box", stat), "0:0 751\n1000:1001 4751\n1000:1001 4751\n");
    await cp("box:/d", "d");
    const { uid, mode } = fs.statSync(here("d/f"));
    assert.equal([uid, mode & 0o7777], [process.getuid?.(), 0o751]);
    const far = `uid=3000000000`;
    const other = spawnSync("tar", ["-c", "--format=pax", `--pax-option=${far}`, "new"], {
      cwd: directory,
    });
    const { code, stderr } = await sbx(["cp", "-a", "-", "box:/tmp"], { input: other.stdout });
    assert.equal([code, /EINVAL.*without --archive/.test(stderr)], [125, true], stderr);
  });
  await box(["--userns=keep-id"], async () => {
    await cp("new", "box:/tmp/");
    assert.is(await shell("box", "stat -c %u /tmp/new"), "0\n");
  });
  await box(["--userns=single", "--read-only"], async () => {
    await cp("new", "box:/dev/shm/");
    assert.is(await shell("box", "cat /dev/shm/new"), "one\n");
    assert.match(await refusal("cp", "new", "box:/new"), /EROFS.*--read-only/);
  });
});

test.needs(needs, "an archive goes into a directory, and a broken one is refused", async () => {
  await box([], async () => {
    const archive = spawnSync("tar", ["-c", "new", "absent"], { cwd: directory }).stdout;
    await shell("box", "mkdir /lib2; ln -s lib2 /lib3; echo >/f");
    await ok(["cp", "-", "box:/lib3"], { input: archive });
    assert.is(await shell("box", "cat /lib2/new /lib2/absent/a"), "one\none\n");
    const attempt = async (to: string, input: Uint8Array | string) =>
      (await sbx(["cp", "-", to], { input })).stderr;
    assert.match(await attempt("box:/none", archive), /there is no such directory/);
    assert.match(await attempt("box:/f", archive), /it is no directory/);
    assert.match(await attempt("box:/tmp", archive.subarray(0, 1100)), /Unexpected end of data/);
    assert.match(await attempt("box:/tmp", "x".repeat(5000)), /Invalid tar header/);
    const sparse = spawnSync("sh", ["-c", "truncate -s 1M hole; tar -cS hole"], { cwd: directory });
    assert.match(await attempt("box:/tmp", sparse.stdout), /without --sparse/);
  });
});

test.needs(
  needs,
  "many and large files come through whole, also where nobody reads on",
  async () => {
    await box([], async () => {
      const script =
        "mkdir /m; cd /m; for i in $(seq 300); do echo $i >$i; done; yes | head -c 20000000 >big";
      await shell("box", script);
      await cp("box:/m", "m");
      await cp("m", "box:/m2");
      const sums = "find . -type f | sort | xargs cat | md5sum";
      const [outside, inside] = [
        spawnSync("sh", ["-c", sums], { cwd: here("m"), encoding: "utf8" }).stdout,
        await shell("box", `cd /m; ${sums}; cd /m2; ${sums}`),
      ];
      assert.is(inside, outside + outside);
      const { status, stderr } = spawnSync(
        "sh",
        ["-c", `"$0" cp box:/m - | dd count=1 of=/dev/null 2>/dev/null`, command],
        {
          encoding: "utf8",
        },
      );
      assert.equal([status, stderr], [0, ""]);
    });
  },
);

test.needs(needs, "export has the root as it is seen inside, without what is mounted", async () => {
  await box(["-v", `${directory}:/vol`], async () => {
    await shell(
      "box",
      "echo own >/own; echo >/proc/self/comm; echo changed >/etc/passwd; rm /bin/false",
    );
    const { bytes } = await ok(["export", "box"]);
    const list = listed(bytes);
    assert.match(list, /^drwxr-xr-x 0\/0 +0 [^\n]* \.\n/);
    assert.match(list, / \.\/own\n/);
    assert.match(list, / \.\/bin\/busybox\n/);
    assert.not.match(list, /\.\/(proc|dev|sys|vol)\/|bin\/false\n/);
    await ok(["export", "-o", "root.tar", "box"]);
    assert.is(listed(fs.readFileSync(here("root.tar"))), list);
    assert.match(await refusal("export", "-o", "/nowhere/x", "box"), /ENOENT/);
    assert.match(await refusal("export"), /one sandbox/);
  });
  assert.equal(
    fs.readdirSync(directory).filter((name) => name.startsWith("root.tar")),
    ["root.tar"],
  );
});

test.needs(needs, "a kept sandbox need not run, and runs nothing for it", async () => {
  const volume = here("volume");
  fs.mkdirSync(volume);
  const id = (
    await ok(["create", "--name=kept", "-v", `${volume}:/vol`, busyboxRootfs(), "cat", "/new"])
  ).stdout.trim();
  await cp("new", "kept:/");
  await cp("new", "kept:/vol/");
  assert.is(fs.readFileSync(join(volume, "new"), "utf8"), "one\n");
  assert.match(listed((await ok(["export", "kept"])).bytes), / \.\/new\n/);
  assert.is((await ok(["start", "-a", "kept"])).stdout, "one\n");
  await cp("kept:/new", "back");
  await cp("kept:/new", "kept:/other");
  assert.match(await refusal("cp", "kept:/none", "x"), /ENOENT/);
  const own = join(directory, "data/sbx/sandboxes", id);
  assert.equal(
    fs.readdirSync(own).filter((name) => name.startsWith("held")),
    [],
  );
  assert.match((await ok(["ps", "-a"])).stdout, /Exited \(0\)/);
  // While its files are worked on nobody else gets it, and afterwards all is as before.
  const slow = spawn(command, ["cp", "-", "kept:/tmp"], { stdio: ["pipe", "ignore", "ignore"] });
  while (!fs.existsSync(join(own, "held/sandboxes/kept"))) await sleep(20);
  assert.match(await refusal("cp", "kept:/new", "x2"), /is just being started, or its files/);
  assert.match((await sbx(["start", "kept"])).stderr, /^sbx: [^\n]+\n$/);
  slow.stdin.end();
  await new Promise((resolve) => slow.once("close", resolve));
  assert.is((await ok(["start", "-a", "kept"])).stdout, "one\n");
  await ok(["rm", "kept"]);
});

test.run();
