/**
 * What a hostile sandbox can do to commands that enter it: look at the process that does, keep its program,
 * its files or its directory, or lead it elsewhere. Its root has all capabilities here, and no filter.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { fields, temporaryDirectory } from "../support/inside.js";
import { run } from "../support/once.js";
import { sbx } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { leftNaming } from "../support/until.js";

const test = suite("escape by exec");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "subids", "gcc"] as const;
const directory = temporaryDirectory("escape-exec");
process.env.XDG_RUNTIME_DIR = directory;
const everything = ["--cap-add=ALL", "--security-opt=seccomp=unconfined"];
const idle = "echo ready; exec sleep 60";

/** A sandbox `box` as long as `act` takes; gives what it printed. */
const box = async (
  options: readonly string[],
  script: string,
  act: () => Promise<void>,
  rights: readonly string[] = everything,
) => {
  const { out } = await started(
    ["--name=box", "--network=none", ...rights, ...options],
    script,
    async (pid) => {
      await act().finally(() => process.kill(pid, "SIGTERM"));
    },
  );
  return out;
};
const exec = (options: readonly string[], ...words: string[]) =>
  sbx(["exec", ...options, "box", ...words], { env: { HOST_SECRET: "seen" } });

const watcher = join(directory, "watcher");
test.before(async () => {
  const source = join(import.meta.dirname, "../support/watcher.c");
  await run("gcc", ["-O1", "-Wall", "-Werror", "-static", "-o", watcher, source]);
});

test.needs(needs, "root inside sees nothing of a process before it is the command", async () => {
  const out = await box(["-v", `${watcher}:/watcher:ro`], "exec /watcher sbx", async () => {
    for (let round = 0; round < 15; round++) await exec(["-u", round % 2 ? "0" : "1000"], "true");
    await exec([], "touch", "/end");
  });
  assert.ok((out.match(/^seen /gm) ?? []).length > 3, `too few were caught:\n${out}`);
  assert.equal(out.match(/^leak .*$/gm) ?? [], []);
});

test.needs(
  needs,
  "signals from inside end a command that is on its way, and nothing else",
  async () => {
    for (const signal of [9, 15]) {
      const ends: [code: number | null, stderr: string][] = [];
      const script = `/watcher sbx ${signal}; exec sleep 60`;
      const out = await box(["-v", `${watcher}:/watcher:ro`], script, async () => {
        // On a busy machine the watcher may come too late for many.
        const isCaught = () => ends.some(([code]) => code === 128 + signal);
        while (ends.length < 15 || (!isCaught() && ends.length < 150)) {
          const { code, stderr } = await exec([], "true");
          ends.push([code, stderr]);
        }
      });
      const seen = (out.match(/^seen /gm) ?? []).length;
      assert.ok(seen > 0, out);
      const wanted = ends.map((_, index) => [index < seen ? 128 + signal : 0, ""]);
      assert.equal(
        ends.sort(([a], [b]) => Number(b) - Number(a)),
        wanted,
      );
    }
  },
);

test.needs(
  needs,
  "who kills what holds a command from inside kills the command alone",
  async () => {
    await box(["--pid=host"], idle, async () => {
      const mark = `sleep 97${process.pid}.5`;
      const { code, stderr } = await exec([], "sh", "-c", `kill -9 $PPID; exec ${mark}`);
      assert.equal([code, stderr], [137, ""]);
      assert.equal(await leftNaming(mark), []);
      assert.is((await exec([], "true")).code, 0);
    });
  },
);

test.needs(needs, "the program cannot be executed, kept or changed (CVE-2019-5736)", async () => {
  await box([], idle, async () => {
    const programs = [
      "ln -s /proc/self/exe /link",
      "printf '#!/proc/self/exe\\n' >/script; chmod 755 /script",
      "mount --bind /link /bin/false 2>/dev/null; ln -sf /proc/self/exe /bin/nologin",
    ];
    assert.is((await exec([], "sh", "-c", programs.join("; "))).code, 0);
    for (const path of ["/proc/self/exe", "/link", "/script", "nologin"]) {
      const { code, stderr } = await exec([], path);
      assert.is(code, 126, path);
      assert.match(stderr, /^sbx: run [^\n]*Permission denied \(EACCES\)/, path);
    }
  });
});

