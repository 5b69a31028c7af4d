/** `sbx diff` and `sbx rm` on uppers that hold files of other ids. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { recordOf, recordText, workOf } from "../../launch/store/kept-upper.js";
import { inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs } from "../support/rootfs.js";
import { command, sbx, start } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("kept uppers");
const needs = ["unprivileged", "user namespaces", "subids"] as const;

/** An upper over an empty directory, with a directory that is closed to the caller in it. */
async function makeUpper(): Promise<string> {
  const home = temporaryDirectory("upper");
  const upper = join(home, "up,per: \\");
  for (const path of [upper, join(home, "lower"), workOf(upper)]) fs.mkdirSync(path);
  const script =
    'cd "$0" && mkdir -p closed/dir "$0.work/work" && echo text >closed/dir/file && chown -R 7:7 closed && chmod 0 closed "$0.work/work"';
  const { code, stderr } = await sbx(["unshare", "sh", "-c", script, upper]);
  assert.is(code, 0, stderr);
  fs.writeFileSync(
    recordOf(upper),
    recordText({ lowers: [join(home, "lower")], overlay: "kernel" }),
  );
  return upper;
}

test.needs(needs, "diff shows what the caller may not read", async () => {
  const upper = await makeUpper();
  assert.throws(() => fs.readdirSync(join(upper, "closed")), /EACCES/);
  const tree = await sbx(["diff", upper]);
  assert.is(tree.stderr, "");
  assert.is(
    tree.stdout,
    `A           closed/
A             dir/
A      5 B      file
3 added, 0 changed, 0 deleted; 5 B
`,
  );
  const { stdout, code } = await sbx(["diff", "--json", upper]);
  assert.is(code, 0);
  const { entries, ...rest } = JSON.parse(stdout);
  assert.equal(rest, {
    upper,
    lowers: [join(upper, "../lower")],
    added: 3,
    changed: 0,
    deleted: 0,
    sizeBytes: 5,
  });
  assert.equal(entries[2], {
    path: "/closed/dir/file",
    change: "added",
    type: "file",
    sizeBytes: 5,
  });
  await sbx(["rm", upper]);
});

test.needs(
  needs,
  "diff --lower names what lies below, and is needed without a record",
  async () => {
    const upper = await makeUpper();
    const lower = temporaryDirectory("lower");
    fs.mkdirSync(join(lower, "closed"), { mode: 0 });
    fs.rmSync(recordOf(upper));
    const { code, stderr } = await sbx(["diff", upper]);
    assert.is(code, 125);
    assert.match(stderr, /^sbx: compare .*not known what lies below it\. .*--lower DIR\n$/);
    const { stdout } = await sbx(["diff", upper, "--lower", lower]);
    assert.match(stdout, /^C +closed\/\n/);
    await sbx(["unshare", "rm", "-r", upper, workOf(upper)]);
  },
);

test.needs(needs, "rm removes the upper and its work directory", async () => {
  const upper = await makeUpper();
  const { code, stdout, stderr } = await sbx(["rm", upper]);
  assert.equal([code, stdout, stderr], [0, "", ""]);
  assert.equal(fs.readdirSync(join(upper, "..")), ["lower"]);
});

test.needs(needs, "rm goes on where it was interrupted", async () => {
  const upper = await makeUpper();
  await sbx(["unshare", "rm", "-r", upper]);
  assert.is((await sbx(["rm", upper])).code, 0);
  assert.not.ok(fs.existsSync(workOf(upper)));
});

test.needs(needs, "rm refuses what is no upper of sbx's, and links to one", async () => {
  const upper = await makeUpper();
  const link = `${upper}-link`;
  fs.symlinkSync(upper, link);
  fs.symlinkSync(workOf(upper), workOf(link));
  for (const path of [join(upper, "../lower"), "/etc", join(upper, "../absent"), link]) {
    // All are looked at before any is removed.
    const { code, stderr } = await sbx(["rm", upper, path]);
    assert.is(code, 125);
    assert.match(stderr, /^sbx: remove the upper [^\n]+\n$/);
    assert.ok(fs.existsSync(upper) && fs.existsSync(join(upper, "../lower")));
  }
  await sbx(["rm", upper]);
});

test.needs(needs, "what is not there is said to be absent", async () => {
  const absent = join(temporaryDirectory("absent"), "upper");
  for (const command of ["rm", "diff"]) {
    const { code, stderr } = await sbx([command, absent]);
    assert.is(code, 125);
    assert.match(
      stderr,
      /^sbx: [^\n]+: there is no such directory \(ENOENT\)\. Correct the path\n$/,
    );
  }
});

test.needs(needs, "rm refuses what is in use", async () => {
  const upper = await makeUpper();
  const script = 'exec 9<"$1"; flock 9; exec "$2" rm "$1"';
  const words = ["sh", "-c", script, "0", upper, command];
  const { code, stderr } = await start(words);
  assert.is(code, 125);
  assert.match(stderr, /a sandbox is using it\. End that first\n$/);
  assert.ok(fs.existsSync(upper));
  await sbx(["rm", upper]);
});

