/** The log of a sandbox in the background: every byte, in files of a size, and what a full disk makes of it. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { lockKept } from "../../launch/life/kept.js";
import { background } from "../support/background.js";
import { temporaryDirectory } from "../support/inside.js";
import { run } from "../support/once.js";
import { patienceMs, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("logs");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const data = temporaryDirectory("log-data");

const digest = (text: string | Uint8Array) =>
  createHash("sha256")
    .update(typeof text === "string" ? Buffer.from(text, "latin1") : text)
    .digest("hex");
const options = ["--userns=single", "--network=none", "-v", `${data}:/data`];
const log = (maxSizeBytes: number, maxFiles: number) => ({ log: { maxSizeBytes, maxFiles } });

/** Bytes that look like no text, the same each time. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 1;
  for (let index = 0; index < size; index += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, index);
  }
  return bytes;
}

test.needs(needs, "100 MB of anything, and lines of any length", async () => {
  const binary = noise(100_000_000);
  fs.writeFileSync(join(data, "binary"), binary);
  const long = `${"x".repeat(1_000_000)}\n${"\n".repeat(5000)}${"y".repeat(8191)}\n${"z".repeat(8192)}\nend`;
  fs.writeFileSync(join(data, "long"), long);
  const sandbox = await background("cat /data/binary; cat /data/long >&2", {
    options,
    life: log(1e9, 2),
  });
  await sandbox.start();
  await sandbox.ended();
  const { stdout, stderr } = sandbox.output();
  assert.is(stdout.length, binary.length);
  assert.is(digest(stdout), digest(binary));
  assert.ok(stderr === long);
});

test.needs(needs, "files of a size, the oldest of which go", async () => {
  const script = "seq 1 300000; seq 1 1000 >&2";
  const all = await background(script, { life: log(1_000_000, 100) });
  await all.start();
  await all.ended();
  const numbers = Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join("");
  assert.is(digest(all.output().stdout), digest(numbers));
  assert.is(all.output().stderr.length, 3893);
  const files = fs.readdirSync(all.directory).filter((name) => name.startsWith("log"));
  assert.ok(files.length > 10);
  for (const name of files) {
    assert.ok(fs.statSync(join(all.directory, name)).size <= 1_000_000, name);
  }
  for (const [most, wanted] of [
    [3, ["log", "log.1", "log.2"]],
    [1, ["log"]],
  ] as const) {
    const few = await background(script, { life: log(100_000, most) });
    await few.start();
    await few.ended();
    const left = fs.readdirSync(few.directory).filter((name) => name.startsWith("log"));
    assert.equal(left.sort(), wanted);
    assert.ok(numbers.includes(few.output().stdout.slice(-50_000)));
  }
});

test.needs(
  needs,
  "goes on in the same file at the next start; none where none is wanted",
  async () => {
    const sandbox = await background("echo once");
    for (let count = 0; count < 2; count++) {
      await sandbox.start();
      await sandbox.until(({ status }) => status === "exited");
    }
    assert.is(sandbox.output().stdout, "once\nonce\n");
    const silent = await background("seq 1 100000; echo done >&2", { life: { log: null } });
    await silent.start();
    assert.is((await silent.ended()).exitCode, 0);
    assert.not(fs.existsSync(join(silent.directory, "log")));
  },
);

test.needs(needs, "a limit of file sizes ends neither the payload nor its monitor", async () => {
  const sandbox = await background("seq 1 100000; exit 3", { life: log(10_000_000, 2) });
  const script = `ulimit -f 100; exec ${sandbox.program}`;
  assert.is((await start(["sh", "-c", script])).code, 0);
  assert.is((await sandbox.ended()).exitCode, 3);
  const text = fs.readFileSync(join(sandbox.directory, "log"), "utf8");
  assert.ok(text.length <= 100 * 1024);
  assert.ok(text.endsWith("\n"));
});

test.needs(needs, "a fifo in the place of the log or the state keeps nobody waiting", async () => {
  for (const name of ["log", ".state"]) {
    const sandbox = await background("seq 1 20000; echo end >&2");
    await run("mkfifo", [join(sandbox.directory, name)]);
    const locked = () => lockKept(sandbox.directory);
    assert.is((await sandbox.start()).code, 0);
    // Its monitor holds the lock for life.
    const deadline = performance.now() + patienceMs;
    for (let fd = await locked(); fd === "busy"; fd = await locked()) {
      assert.ok(performance.now() < deadline, `${name}: it goes on`);
      await sleep(20);
    }
  }
});

/** Has the init tell late that the payload runs, who may have filled the disk by then. */
const late =
  "strace -f --seccomp-bpf -o /dev/null -e trace=sendto,sendmsg -e inject=sendto,sendmsg:delay_enter=700000";

for (const [when, around] of [
  ["", ""],
  [", also before it is known that it runs", late],
] as const) {
  const requirements = [...needs, ...(around === "" ? [] : (["strace"] as const))];
  const what = `a full disk${when}: the payload goes on, what is missing is told, the end is kept`;
  test.needs(requirements, what, async () => {
    const signs = temporaryDirectory("log-signs");
    // The monitor may still read what is in the pipe when the shell has written all: then it is not asleep.
    const waiting = (name: string) =>
      `until [ -e /signs/${name} ]; do sleep 0.05; done; echo ${name}`;
    const sandbox = await background(
      `seq 1 20000; touch /signs/said; ${waiting("later")}; ${waiting("last")}; exit 9`,
      { options: ["--userns=single", "--network=none", "-v", `${signs}:/signs`] },
    );
    const program = join(signs, "program");
    fs.copyFileSync(sandbox.program, program);
    const script = `
    cd / && mount -t tmpfs -o size=256k,mode=700 none ${sandbox.directory} && cd ${sandbox.directory} || exit 1
    setpriv --inh-caps=-all --ambient-caps=-all ${around} ${program} &
    until [ -e ${signs}/said ]; do sleep 0.05; done
    asleep() {
      found=
      for process in /proc/[0-9]*; do
        [ "$(readlink $process/exe)" = ${program} ] || continue
        grep -q "^State:.S" $process/status || return 1
        found=1
      done
      [ "$found" ]
    }
    until asleep; do sleep 0.1; done
    tail -n 1 log
    : >log
    touch ${signs}/later
    until grep -q later log; do sleep 0.05; done
    cat log
    cat /dev/zero >filler 2>&-
    touch ${signs}/last
    while ! grep -q exited state.json; do sleep 0.05; done
    rm filler; cat log | tail -n 1; cat state.json`;
    const { code, stdout, stderr } = await start([
      "unshare",
      "-cm",
      "--keep-caps",
      "sh",
      "-c",
      script,
    ]);
    assert.equal([code, stderr], [0, ""]);
    const [, torn = "", missing = "", later = "", last = "", state = "{}"] = stdout.split("\n");
    assert.match(torn, /^\S+Z stdout [FP] \d+$/);
    assert.match(
      missing,
      /^\S+Z stderr F sbx: \d+ bytes of output are missing here, which could not be written: No space left on device \(ENOSPC\)$/,
    );
    assert.match(later, /^\S+Z stdout F later$/);
    assert.match(last, /^\S+Z stdout F (later|last)$/);
    const { status, exitCode } = JSON.parse(state);
    assert.equal([status, exitCode], ["exited", 9]);
  });
}

test.run();