test.needs(needs, "no file and no directory of the host's is left (CVE-2024-21626)", async () => {
  await box([], idle, async () => {
    const { stdout } = await exec([], "sh", "-c", "ls -l /proc/self/fd /proc/self/cwd; pwd; env");
    assert.not.match(stdout, /HOST_SECRET|mnt:|\/proc\/\d+\/fd\n|cgroup|\.cache|memfd/);
    for (const fd of Array.from({ length: 24 }, (_, fd) => fd)) {
      const { code, stderr } = await exec(["-w", `/proc/self/fd/${fd}`], "pwd");
      assert.is(code, 125, `${fd}`);
      assert.match(stderr, /ELOOP|ENOENT|ENOTDIR/);
    }
    await exec([], "sh", "-c", "ln -s /proc/self/fd/7/../../.. /work; ln -s ../../../../.. /up");
    assert.is((await exec(["-w", "/work"], "pwd")).code, 125);
    assert.is(
      (await exec(["-w", "/up/../../.."], "sh", "-c", "pwd; ls -d /watcher")).stdout,
      "/\n",
    );
  });
});

test.needs(
  needs,
  "no capability is inheritable (CVE-2022-29162), and uid 1 is uid 1 (CVE-2016-3697)",
  async () => {
    const trap = "echo 1:x:0:0::/:/bin/sh >/etc/passwd; echo 1:x:0:1 >/etc/group";
    const look = async () => {
      for (const user of ["1", "1:1", "0"]) {
        const { stdout } = await exec(["-u", user], "cat", "/proc/self/status");
        const { Uid, CapInh, CapAmb, CapEff, CapPrm } = fields(stdout);
        const [uid = ""] = user.split(":");
        const none = "0000000000000000";
        assert.is(Uid, Array(4).fill(uid).join("\t"));
        assert.equal([CapInh, CapAmb], [none, none]);
        if (uid !== "0") assert.equal([CapEff, CapPrm], [none, none]);
      }
    };
    assert.is(await box([], `${trap}; ${idle}`, look, []), "ready\n");
  },
);

test.needs(needs, "what is mounted or linked in the place of terminals is not opened", async () => {
  const host = fs.existsSync("/dev/pts/ptmx") ? ["-v", "/dev:/host"] : [];
  await box(host, idle, async () => {
    const terminal = () => exec(["-t"], "true");
    assert.is((await terminal()).code, 0);
    for (const trap of [
      "umount -l /dev/pts || mount -t tmpfs none /dev/pts; mkfifo /dev/pts/ptmx",
      "mount -t tmpfs none /dev/pts; ln -s /proc/self/fd/0 /dev/pts/ptmx",
      "mount -t tmpfs none /dev; ln -s /host/pts /dev/pts",
      "rmdir /dev/pts; rm -f /dev/pts; ln -s /proc/self/fd /dev/pts",
      // It would do, but that it is not where terminals are.
      "rm /dev/pts; mkdir /dev/pts /own; mount -t devpts none /own; mount -t tmpfs none /dev/pts; touch /dev/pts/ptmx; mount --bind /own/ptmx /dev/pts/ptmx",
    ]) {
      await exec([], "sh", "-c", trap);
      const { code, stderr } = await terminal();
      assert.is(code, 125, trap);
      assert.match(stderr, /^sbx: open a terminal: /, trap);
    }
  });
});

test.needs(needs, "a shell that was replaced is executed inside as any other program", async () => {
  await box([], idle, async () => {
    const lines = ["#!/bin/busybox sh", "id -u", "echo replaced >&2; exit 9"].join("\\n");
    const replace = `rm /bin/sh; printf '${lines}' >/bin/sh; chmod 755 /bin/sh`;
    assert.is((await exec([], "sh", "-c", replace)).code, 0);
    const { code, stdout, stderr } = await exec(["-u", "1000"], "sh", "-c", "true");
    assert.equal([code, stdout, stderr], [9, "1000\n", "replaced\n"]);
    await exec([], "ln", "-sf", "/proc/1/exe", "/bin/sh");
    const linked = await exec([], "sh");
    assert.is(linked.code, 126);
    assert.match(linked.stderr, /^sbx: run sh: Permission denied \(EACCES\)/);
  });
});

test.needs(needs, "a payload in namespaces of its own is not followed there", async () => {
  const hidden =
    "unshare -mn sh -c 'mount -t tmpfs none /mnt; touch /mnt/own; exec sleep 60' & sleep 0.5";
  await box([], `${hidden}; ${idle}`, async () => {
    assert.is((await exec([], "ls", "/mnt")).stdout, "");
  });
});

test.run();