for (const overlay of ["kernel", "fuse"] as const) {
  const here = [...needs, "busybox", overlay === "kernel" ? "overlay" : "fuse-overlayfs"] as const;

  test.needs(here, `${overlay}: what a sandbox did is what diff shows`, async () => {
    const home = temporaryDirectory("did");
    const [upper, rootfs, lower] = ["upper", "rootfs", "lower"].map((name) => join(home, name)) as [
      string,
      string,
      string,
    ];
    copyBusyboxRootfs(rootfs);
    fs.writeFileSync(join(rootfs, "etc/hosts"), "");
    fs.mkdirSync(join(lower, "opt"), { recursive: true });
    fs.writeFileSync(join(lower, "opt/lower"), "");
    const script = `set -e; rm /etc/issue /opt/lower; rm -r /home; mkdir /home
      echo 1 >/home/new; mkdir -m 700 /opt/shut; echo x >/opt/shut/x; chown -R 1000:1000 /opt/shut
      chmod 700 /srv; rm -r /var; echo more >>/etc/hosts; echo over >/etc/passwd`;
    const options = [`--overlay=${overlay}`, "--upper", upper, "--lower", lower];
    await inside(options, script, { rootfs });
    const { stdout, stderr } = await sbx(["diff", upper]);
    assert.is(stderr, "");
    assert.is(
      stdout,
      `            etc/
D             issue
C      5 B    passwd
            home/
D             alice/
A      2 B    new
            opt/
D             lower
A             shut/
A      2 B      x
C           srv/
D           var/
3 added, 2 changed, 4 deleted; 9 B
`,
    );
    assert.is((await sbx(["rm", upper])).stderr, "");
    assert.equal(fs.readdirSync(home).sort(), ["lower", "rootfs"]);
  });

  test.needs(here, `${overlay}: an upper that a sandbox uses is not removed`, async () => {
    const upper = join(temporaryDirectory("used"), "upper");
    await started([`--overlay=${overlay}`, "--upper", upper], "echo ready; cat", async (pid) => {
      const { code, stderr } = await sbx(["rm", upper]);
      assert.is(code, 125);
      assert.match(stderr, "a sandbox is using it");
      process.kill(pid, "SIGTERM");
    });
    assert.is((await sbx(["rm", upper])).code, 0);
  });
}

test.needs(
  [...needs, "busybox", "overlay"],
  "what another has laid where the record belongs is not written to, nor waited for",
  async () => {
    const home = temporaryDirectory("laid");
    const victim = join(home, "victim");
    fs.writeFileSync(victim, "text");
    const lay: Record<string, (work: string) => void> = {
      "link-to-file": (work) => {
        fs.mkdirSync(work);
        fs.symlinkSync(victim, join(work, "sbx.json"));
      },
      "link-to-directory": (work) => fs.symlinkSync(home, work),
      fifo: (work) => {
        fs.mkdirSync(work);
        spawnSync("mkfifo", [join(work, "sbx.json")]);
      },
    };
    for (const [name, act] of Object.entries(lay)) {
      const upper = join(home, name);
      act(workOf(upper));
      const { code, line } = await refusal(["--upper", upper], [busyboxRootfs(), "true"]);
      assert.is(code, 125, name);
      assert.match(line, /^sbx: open the upper directory .*\((ELOOP|ENOTDIR|ENXIO)\)\. /);
      if (name === "fifo") assert.match((await sbx(["rm", upper])).stderr, "it is no JSON");
    }
    assert.is(fs.readFileSync(victim, "utf8"), "text");
    assert.not.ok(fs.existsSync(join(home, "sbx.json")));
  },
);

test.needs([...needs, "busybox", "overlay"], "no mount point is made in a kept upper", async () => {
  const home = temporaryDirectory("points");
  const [upper, rootfs] = [join(home, "upper"), join(home, "rootfs")];
  copyBusyboxRootfs(rootfs);
  for (const name of ["proc", "sys", "dev"]) fs.rmdirSync(join(rootfs, name));
  fs.symlinkSync("../run/systemd/resolve/stub-resolv.conf", join(rootfs, "etc/resolv.conf"));
  const script = "ls -d /proc/self /sys/kernel /dev/null /dev/shm; cat /etc/resolv.conf; ls /etc";
  const seen = await inside(["--upper", upper], script, { rootfs });
  assert.match(
    seen,
    /^\/dev\/null\n\/dev\/shm\n\/proc\/self\n\/sys\/kernel\n# There is no name server/,
  );
  assert.match(seen, /hosts\n.*machine-id\n/s);
  assert.equal(fs.readdirSync(upper), []);
  assert.is((await sbx(["diff", upper])).stdout, "0 added, 0 changed, 0 deleted; 0 B\n");
  await sbx(["rm", upper]);
});

test.run();
