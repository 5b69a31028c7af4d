/** What people do in a root filesystem: install packages, unpack, clone, compile. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, inside, temporaryDirectory } from "../support/inside.js";
import { debianPackages, debianRootfs } from "../support/rootfs.js";
import { sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("real work");
const needs = ["unprivileged", "user namespaces", "subids", "overlay", "debian"] as const;
const timeoutMs = 10 * 60_000;

/** A minbase Debian of the test's own, in which the first test installs a compiler and git. */
let rootfs = "";

test.after(async () => {
  if (rootfs !== "") await sbx(["unshare", "rm", "-rf", rootfs]);
});

/** Bytes of a tar archive of a directory. */
async function archive(directory: string, ...paths: string[]): Promise<Buffer> {
  const { code, stderr, bytes } = await start(["tar", "-cf", "-", "-C", directory, ...paths]);
  assert.is(code, 0, stderr);
  return bytes;
}

test.needs(needs, "apt-get install from a directory of .deb files, without a network", async () => {
  const copy = join(temporaryDirectory("realwork"), "rootfs");
  const source = await debianRootfs();
  await sbx(["unshare", "cp", "-a", source, copy], { timeoutMs });
  rootfs = copy;
  const packages = await debianPackages();
  const names = fs.readdirSync(packages).filter((name) => name.endsWith(".deb"));
  const script = `set -e
    mkdir /debs; tar -x -C /debs
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y /debs/*.deb >/var/log/install 2>&1 || { cat /var/log/install; exit 1; }
    rm -r /debs; git --version; gcc -dumpmachine; dpkg --audit`;
  const { code, stdout, stderr } = await attempt(["--in-place"], script, {
    rootfs,
    input: await archive(packages, ...names),
    timeoutMs,
  });
  assert.is(code, 0, stdout + stderr);
  assert.match(stdout, /^git version [^\n]+\n\w+-linux-gnu\n$/);
  assert.is(stderr, "");
  // Of other users and groups, set-group-ID among it.
  assert.is(await inside([], "stat -c '%U:%G %a' /var/mail", { rootfs }), "root:mail 2775\n");
});

test.needs(needs, "dpkg -i of a package whose files and user are its own", async () => {
  const debian = await debianRootfs();
  const script = `set -e
    mkdir -p /p/DEBIAN /p/var/lib/thing && cd /p
    printf 'Package: thing\\nVersion: 1\\nArchitecture: all\\nMaintainer: n <n@example.org>\\nDescription: d\\n' >DEBIAN/control
    printf '#!/bin/sh\\nset -e\\nuseradd -r -u 765 thing\\nchown -R thing:thing /var/lib/thing\\n' >DEBIAN/postinst
    printf '#!/bin/sh\\n[ "$1" != purge ] || userdel thing\\n' >DEBIAN/postrm
    chmod 755 DEBIAN/post*; echo data >var/lib/thing/data; cd /
    dpkg-deb --root-owner-group -b /p /thing.deb >/dev/null
    dpkg -i /thing.deb >/dev/null
    stat -c '%U:%G' /var/lib/thing/data
    setpriv --reuid=thing --regid=thing --clear-groups sh -c 'echo more >>/var/lib/thing/data; id -un'
    dpkg -P thing >/dev/null; ls /var/lib/thing 2>&1 | wc -l; getent passwd thing || echo gone`;
  assert.is(
    await inside([], script, { rootfs: debian, timeoutMs }),
    "thing:thing\nthing\n1\ngone\n",
  );
});

test.needs(needs, "tar -x keeps owners, modes, links and times", async () => {
  const debian = await debianRootfs();
  const script = `set -e
    mkdir /a && cd /a && mkdir -m 2750 d && echo 1 >d/f && ln d/f hard && ln -s d/f soft && mkfifo pipe
    chown -h 1000:1001 d d/f soft pipe && chmod 4711 d/f && touch -h -d 2001-02-03 d/f soft
    tar -C /a -cf /a.tar . && mkdir /b && tar -xpf /a.tar -C /b
    list() { cd $1 && find . -printf '%p %y %m %n %U %G %l %T+ %s\\n' | grep -v '^\\. ' | sort; }
    list /a >/l1; list /b >/l2; sed -i '/^.\\/pipe\\|^.\\/d d/s/ 2.*//' /l1 /l2
    cmp /l1 /l2; grep -c 'f f 4711 2 1000 1001' /l2`;
  assert.is(await inside([], script, { rootfs: debian }), "1\n");
});

test.needs(needs, "git clone of a local repository, and a compile of it", async () => {
  assert.ok(rootfs !== "", "the packages were not installed");
  const script = `set -e
    git init -q /origin && cd /origin
    printf '#include <stdio.h>\\nint main(void) { puts("compiled"); }\\n' >main.c
    git add main.c; git -c user.name=n -c user.email=n@example.org commit -qm first
    git clone -q /origin /home/clone && cd /home/clone
    git log --oneline | wc -l; gcc -O2 -o /usr/local/bin/it main.c && it`;
  for (const options of [[], ["--userns=keep-id", "--user=0"]]) {
    assert.is(await inside(options, script, { rootfs, timeoutMs }), "1\ncompiled\n");
  }
});

test.needs(needs, "what a sandbox installed goes as it came: sbx unshare removes it", async () => {
  const all = rootfs;
  assert.is((await sbx(["unshare", "rm", "-rf", all], { timeoutMs })).code, 0);
  rootfs = "";
  assert.not.ok(fs.existsSync(all));
});

test.run();
