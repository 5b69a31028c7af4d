/** `sbx attach`: terminals and pipes of sandboxes that run in the background. */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { compileAttached } from "../../cmd/attach.js";
import { callersPlaces, findRunning } from "../../launch/life/sandboxes.js";
import { opensOf } from "../support/held.js";
import { temporaryDirectory } from "../support/inside.js";
import { outerShell } from "../support/outer-shell.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import type { Terminal } from "../support/terminal.js";
import { until } from "../support/until.js";

const test = suite("attach");
const plain = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const tmux = [...plain, "tmux"] as const;
const directory = temporaryDirectory("attach");
process.env.XDG_DATA_HOME = directory;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("run");

/** Makes a sandbox in the background that runs a shell script; gives its name. */
let made = 0;
async function background(options: readonly string[], script: string): Promise<string> {
  const name = `bg${++made}`;
  const words = ["run", "-d", `--name=${name}`, ...options, busyboxRootfs(), "sh", "-c", script];
  const { code, stderr } = await sbx(words);
  assert.equal([code, stderr], [0, ""]);
  return name;
}

const attached = (...words: string[]) => client(command, "attach", ...words);

/** A client whose standard input is open; it tells when it is attached. */
function client(file: string, ...words: string[]) {
  const child = spawn(file, words);
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal })),
  );
  const has = (text: string) => until(`it says ${text}`, () => `${out}${err}`.includes(text));
  /** The client has become the program, and waits for messages, when it has opened its monitor. */
  const isAttached = async () => {
    const hasMonitor = () => opensOf(child.pid ?? 0).some((link) => link.includes("pidfd"));
    await until("it is attached", hasMonitor);
  };
  return { child, ended, has, isAttached, out: () => out, err: () => err };
}

const inTerminal = (act: (terminal: Terminal) => Promise<void>) => outerShell(busyboxRootfs(), act);

test.needs(plain, "passes input, both outputs and the exit status on", async () => {
  const name = await background(["-i"], "while read x; do echo got $x; echo err >&2; done; exit 7");
  const { code, stdout, stderr } = await sbx(["attach", name], { input: "a\nb\n" });
  assert.equal([code, stdout, stderr], [7, "got a\ngot b\n", "err\nerr\n"]);
  const again = await sbx(["attach", name]);
  assert.is(again.code, 125);
  assert.is(
    again.stderr,
    `sbx: find the sandbox ${name}: it is not running. Start it: sbx start ${name}\n`,
  );
});

test.needs(plain, "input that nobody reads does not keep the exit status back", async () => {
  // Of a terminal the monitor leaves input unread: what closes its socket then is an error, before what it sent.
  const unread = async (...options: string[]) => {
    const name = await background(options, "test ! -t 0 || stty raw; sleep 5; echo done; exit 6");
    const one = attached(name);
    // More than a pipe or a terminal has room for, and less than the socket has besides.
    one.child.stdin.write(randomBytes(100_000));
    await one.isAttached();
    await sleep(500);
    one.child.kill("SIGSTOP");
    assert.is((await sbx(["wait", name])).stdout, "6\n");
    one.child.kill("SIGCONT");
    assert.equal(await one.ended, { code: 6, signal: null });
    assert.match(one.out(), /done\n$/);
  };
  await Promise.all([unread("-i"), unread("-it")]);
});

test.needs(
  plain,
  "start --attach has all from the first byte on, and the exit status",
  async () => {
    const script = "echo first; read x; echo got $x >&2; exit 9";
    const words = ["create", "--name=begun", "-i", busyboxRootfs(), "sh", "-c", script];
    assert.is((await sbx(words)).code, 0);
    for (let n = 0; n < 3; n++) {
      const { code, stdout, stderr } = await sbx(["start", "-ai", "begun"], { input: "it\n" });
      assert.equal([code, stdout, stderr], [9, "first\n", "got it\n"]);
    }
    assert.is((await sbx(["create", "--name=never", busyboxRootfs(), "nosuch"])).code, 0);
    const failed = await sbx(["start", "--attach", "never"]);
    assert.is(failed.code, 127);
    assert.match(failed.stderr, /^sbx: run nosuch: No such file or directory \(ENOENT\)[^\n]*\n$/);
    const two = await sbx(["start", "-a", "begun", "never"]);
    assert.match(two.stderr, /^sbx: start --attach: several sandboxes are named\./);
  },
);

