/** `sbx exec`: commands that enter a running sandbox have what its first command has, and no more. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, type SbxOptions, sbx, start } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { openTerminal } from "../support/terminal.js";
import { until } from "../support/until.js";

const test = suite("exec");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "subids"] as const;
const directory = temporaryDirectory("exec");
// Names are free here, whatever other test files run.
process.env.XDG_RUNTIME_DIR = directory;

const idle = "echo ready; exec sleep 60";
/** A sandbox `box` as long as `act` takes. */
const box = (options: readonly string[], act: (pid: number) => Promise<void>, script = idle) =>
  started(["--name=box", "--network=none", ...options], script, async (pid) => {
    await act(pid).finally(() => process.kill(pid, "SIGKILL"));
  });
const exec = (options: readonly string[], script: string, more?: SbxOptions) =>
  sbx(["exec", ...options, "box", "sh", "-c", script], more);
/** What the script prints; fails where it fails. */
async function says(options: readonly string[], script: string, more?: SbxOptions) {
  const { code, stdout, stderr } = await exec(options, script, more);
  assert.equal([code, stderr], [0, ""], `${options.join(" ")}: ${script}`);
  return stdout;
}

const facts =
  "for f in user mnt pid net ipc uts cgroup time; do readlink /proc/self/ns/$f; done; cat /proc/self/uid_map /proc/self/gid_map; umask; ulimit -a; cat /proc/self/oom_score_adj /proc/self/cgroup; grep -E '^(Uid|Gid|Groups|NoNewPrivs|Cap|Sig(Blk|Ign)|Seccomp)' /proc/self/status; env | sort; pwd; ls /proc/self/fd";

const kinds: Readonly<Record<string, readonly string[]>> = {
  "a plain one": [],
  "one with settings": [
    "--umask=027",
    "--ulimit=nofile=64:64",
    "--ulimit=core=0",
    "--oom-score-adj=500",
    "--cap-add=SYS_PTRACE",
    "--cap-drop=CHOWN",
    "-e",
    "COLOR=blue",
    "-w",
    "/home",
    "-u",
    "alice",
  ],
  "one with its own ids": ["--userns=keep-id"],
  "one with a single id": ["--userns=single"],
  "one without the caller's id": ["--userns=nomap", "--read-only"],
  "one in its own time": ["--time-offset=3d"],
  "one that shares with the host": ["--pid=host", "--ipc=host", "--uts=host", "--cgroupns=host"],
  "one without an init": ["--no-init"],
  "one without no_new_privs": ["--security-opt=no-new-privileges=false"],
  "one without a filter": ["--security-opt=seccomp=unconfined"],
};
for (const [name, options] of Object.entries(kinds)) {
  test.needs(needs, `${name}: the same as its first command has`, async () => {
    let later = "";
    const { out } = await box(
      options,
      async () => {
        later = await says([], facts);
      },
      `{ ${facts}; } 2>&1; echo ready; exec sleep 60`,
    );
    assert.equal(later.split("\n"), out.replace("ready\n", "").split("\n"));
  });
}

test.needs(needs, "limits are those of who started the sandbox, as far as may be", async () => {
  const script = `ulimit -n 100; ulimit -f 9000; exec ${command} run --name=box --network=none --ulimit=core=1024:2048 ${busyboxRootfs()} sh -c '${idle}'`;
  const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  try {
    const look = "for limit in Sn Hn f Sc Hc; do ulimit -$limit; done";
    assert.is(await says([], look), "100\n100\n9000\n2\n4\n");
    const words = [command, "exec", "box", "sh", "-c", look];
    const lower = await start(["sh", "-c", 'ulimit -n 80; exec "$@"', "0", ...words]);
    assert.equal([lower.stdout, lower.stderr], ["80\n80\n9000\n2\n4\n", ""]);
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
  }
});

test.needs(needs, "the status is the command's, or says why there was none", async () => {
  await box([], async () => {
    assert.is((await exec([], "exit 7")).code, 7);
    assert.is((await exec([], "kill -TERM $$")).code, 143);
    const missing = await sbx(["exec", "box", "nothing"]);
    assert.is(missing.code, 127);
    assert.match(missing.stderr, /^sbx: run nothing: No such file or directory/);
    const plain = await sbx(["exec", "box", "/etc/issue"]);
    assert.is(plain.code, 126);
    const where = await sbx(["exec", "-w", "/nowhere", "box", "true"]);
    assert.is(where.code, 125);
    assert.match(where.stderr, /\/nowhere/);
  });
  for (const [words, why] of [
    [["box", "true"], /there is none of that name/],
    [[], /no sandbox is named/],
    [["box"], /no command is given/],
    [["--privileged", "box", "true"], /no more rights than the sandbox/],
  ] as const) {
    const refused = await sbx(["exec", ...words]);
    assert.is(refused.code, 125);
    assert.match(refused.stderr, why);
  }
});

test.needs(needs, "input, output, variables, directory, user and fds are its own", async () => {
  await box(["-e", "COLOR=blue"], async () => {
    assert.is(await says([], "cat", { input: "both ways\n" }), "both ways\n");
    assert.is(await says(["-e", "COLOR=red", "-w", "/var"], "echo $COLOR; pwd"), "red\n/var\n");
    const env = { OWN: "caller's", COLOR: "green" };
    assert.is(await says(["-e", "OWN"], "echo $OWN $COLOR", { env }), "caller's blue\n");
    const file = join(directory, "variables");
    fs.writeFileSync(file, "SIZE=7\n");
    assert.is(await says(["--env-file", file], "echo $SIZE"), "7\n");
    const script = `exec 3<${file}; exec ${command} exec --preserve-fds=1 box cat /proc/self/fd/3`;
    const preserved = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    preserved.stdout.setEncoding("utf8");
    const [text] = await once(preserved.stdout, "data");
    assert.is(text, "SIZE=7\n");
    const ids = "id -u; id -g; id -G; echo $HOME";
    assert.is(await says(["-u", "alice"], ids), "1000\n1000\n1000 29 50\n/home/alice\n");
    assert.is(await says(["-u", "1001:staff"], ids), "1001\n50\n50\n/nonexistent\n");
  });
});

