/** Payloads and rootfs that work against the sandbox; each of these has succeeded once. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, compileTo, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import { leftNaming } from "../support/until.js";

const test = suite("hostile");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

/** Before Linux 6.6 there is a janitor as well, which must not keep the guard waiting. */
const before = { kernel: { release: "6.1.0", major: 6, minor: 1 } };

for (const [name, program] of [
  ["", async () => [command, "run", "--no-init", "/"]],
  [
    ", with throw-away writes on disk too",
    async () => {
      const path = join(temporaryDirectory("outlives-on-disk"), "program");
      return [await compileTo(path, ["--no-init", "/"], before)];
    },
  ],
] as const) {
  test.needs(
    [...needs, "python3"],
    `without an init, a payload that takes back its death signal dies with the monitor${name}`,
    async () => {
      const marker = `sbx-outlives-${process.pid}-${name.length}`;
      const script =
        "import ctypes, time; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); print('on', flush=True); time.sleep(60)";
      const words = [...(await program()), "python3", "-c", script, marker];
      const pipe = join(temporaryDirectory("outlives"), "pipe");
      await start(["mkfifo", pipe]);
      // The shell knows the monitor's pid: the launcher and the program keep theirs.
      const kill = `"$@" >"$PIPE" & read -r _ <"$PIPE"; kill -9 $!; wait`;
      await start(["sh", "-c", kill, "0", ...words], { env: { PIPE: pipe } });
      assert.equal(await leftNaming(marker), []);
    },
  );
}

test.needs(
  [...needs, "python3"],
  "a payload that continues itself does not leave sbx stopped",
  async () => {
    const script = "while sleep 0.5; do kill -CONT $$; done & kill -STOP $$; exit 5";
    // In a job of its own, which the kernel does stop; an orphaned process group it would not.
    const job =
      "import os, subprocess, sys; sys.exit(subprocess.Popen(sys.argv[1:], preexec_fn=os.setpgrp).wait())";
    const words = [command, "run", busyboxRootfs(), "sh", "-c", script];
    const { code } = await start(["python3", "-c", job, ...words], { timeoutMs: 10_000 });
    assert.is(code, 5);
  },
);

test.needs(needs, "a path that is to be masked and is not there is an error", async () => {
  const { code, line } = await refusal(
    ["--security-opt", "mask=/typo"],
    [join(temporaryRootfs("typo")), "true"],
  );
  assert.is(code, 125);
  assert.match(line, /^sbx: mask \/typo: .*\(ENOENT\)\. .*nothing to mask/);
});

test.needs(needs, "a mask that is asked for hides the file", async () => {
  assert.is(await inside(["--security-opt", "mask=/etc/passwd"], "cat /etc/passwd"), "");
});

test.needs(
  needs,
  "a /proc that is led elsewhere during set-up is never an unmasked one",
  async () => {
    const rootfs = temporaryRootfs("flips");
    fs.rmdirSync(join(rootfs, "proc"));
    for (const name of ["px", "py"]) fs.mkdirSync(join(rootfs, name));
    const link = join(rootfs, "proc");
    fs.symlinkSync("/px", link);
    let flips = 0;
    const flip = setInterval(() => {
      for (let count = 0; count < 20; count++) {
        const next = `${link}.${flips}`;
        fs.symlinkSync(flips++ % 2 === 0 ? "/py" : "/px", next);
        fs.renameSync(next, link);
      }
    }, 0);
    // Whichever of the two is a procfs must have its kernel settings read-only and its keys masked.
    const script = `for p in /px /py; do
    [ -e $p/version ] || continue
    [ -s $p/keys ] && echo keys
    (: >$p/sys/kernel/printk_ratelimit) 2>/dev/null && echo writable
    grep -q " $p/sys " /proc/self/mountinfo $p/self/mountinfo 2>/dev/null || echo open
  done; echo seen`;
    const seen: string[] = [];
    try {
      for (let run = 0; run < 30; run++) {
        const { stdout, stderr, code } = await attempt(["--in-place"], script, { rootfs });
        if (code === 0) seen.push(stdout);
        else assert.match(stderr, /^sbx: /);
      }
    } finally {
      clearInterval(flip);
    }
    assert.equal(
      [...new Set(seen)].filter((text) => text !== "seen\n"),
      [],
    );
    assert.ok(flips > 100);
  },
);

function temporaryRootfs(name: string): string {
  const rootfs = join(temporaryDirectory(`hostile-${name}`), "rootfs");
  copyBusyboxRootfs(rootfs);
  return rootfs;
}

test.run();