test.needs(plain, "the end of input ends a shell that sets its terminal's mode first", async () => {
  assert.is((await sbx(["create", "--name=shell", "-it", busyboxRootfs(), "sh"])).code, 0);
  const { code } = await sbx(["start", "-ai", "shell"], { timeoutMs: 20_000 });
  assert.is(code, 0);
});

test.needs(plain, "loses no byte of 10 MB in either direction", async () => {
  const name = await background(["-i"], "exec cat");
  const bytes = randomBytes(10_000_000);
  const result = await sbx(["attach", name], { input: bytes });
  const sum = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
  assert.is(result.code, 0, result.stderr);
  assert.is(sum(result.bytes), sum(bytes));
});

test.needs(plain, "has room for four, who all get the same", async () => {
  const name = await background(["-i"], "read x; seq 20000; exit 3");
  const clients = [attached(name), attached(name), attached(name), attached(name)];
  for (const each of clients) await each.isAttached();
  const fifth = await sbx(["attach", "--no-stdin", name]);
  assert.is(fifth.code, 125);
  assert.match(
    fifth.stderr,
    /^sbx: attach to the sandbox bg\d+: as many as there may be are attached/,
  );
  clients[2]?.child.stdin.write("go\n");
  const all = Array.from({ length: 20000 }, (_, n) => `${n + 1}\n`).join("");
  for (const each of clients) {
    assert.equal(await each.ended, { code: 3, signal: null });
    assert.ok(each.out() === all);
  }
});

test.needs(
  plain,
  "signals go to a sandbox without a terminal, unless they are not to",
  async () => {
    const name = await background(
      [],
      "trap 'echo int' INT; trap 'echo end; exit 4' TERM; echo on; while :; do sleep 0.05; done",
    );
    await until("it listens", async () => (await sbx(["logs", name])).stdout === "on\n");
    const one = attached(name);
    await one.isAttached();
    one.child.kill("SIGINT");
    await one.has("int\n");
    const other = attached("--sig-proxy=false", name);
    await other.isAttached();
    other.child.kill("SIGINT");
    assert.equal(await other.ended, { code: null, signal: "SIGINT" });
    // A terminal that is closed does not end the sandbox.
    const third = attached(name);
    await third.isAttached();
    third.child.kill("SIGHUP");
    assert.equal(await third.ended, { code: null, signal: "SIGHUP" });
    one.child.kill("SIGTERM");
    assert.equal(await one.ended, { code: 4, signal: null });
    assert.is(one.out(), "int\nend\n");
  },
);

test.needs(plain, "who is killed, or does not read, is soon forgotten", async () => {
  const name = await background(["-i"], "read x; seq 400000; echo read >&2; exec cat");
  const [slow, quick] = [attached(name), attached(name)];
  for (const each of [slow, quick]) await each.isAttached();
  slow.child.kill("SIGSTOP");
  quick.child.stdin.write("go\n");
  // The sandbox waits for the slow one, as it would for a pipe.
  await sleep(500);
  assert.not.match(quick.err(), "read");
  slow.child.kill("SIGKILL");
  await quick.has("read");
  quick.child.stdin.end("bye\n");
  assert.equal(await quick.ended, { code: 0, signal: null });
  assert.match(quick.out(), /\n400000\nbye\n$/);
});