test.needs(needs, "users are those of the sandbox's files as they are now", async () => {
  await box([], async () => {
    await says([], "echo new:x:55:56::/tmp: >/etc/passwd; echo more:x:77:new >/etc/group");
    assert.is(
      await says(["-u", "new"], "id -u; id -g; id -G; echo $HOME"),
      "55\n56\n56 77\n/tmp\n",
    );
    // As id(1) would read what is there.
    const own = "stat -Lc %u /proc/self";
    const gone = await exec(["-u", "alice"], own);
    assert.is(gone.code, 125);
    for (const trap of [
      "mkfifo /etc/passwd",
      "ln -s /proc/self/fd/1 /etc/passwd",
      "mkdir /etc/passwd",
    ]) {
      await says([], `rm -rf /etc/passwd; ${trap}`);
      assert.is(await says(["-u", "55"], own), "55\n");
      assert.is((await exec(["-u", "new"], own)).code, 125);
    }
    await says([], "rm -rf /etc/passwd; dd if=/dev/zero of=/etc/passwd bs=1M count=3 2>&-");
    assert.is(await says(["-u", "55"], own), "55\n");
  });
});

test.needs(
  [...needs, "tmux"],
  "a terminal of its own, with job control and window size",
  async () => {
    await box([], async () => {
      const terminal = await openTerminal(`${command} exec -it box sh`);
      try {
        await terminal.enter("tty; stty size");
        await terminal.waitFor(/\/dev\/pts\/\d+\n30 100/);
        await terminal.resize(80, 20);
        await terminal.enter("clear; stty size");
        await terminal.waitFor("20 80");
        // It tells what the shell, which shows its text, does not.
        const job =
          'trap "echo on $((6 * 7))" CONT; echo begun $((6 * 7)); while :; do sleep 0.1; done';
        await terminal.enter(`sh -c '${job}'`);
        await terminal.waitFor("begun 42");
        await terminal.press("C-z");
        await terminal.waitFor("Stopped");
        await terminal.enter("fg");
        await terminal.waitFor("on 42");
        await terminal.press("C-c");
        await terminal.enter("exit 3");
        await terminal.waitFor("Pane is dead (status 3");
      } finally {
        await terminal.close();
      }
      assert.is(await says(["-t"], "test -t 1 && tty | sed s/[0-9]//"), "/dev/pts/\r\n");
    });
  },
);

test.needs(needs, "the end of input ends a shell that sets its terminal's mode first", async () => {
  await box([], async () => {
    const end = { timeoutMs: 20_000 };
    assert.is((await sbx(["exec", "-it", "box", "sh"], end)).code, 0);
    const typed = await sbx(["exec", "-it", "box", "sh"], { ...end, input: "echo $((6 * 7))\n" });
    assert.is(typed.code, 0);
    assert.match(typed.stdout, /^42\r$/m);
    assert.is((await exec(["-it"], "sleep 0.5; cat; exit 3", end)).code, 3);
  });
});

test.needs(needs, "the command ends with who started it, unless it is to stay", async () => {
  const sleeping = (seconds: number) => `sleep ${seconds}`;
  await box([], async () => {
    const child = spawn(command, ["exec", "box", "sh", "-c", "echo up; exec sleep 123"]);
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
    await until("it has ended", async () => !(await says([], "ps")).includes(sleeping(123)));
    const signalled = spawn(command, ["exec", "box", "sh", "-c", "echo up; exec sleep 124"]);
    await once(signalled.stdout, "data");
    signalled.kill("SIGTERM");
    assert.equal(await once(signalled, "close"), [143, null]);
    assert.is((await sbx(["exec", "-d", "box", "sleep", "125"])).code, 0);
    assert.match(await says([], "ps"), sleeping(125));
    const ignoring = ["sh", "-c", 'trap "" INT PIPE; exec "$0" "$@"', command];
    const copy = ["exec", "-d", "box", "cp", "/proc/self/status", "/tmp/status"];
    assert.is((await start([...ignoring, ...copy])).code, 0);
    const read = "until grep SigIgn /tmp/status; do sleep 0.1; done 2>/dev/null";
    assert.match(await says([], read), /^SigIgn:\t0+$/m);
    assert.is((await sbx(["exec", "-d", "box", "nothing"])).code, 127);
  });
});

test.needs(needs, "it ends with the sandbox", async () => {
  for (const options of [[], ["--no-init"], ["--pid=host"]]) {
    let end: Promise<unknown[]> | null = null;
    await box(options, async () => {
      const child = spawn(command, ["exec", "box", "sh", "-c", "echo up; exec sleep 60"]);
      await once(child.stdout, "data");
      end = once(child, "close");
    });
    assert.equal(await end, [137, null]);
  }
});

test.needs(needs, "programs are told of its start and end, a line of JSON each", async () => {
  await box([], async () => {
    const script = `exec ${command} exec --status-fd=3 box sh -c 'exit 4' 3>&1`;
    const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    assert.equal(await once(child, "close"), [4, null]);
    const events = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event);
    assert.equal(events, ["pid", "ready", "exit"]);
  });
});

test.run();
