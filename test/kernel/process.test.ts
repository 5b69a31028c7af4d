/** How the payload runs and ends: PID 1, exit statuses, stdio and pipes, what it leaves. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { command, processesNaming, sbx, start } from "../support/sandbox.js";
import { childrenOf, started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("process");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

test.needs(needs, "PID 1 is the init, which nobody inside can look into", async () => {
  const text = await inside(
    [],
    "echo $$ $PPID; grep -E '^(PPid|Uid|NSsid)' /proc/1/status; cat /proc/1/environ /proc/1/maps | wc -c; ls -l /proc/1/exe /proc/1/cwd /proc/1/fd; true",
  ).catch((error: Error) => error.message);
  assert.match(text, "2 1\nPPid:\t0\nUid:\t0\t0\t0\t0\n");
  assert.is(
    text.match(/'?\/proc\/1\/\w+'?: (cannot read link: )?Permission denied/g)?.length,
    5,
    text,
  );
});

test.needs(needs, "--no-init: the command itself is PID 1", async () => {
  assert.is(await inside(["--no-init"], "echo $$; readlink /proc/1/exe"), "1\n/bin/busybox\n");
  assert.is((await attempt(["--no-init"], "exit 42")).code, 42);
});

test.needs(needs, "the init reaps what is orphaned", async () => {
  const script =
    "for i in 1 2 3 4 5; do (true & sleep 0.05; (sleep 0.01 &) ); done; sleep 0.3; ps -o stat,pid,args | grep -c '^Z' || true; ps | wc -l";
  const [zombies, count] = (await inside([], script)).trim().split("\n");
  assert.is(zombies, "0");
  // The heading, the init, the shell, ps and wc.
  assert.ok(Number(count) <= 6, `${count}`);
});

test.needs(needs, "exit statuses are the payload's", async () => {
  const codes = [0, 1, 2, 41, 124, 125, 126, 127, 128, 129, 200, 254, 255];
  for (const code of codes) {
    const result = await attempt([], `exit ${code}`);
    assert.equal([result.code, result.stderr], [code, ""]);
  }
});

test.needs(needs, "a payload that dies of signal n: 128+n", async () => {
  for (const [name, number] of [
    ["HUP", 1],
    ["INT", 2],
    ["ABRT", 6],
    ["KILL", 9],
    ["SEGV", 11],
    ["PIPE", 13],
    ["TERM", 15],
  ] as const) {
    const result = await attempt(["--ulimit=core=0"], `kill -${name} $$; sleep 5`);
    assert.equal([result.code, result.stderr], [128 + number, ""], name);
  }
});

test.needs(needs, "125, 126 and 127, each with its message", async () => {
  const cases: [string[], number, RegExp][] = [
    [["nosuch"], 127, /^sbx: run nosuch: No such file or directory \(ENOENT\)\. /],
    [["/bin/nosuch"], 127, /^sbx: run \/bin\/nosuch: No such file or directory \(ENOENT\)\. /],
    [["/etc/passwd/x"], 127, /^sbx: run \/etc\/passwd\/x: Not a directory \(ENOTDIR\)\. /],
    [["/etc/passwd"], 126, /^sbx: run \/etc\/passwd: Permission denied \(EACCES\)\. .*chmod \+x/],
    [["/etc"], 126, /^sbx: run \/etc: Permission denied \(EACCES\)\. /],
  ];
  for (const init of [[], ["--no-init"]]) {
    for (const [words, code, expected] of cases) {
      const result = await refusal(init, [busyboxRootfs(), ...words]);
      assert.match(result.line, expected);
      assert.is(result.code, code);
    }
  }
  assert.is((await refusal(["-w", "/nosuch"], [busyboxRootfs(), "true"])).code, 125);
});

test.needs([...needs, "python3"], "flags of stdio stay: O_NONBLOCK and O_APPEND", async () => {
  const script = `
import os, subprocess, sys, fcntl
r, w = os.pipe()
fcntl.fcntl(r, fcntl.F_SETFL, os.O_NONBLOCK)
for before in (0, os.O_NONBLOCK):
    fcntl.fcntl(w, fcntl.F_SETFL, before)
    subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=w, stderr=w)
    print(fcntl.fcntl(w, fcntl.F_GETFL) == before | os.O_WRONLY, os.read(r, 99))
`;
  const words = [command, "run", busyboxRootfs(), "sh", "-c", "grep flags /proc/self/fdinfo/1"];
  const { stdout, stderr } = await start(["python3", "-c", script, ...words]);
  assert.is(stderr, "");
  const flags = (bits: string) => `True b'flags:\\t${bits}\\n'`;
  assert.is(stdout, `${flags("01")}\n${flags("04001")}\n`);
});

test.needs(needs, "8 MiB of binary data pass unharmed, both ways", async () => {
  const input = randomBytes(8 << 20);
  const result = await sbx(["run", busyboxRootfs(), "cat"], { input });
  assert.is(result.code, 0);
  assert.ok(result.bytes.equals(input));
});

test.needs(needs, "a reader that goes early ends it, quietly", async () => {
  const script = '"$0" run "$1" sh -c "yes; echo \\$? >&2" | head -n 1';
  const { stdout, stderr } = await start(["sh", "-c", script, command, busyboxRootfs()], {
    timeoutMs: 10_000,
  });
  assert.is(stdout, "y\n");
  assert.is(stderr, "141\n");
});

test.needs(needs, "what is in the background dies with the payload", async () => {
  const marker = `7${process.pid}.125`;
  const script = `trap '' HUP TERM INT; (setsid sleep ${marker} &); nohup sleep ${marker} >/dev/null 2>&1 & sleep 0.1; exit 5`;
  const before = performance.now();
  assert.is((await attempt([], script)).code, 5);
  assert.ok(performance.now() - before < 10_000);
  assert.equal(processesNaming(marker), []);
});

test.needs(needs, "the payload's session is its own, and it leads its process group", async () => {
  const [pid, , group, session] = (await inside([], "cut -d' ' -f1,4,5,6 /proc/$$/stat"))
    .trim()
    .split(" ");
  assert.equal([group, session], [pid, "1"]);
});

test.needs(needs, "the monitor is the program itself, and holds less than 64 KB", async () => {
  let pss: number[] = [];
  await started([], "echo ready; sleep 20", async (pid) => {
    assert.is(childrenOf(pid).length, 1);
    const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    pss = [Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1])];
    assert.match(fs.readlinkSync(`/proc/${pid}/exe`), /\/sbx\/(programs\/)?[0-9a-f]{32}$/);
    process.kill(pid, "SIGTERM");
  });
  assert.ok((pss[0] ?? 99) < 64, `${pss} KB`);
});

test.needs([...needs, "debian"], "a Debian bash: pipes, subshells, traps and wait", async () => {
  const rootfs = await debianRootfs();
  const script = `trap 'echo bye' EXIT; set -o pipefail; seq 1 100000 | sort -rn | head -n 1 || true; (exit 3) & wait $!; echo $?; kill -9 $BASHPID`;
  const result = await sbx(["run", rootfs, "bash", "-c", script]);
  assert.equal([result.stdout, result.code], ["100000\n3\n", 137]);
});

test.needs(
  needs,
  "a payload that is a link to /proc/self/exe finds no sandbox to break",
  async () => {
    // CVE-2019-5736: what is executed then is the program itself, a file of the host's.
    const rootfs = join(temporaryDirectory("process"), "rootfs");
    copyBusyboxRootfs(rootfs);
    fs.symlinkSync("/proc/self/exe", join(rootfs, "link"));
    fs.writeFileSync(join(rootfs, "script"), "#!/proc/self/exe\n", { mode: 0o755 });
    for (const name of ["/link", "/script", "/proc/self/exe"]) {
      for (const options of [[], ["--no-init"]]) {
        const { code, line } = await refusal(options, [rootfs, name, "sh", "-c", "echo inside"]);
        assert.is(code, 126);
        assert.match(line, /^sbx: start: .*through a link or as an interpreter/);
      }
    }
  },
);

test.run();
