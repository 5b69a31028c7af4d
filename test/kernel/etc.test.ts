/** The sandbox's own files of /etc, from inside, and what is left of them outside. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { copyBusyboxRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";

const test = suite("etc");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const root = temporaryDirectory("etc");
let copies = 0;

/** A busybox rootfs of the test's own, with an /etc/resolv.conf as the test has it. */
function copy(resolvConf: (path: string) => void = () => {}): string {
  const rootfs = join(root, `rootfs-${++copies}`);
  copyBusyboxRootfs(rootfs);
  resolvConf(join(rootfs, "etc/resolv.conf"));
  return rootfs;
}

test.needs(needs, "names follow --hostname and --add-host, and resolve", async () => {
  const script = "cat /etc/hostname; hostname; ping -c 1 -w 1 box >/dev/null; grep db /etc/hosts";
  const options = ["--hostname=box", "--add-host=db:10.0.0.7", "--add-host=db6:[fd00::7]"];
  assert.is(await inside(options, script), "box\nbox\n10.0.0.7\tdb\nfd00::7\tdb6\n");
});

test.needs(needs, "the host's network comes with its resolv.conf", async () => {
  const text = fs.readFileSync("/etc/resolv.conf", "utf8");
  assert.is(await inside(["--network=host"], "cat /etc/resolv.conf"), text);
  assert.not.match(await inside([], "cat /etc/resolv.conf"), /^nameserver/m);
});

test.needs(needs, "they can be written to, and the rootfs's stay as they were", async () => {
  const rootfs = copy((path) => fs.writeFileSync(path, "rootfs's\n"));
  for (const options of [[], ["--in-place"]]) {
    const script =
      "cd /etc; echo more >>resolv.conf; echo x >hostname; tail -n 1 resolv.conf; cat hostname";
    assert.is(await inside(options, script, { rootfs }), "more\nx\n");
    assert.is(fs.readFileSync(join(rootfs, "etc/resolv.conf"), "utf8"), "rootfs's\n");
    assert.is(fs.readFileSync(join(rootfs, "etc/hostname"), "utf8"), "busybox\n");
  }
  const { stderr } = await attempt(["--read-only"], "echo x >/etc/hostname", { rootfs });
  assert.match(stderr, "Read-only file system");
});

test.needs(needs, "nothing appears in a rootfs that has none of them", async () => {
  const rootfs = copy();
  for (const name of ["hostname", "issue"]) fs.rmSync(join(rootfs, "etc", name));
  const before = fs.readdirSync(join(rootfs, "etc"));
  const look = "ls /etc | tr '\\n' ' '";
  assert.is(
    await inside([], look, { rootfs }),
    `group hostname hosts ${fs.existsSync("/etc/localtime") ? "localtime " : ""}machine-id passwd resolv.conf `,
  );
  for (const options of [["--in-place"], ["--read-only"]]) {
    assert.is(await inside(options, look, { rootfs }), "group passwd ");
  }
  assert.equal(fs.readdirSync(join(rootfs, "etc")), before);
});

test.needs(needs, "a link of resolv.conf works as it does on systems that have one", async () => {
  for (const target of ["../run/systemd/resolve/stub-resolv.conf", "/run/elsewhere"]) {
    const rootfs = copy((path) => fs.symlinkSync(target, path));
    const seen = await inside(["--network=host"], "cat /etc/resolv.conf; ls /run", { rootfs });
    assert.match(seen, fs.readFileSync("/etc/resolv.conf", "utf8").trim());
    assert.equal(fs.readdirSync(join(rootfs, "run")), []);
  }
});

test.needs(needs, "/ has them too", async () => {
  const seen = await inside(["--hostname=box"], "cat /etc/hostname; grep -c box /etc/hosts", {
    rootfs: "/",
  });
  assert.is(seen, "box\n1\n");
});

test.needs(needs, "--no-hosts leaves the rootfs's, and has nothing to add to", async () => {
  const rootfs = copy();
  fs.writeFileSync(join(rootfs, "etc/hosts"), "rootfs's\n");
  assert.is(await inside(["--no-hosts"], "cat /etc/hosts", { rootfs }), "rootfs's\n");
  const { line, code } = await refusal(["--no-hosts", "--add-host=a:::1"], [rootfs]);
  assert.is(code, 125);
  assert.match(line, /^sbx: --no-hosts: cannot be given together with --add-host\. /);
  assert.match((await refusal(["--add-host=a:b"], [rootfs])).line, /must be NAME:IP/);
});

test.run();