test.needs(plain, "clients that are killed at any moment leave nothing behind", async () => {
  const name = await background(["-i"], "while :; do seq 1000; done");
  const { monitor } = await findRunning(callersPlaces(process.env), name);
  const fds = () => fs.readdirSync(`/proc/${monitor}/fd`).length;
  const before = fds();
  const program = join(directory, "client");
  fs.writeFileSync(program, (await compileAttached([name])).bytes, { mode: 0o700 });
  for (let round = 0; round < 100; round++) {
    const clients = [1, 2, 3].map(() => client(program));
    await sleep(Math.random() * 20);
    for (const { child } of clients) child.kill("SIGKILL");
    for (const { ended } of clients) await ended;
  }
  await until("their fds are closed", () => fds() <= before);
  const last = client(program);
  await last.has("\n1000\n1\n");
  process.kill(monitor, "SIGKILL");
  assert.is((await last.ended).code, 125);
});

test.needs(plain, "a monitor that is killed is an error", async () => {
  const name = await background([], "sleep 100");
  const one = attached(name);
  await one.isAttached();
  process.kill((await findRunning(callersPlaces(process.env), name)).monitor, "SIGKILL");
  assert.equal(await one.ended, { code: 125, signal: null });
  assert.is(
    one.err(),
    `sbx: attach to the sandbox ${name}: its monitor was killed, or waited in vain for output to be read. sbx logs has what it wrote\n`,
  );
});

test.needs(tmux, "is a terminal, which keys leave and come back to", async () => {
  const name = await background(["-it", "-e", "PS1=in> "], "exec sh");
  await inTerminal(async (terminal) => {
    await terminal.enter("stty -g >before");
    await terminal.enter(`$sbx attach ${name}; echo "status $?"`);
    await sleep(500);
    await terminal.enter("stty size; x=kept");
    await terminal.waitFor("30 100");
    await terminal.resize(71, 23);
    await terminal.enter("clear; stty size");
    await terminal.waitFor("23 71");
    await terminal.enter("echo re''ady; cat");
    await terminal.waitFor("ready");
    await sleep(300);
    await terminal.press("C-p", "x", "Enter");
    await terminal.waitFor("^Px");
    await terminal.press("C-c");
    await terminal.press("C-p", "C-q");
    await terminal.waitFor("status 0");
    await terminal.enter("stty -g | cmp - before && echo sa''me");
    await terminal.waitFor("same");
    await terminal.enter(`clear; $sbx attach --detach-keys=a,ctrl-@ ${name}; echo "left $?"`);
    await sleep(500);
    await terminal.enter("echo $x; tty");
    await terminal.waitFor(/kept\n\/dev\/pts\/0/);
    await terminal.type("a");
    await terminal.press("C-@");
    await terminal.waitFor("left 0");
    await terminal.enter(
      `clear; $sbx attach ${name}; echo "end $?"; stty -g | cmp - before && echo sa''me`,
    );
    await sleep(500);
    await terminal.enter("exit 5");
    await terminal.waitFor(/end 5\nsame/);
  });
});

test.needs(tmux, "the caller's modes come back when the client is killed or stopped", async () => {
  const name = await background(["-it"], "exec sh");
  await inTerminal(async (terminal) => {
    await terminal.enter("stty -g >before");
    // Not SIGINT, after which bash leaves the rest of its line out.
    for (const signal of ["TERM", "HUP"]) {
      await terminal.enter(
        `clear; sh -c '(sleep 2; kill -${signal} $$) & exec "$sbx" attach ${name}'; stty -g | cmp - before && echo af''ter${signal}`,
      );
      await terminal.waitFor(`after${signal}`);
    }
    await terminal.enter(`clear; sh -c '(sleep 2; kill -TSTP $$) & exec "$sbx" attach ${name}'`);
    await terminal.waitFor("Stopped");
    await terminal.enter("stty -g | cmp - before && echo sa''me; fg");
    await terminal.waitFor("same");
    await sleep(300);
    await terminal.enter("echo back''again");
    await terminal.waitFor("backagain");
    assert.is((await sbx(["kill", name])).code, 0);
    await sleep(1000);
    await terminal.enter("stty -g | cmp - before && echo re''stored");
    await terminal.waitFor("restored");
  });
});

test.after(async () => {
  await sbx(["kill", "--all"]);
});

test.run();
